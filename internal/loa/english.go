package loa

var english = Words{
	Language: "en",

	Title:    "Letter of Authorization",
	Subtitle: "Hosting of text messages (SMS and MMS) on telephone numbers that stay with their carrier",

	Authority: "I am the subscriber of the telephone numbers listed in this letter, or the subscriber has authorized me to act for them, and I am at least 18 years old.",
	Scope:     "I authorize {provider} and its agents to host the text messages (SMS and MMS) of these telephone numbers: to send and receive messages with them, and to tell carriers and number registries so in my name.",
	NotAPort:  "This is not a port. Voice service stays as it is, and so do the present carrier and the contract with it. No telephone number is transferred.",
	Validity:  "This authorization is valid from the date of my signature until I, or the subscriber, withdraw it in writing to {provider}.",

	Consent: "I agree to sign this letter electronically. I understand that my electronic signature has the same effect as one on paper, that I may decline instead, and that I can keep and print a copy of the signed letter.",

	Parties: "Parties", Subscriber: "Subscriber", Address: "Service address", Carrier: "Present carrier", Provider: "Messaging provider",
	Signer: "Authorized person", Name: "Name", JobTitle: "Title", Email: "Email", Phone: "Phone",
	Numbers: "Telephone numbers", Number: "Number", Order: "Hosted number order", OrderUnknown: "number of this order",
	Statements: "Authorization", ConsentHeading: "Consent to sign electronically",
	Signature: "Signature", SignedBy: "Signed electronically by", SignedAt: "Date", NotSigned: "Not signed yet",
	Document: "Document", WordsVersion: "Version of the text", Page: "Page", NotGiven: "not given",
	Evidence: "Evidence", EvidenceLead: "What happened to this document, as it stands in the log of {provider}. Times are UTC.",
	At: "Time", Happened: "What happened",
}
