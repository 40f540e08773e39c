package workflow

import (
	"fmt"
	"slices"
	"strings"
)

// TypeBounced is the CloudEvents type of a report about a sent email.
const TypeBounced = "mail.bounced"

// Action says what happened to an email after our mail server accepted it, in
// the words of RFC 3464, section 2.3.3.
type Action string

// The actions of a report.
const (
	ActionFailed    Action = "failed"    // it was given up
	ActionDelayed   Action = "delayed"   // it is still being tried
	ActionDelivered Action = "delivered" // it is in the mailbox
	ActionRelayed   Action = "relayed"   // it went on to a server that writes no reports
	ActionExpanded  Action = "expanded"  // it went on to several addresses
	ActionReplied   Action = "replied"   // a program of the recipient replied (RFC 3834), for example with a vacation notice; not a word of RFC 3464
)

// Actions lists every action of a report.
var Actions = []Action{ActionFailed, ActionDelayed, ActionDelivered, ActionRelayed, ActionExpanded, ActionReplied}

// Bounced is what a mail server reports about an email that it accepted
// earlier.
type Bounced struct {
	Mail       MailID `json:"mail"`                 // which mail
	Action     Action `json:"action"`               // what happened to it
	Status     string `json:"status"`               // status code of RFC 3463: "5.1.1"
	Diagnostic string `json:"diagnostic,omitempty"` // the mail server's words; replace addresses in it by <…>

	// Candidates are other emails of the same document that the report may be
	// about, the likeliest first. The report counts for the first of Mail and
	// Candidates that was sent.
	Candidates []MailID `json:"candidates,omitempty"`
}

// Type implements Body.
func (Bounced) Type() string { return TypeBounced }

// Hard reports whether the email failed permanently. If the mailbox was full or
// the server was away, the status is 4.x.x, and another email may get through.
// The same holds for 5.2.2: a full mailbox is a "persistent transient" error
// (RFC 3463, section 3.3), whatever class a server gives it.
func (b Bounced) Hard() bool {
	return b.Action == ActionFailed && strings.HasPrefix(b.Status, "5.") && b.Status != "5.2.2"
}

// Named lists the emails that the report may be about, the likeliest first.
func (b Bounced) Named() []MailID { return append([]MailID{b.Mail}, b.Candidates...) }

// words is the status, and the mail server's words if there are any.
func (b Bounced) words() string { return strings.TrimSpace(b.Status + " " + b.Diagnostic) }

// Bounce is one entry's report about one email.
type Bounce struct {
	Bounced
	Entry Entry
}

// bounced records a report about an email. If a signature email failed
// permanently, the document fails, even if the log does not say yet that the
// email was accepted.
func (d *decider) bounced(e Entry, b Bounced) *Problem {
	doc := &d.state.Document
	i := slices.IndexFunc(b.Named(), func(id MailID) bool { return d.facts.Attempted[id] })
	if i < 0 {
		return problem(CodeMailUnknown, "data.mail", "no mail %s has been sent", b.Mail)
	}
	b.Mail, b.Candidates = b.Named()[i], nil
	d.out.Bounces = append(d.out.Bounces, Bounce{b, e})
	d.note("mail reported "+string(b.Action), fmt.Sprintf("%s: %s", b.Mail, b.words()))
	if doc.out() && b.Hard() && b.Mail.Kind() == MailSignature && b.Mail.Round() == doc.Round {
		d.fail(EndedUndeliverable, "the signature mail came back: "+b.words())
	}
	return nil
}
