package mail

import (
	"fmt"

	"countersign/workflow"
)

var english = language{
	Language: "en",
	Letter:   "Letter of authorization",
	order:    "Order ",
	more:     "and %s more",
	utc:      "(UTC)",
	notMe:    "not the right person",
	Instead:  "If the button does not work, open this link:",
	kinds: map[workflow.MailKind]func(view) said{
		workflow.MailSignature: englishSignature,
		workflow.MailReminder:  englishReminder,
		workflow.MailSent:      englishSent,
		workflow.MailSigned:    englishSigned,
		workflow.MailCanceled:  englishCanceled,
		workflow.MailFailed:    englishFailed,
	},
}

// englishAbout ends a subject: the letter, and the numbers that it is for.
func englishAbout(v view) string {
	s := "letter of authorization"
	switch len(v.Numbers) {
	case 0:
		return s
	case 1:
		return s + " for " + v.Numbers[0]
	default:
		return fmt.Sprintf("%s for %s phone numbers", s, v.Total)
	}
}

// englishNumbers is what a sentence calls the numbers that are listed below it.
func englishNumbers(v view) string {
	return pick(len(v.Numbers), "phone numbers", "the phone number below", "the phone numbers below")
}

func englishList(v view) []fact { return v.list("Phone number", "Phone numbers") }

func englishSignature(v view) said {
	s := englishRequest(v)
	s.Subject = "Please sign: " + englishAbout(v)
	s.Preheader = "Review and sign by " + v.Expires + ". Voice service stays where it is; this is not a port."
	s.Badge, s.Tone = "Signature requested", "blue"
	s.Heading = "Your signature is needed"
	s.Body = []paragraph{
		{Text: v.Sender + " asks you to sign a letter of authorization, so that the messaging of " + englishNumbers(v) + " can be hosted."},
		englishVoice,
	}
	return s
}

func englishReminder(v view) said {
	s := englishRequest(v)
	s.Subject = "Reminder, please sign: " + englishAbout(v)
	s.Preheader = "It has not been signed yet. The link works until " + v.Expires + "."
	s.Badge, s.Tone = "Reminder", "amber"
	s.Heading = "Still waiting for your signature"
	s.Body = []paragraph{
		{Text: v.Sender + " asked you to sign a letter of authorization, so that the messaging of " + englishNumbers(v) + " can be hosted. It has not been signed yet."},
		englishVoice,
	}
	return s
}

var englishVoice = paragraph{"Voice service stays where it is.", "This is not a port: the numbers do not move to another carrier."}

// englishRequest is what the mails that ask for a signature have in common.
func englishRequest(v view) said {
	return said{
		Facts:  append(englishList(v), is("Asked to sign", v.Role), is("Sign by", v.Expires)),
		Button: "Review and sign",
		Notes: []paragraph{
			{Text: "You see the whole letter before you sign, and on the same page you can decline."},
			{"The link is yours alone.", "Whoever opens it can sign in your name, so please do not forward this mail."},
			{"Not for you?", "If you do not answer for these numbers, decline on that page or ignore this mail. Nothing is authorized without a signature."},
		},
	}
}

func englishSent(v view) said {
	return said{
		Subject:   "Sent for signature: " + englishAbout(v),
		Preheader: "Sent to the signer on " + v.Date + ". There is nothing for you to do.",
		Badge:     "Out for signature", Tone: "blue",
		Heading: "Sent for signature",
		Body: []paragraph{
			{Text: "A letter of authorization was sent to the signer on " + v.Date + ". It lets the messaging of " + englishNumbers(v) + " be hosted. Voice service stays where it is; this is not a port."},
			{"There is nothing for you to do.", "You are on copy, and you will hear from us again when the letter is signed."},
		},
		Facts: append(englishList(v), is("Asked to sign", v.Role), v.day("Sent on", v.Date)),
	}
}

func englishSigned(v view) said {
	signed, keep := "The letter of authorization was signed on "+v.Date+".", "Please keep this mail with your records."
	if v.Mine {
		signed = "Thank you. You signed the letter of authorization on " + v.Date + "."
	}
	if v.Attached {
		keep = "The signed letter is attached; please keep it with your records."
	}
	if v.Link != "" {
		keep = "You can download the signed letter until " + v.Expires + "; please keep it with your records."
	}
	return said{
		Button:    "Download the signed letter",
		Subject:   "Signed: " + englishAbout(v),
		Preheader: "Signed on " + v.Date + ". There is nothing more for you to do.",
		Badge:     "Signed", Tone: "green",
		Heading: "The letter is signed",
		Body: []paragraph{
			{Text: signed + " The registration of " + englishNumbers(v) + " has begun, so that messaging can be hosted. Voice service stays where it is."},
			{"There is nothing more for you to do.", keep},
		},
		Facts: append(append(englishList(v), is("Signed by", v.Role), v.day("Signed on", v.Date)), v.digest("Digest of the letter")...),
	}
}

func englishCanceled(v view) said {
	s := said{
		Subject:   "Canceled: " + englishAbout(v),
		Preheader: "Canceled on " + v.Date + ". There is nothing for you to do.",
		Badge:     "Canceled", Tone: "grey",
		Heading: "The letter was canceled",
	}
	how := "The letter of authorization was canceled on " + v.Date + "."
	if v.Declined {
		s.Subject, s.Badge, s.Tone = "Declined: "+englishAbout(v), "Declined", "red"
		s.Preheader = "Declined on " + v.Date + ". There is nothing for you to do."
		s.Heading = "The letter was declined"
		how = "The person who was asked to sign the letter of authorization declined on " + v.Date + "."
	}
	return englishEnded(v, s, how)
}

func englishFailed(v view) said {
	s := said{
		Subject:   "Not signed: " + englishAbout(v),
		Preheader: "Ended on " + v.Date + ". There is nothing for you to do.",
		Badge:     "Not signed", Tone: "red",
		Heading: "The letter was not signed",
	}
	how := "The letter of authorization could not be signed, and ended on " + v.Date + "."
	if v.Expired {
		s.Subject, s.Badge, s.Tone = "Expired: "+englishAbout(v), "Expired", "amber"
		s.Preheader = "Expired on " + v.Date + ". There is nothing for you to do."
		s.Heading = "The letter has expired"
		how = "The letter of authorization was not signed in time, and expired on " + v.Date + "."
	}
	return englishEnded(v, s, how)
}

// englishEnded is what the mails about a letter that ended unsigned have in common.
func englishEnded(v view, s said, how string) said {
	s.Body = []paragraph{
		{Text: how + " It can no longer be signed, and the messaging of " + englishNumbers(v) + " will not be hosted by it. Voice service stays where it is."},
		{"There is nothing for you to do.", "You are on copy."},
	}
	s.Facts = append(englishList(v), is("Asked to sign", v.Role), v.day("Ended on", v.Date))
	if v.Reason != "" {
		s.Facts = append(s.Facts, is("Reason", v.Reason))
	}
	if v.Person != "" {
		s.Facts = append(s.Facts, is("Right person, they say", v.Person))
	}
	return s
}
