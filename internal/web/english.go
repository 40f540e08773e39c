package web

var english = texts{
	Language: "en", Other: "Español", OtherTag: "es",

	Front:       say{Title: "Letters of authorization", Lead: "Letters of authorization for phone numbers are shown here to the people who are asked to sign them. To open yours, use the link in the mail that you received."},
	Nowhere:     say{Title: "There is no such page", Lead: "To open a letter of authorization, use the link in the mail that you received."},
	Unknown:     say{Title: "This link is not valid", Lead: "Part of it may be missing. Please open it from the mail once more, or copy all of it into the address bar."},
	Replaced:    say{Title: "This link has been replaced", Lead: "The letter was changed after this link was sent, and the newest mail about it is for %s. Please use the link in that mail. If this is no address of yours, you have nothing to do."},
	Recalled:    say{Title: "The letter was taken back", Lead: "It was taken back to be changed after this link was sent. If there is a newer mail about it, please use the link in that one. If there is none, you have nothing to do."},
	Expired:     say{Title: "This link has expired", Lead: "It could be used until %s. If the letter still has to be signed, reply to the mail and ask for a new link."},
	Unavailable: say{Title: "Please try again in a moment", Lead: "The letter cannot be shown just now. Your link stays as it is."},
	TooMany:     say{Title: "Too many requests", Lead: "This page was asked for very often in a short time. Please wait a moment and open it again. Your link stays as it is."},
	Foreign:     say{Title: "This was not sent from our page", Lead: "Another website tried to answer the letter for you. Nothing has changed. Please open the link from the mail and answer there."},

	DownloadExpired: say{Title: "This link has expired", Lead: "The signed letter could be downloaded here until %s. If you need it again, reply to the mail and ask for it."},

	Ready:     say{Status: "Waiting for your signature"},
	Thanks:    say{Status: "Signed", Title: "Thank you, the letter is signed", Lead: "The registration of the phone numbers has begun, and a mail that confirms it is on its way to you. You can close this page."},
	Signed:    say{Status: "Signed", Lead: "This letter has been signed. There is nothing left to do."},
	Declined:  say{Status: "Declined", Lead: "The person who was asked to sign this letter has declined. It can no longer be signed, and nothing will be registered."},
	Declining: say{Status: "Declined", Title: "You have declined this letter", Lead: "Nothing will be registered, and the company that sent the letter is told. You can close this page."},
	NotYou:    say{Status: "Declined", Title: "Thank you for telling us", Lead: "The letter ends here, and the company that sent it is told that you are not the right person. Nothing will be registered. You can close this page."},
	Withdrawn: say{Status: "Withdrawn", Lead: "The company that sent this letter has withdrawn it. It can no longer be signed, and there is nothing left to do."},
	Closed:    say{Status: "Closed", Lead: "This letter can no longer be signed. If it should be, reply to the mail and ask for a new one."},

	ConfirmDecline: say{Status: "Not declined yet", Title: "Do you decline this letter?", Lead: "Nothing has changed yet. If you press the button, the letter ends: it can no longer be signed, nothing will be registered, and the company that sent the letter is told. You cannot undo this."},
	ConfirmNotMe:   say{Status: "Not sent yet", Title: "Are you not the right person?", Lead: "Nothing has changed yet. If you press the button, the letter ends: it can no longer be signed, nothing will be registered, and the company that sent the letter is told that you are not the right person. You cannot undo this."},

	Changed: "The letter changed while you read it. Nothing has been signed. Please read it once more; this is how it stands now.",
	Busy:    "We could not be sure that your answer was recorded. Please try again in a moment: however often you send it, it counts once.",
	Failed:  "Something went wrong on our side, and your answer was not recorded. Please try again later, or reply to the mail.",

	NotNow: "We cannot take signatures at the moment: a clock on our side is wrong, and your signature would have the wrong date. Nothing has been signed. Please try again later; your link stays as it is.",

	Good: "Link good until %s",

	Asks:      "%s asks you to sign this letter, so that it can host the text messages of the phone numbers below.",
	DoesTitle: "What signing does", DoesNotTitle: "What signing does not do",
	Does:      []string{"Text messages (SMS and MMS) of these numbers can be sent and received through the messaging provider.", "The numbers are registered for messaging as soon as you have signed."},
	DoesNot:   []string{"It does not move a number: this is not a port.", "Voice calls, your carrier and your contract with it stay as they are."},
	ToTheForm: "Go to the signature", TheLetter: "The letter", ReadPDF: "Read the letter as a PDF", SaveSigned: "Download the signed letter (PDF)",
	SignedOn: "Signed on",

	FormTitle: "Sign the letter", Name: "Your full name", NameHelp: "It stands under the letter as your signature.",
	JobTitle: "Your title (optional)", TitleHelp: "Such as Owner or Office manager.",
	Statements: "I have read the letter and agree to its statements.", Consent: "I agree to sign electronically.",
	Draw: "Your signature, drawn (optional)", DrawHelp: "Draw with a finger, a pen or the mouse. The letter is just as valid without a drawing.",
	DrawLabel: "Field to draw your signature in", Clear: "Clear the drawing", Sign: "Sign the letter",
	DeclineTitle: "I do not want to sign", DeclineLead: "Each of the two answers below ends the letter, and its sender is told. You are asked once more before that happens.",
	DeclineHeading: "Decline", Reason: "Reason (optional)", ReasonHelp: "The sender will read it.", Decline: "Decline to sign",
	DeclinesAlone: "On behalf of the subscriber, I decline to sign this letter.", DeclinesFor: "On behalf of the subscriber, %s, I decline to sign this letter.",
	NotMe: "I am not the right person", NotMeLead: "This letter should have gone to somebody else.",
	Person: "Who is the right person? (optional)", PersonHelp: "A name, a role or an address. The sender will read it.",
	WrongPerson: "I am not the person who should sign this letter.",
	YouState:    "You state", YourReason: "Your reason", RightPerson: "The right person",
	YesDecline: "Yes, decline the letter", YesNotMe: "Yes, I am not the right person", Back: "Back to the letter, without an answer",

	Errors: "Please correct this first", ErrorPrefix: "Error: ",
	NoName: "Type your full name", BadName: "Your name can have at most 120 characters, and no line breaks or hidden characters that turn the direction of writing",
	BadTitle: "Your title can have at most 120 characters, at least one of them visible, and no line breaks or hidden characters that turn the direction of writing", NoAuthority: "Tick that you are the subscriber, or act for the subscriber",
	NoStatements: "Tick that you have read the letter and agree", NoConsent: "Tick that you agree to sign electronically",
	BadDrawn:  "The drawing could not be read; clear it and draw again, or leave it out",
	BadReason: "The reason can have at most 1,000 characters", NoDeclines: "Tick that you decline to sign",
	BadPerson:     "Who the right person is can have at most 200 characters, and no line breaks or hidden characters that turn the direction of writing",
	NoWrongPerson: "Tick that you are not the person who should sign",

	NoGlyph:     "The letter cannot print the character %s. Type it in Latin, Greek or Cyrillic letters",
	Unprintable: "The letter cannot be signed yet: it cannot print a character in “%s”, %s. Please reply to the email that brought you here, and ask for a letter that has it in Latin, Greek or Cyrillic letters.",
}
