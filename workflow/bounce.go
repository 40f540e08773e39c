package workflow

import (
	"fmt"
	"slices"
	"strings"
)

// TypeBounced is the CloudEvents type of a report about a sent email.
const TypeBounced = "mail.bounced"

// Action is what became of a mail behind the mail server that took it, in the
// words of RFC 3464, section 2.3.3.
type Action string

// The actions of a report.
const (
	ActionFailed    Action = "failed"    // it was given up
	ActionDelayed   Action = "delayed"   // it is still being tried
	ActionDelivered Action = "delivered" // it is in the mailbox
	ActionRelayed   Action = "relayed"   // it went on to a server that writes no reports
	ActionExpanded  Action = "expanded"  // it went on to several addresses
	ActionReplied   Action = "replied"   // a program of the recipient's replied (RFC 3834), such as a vacation notice; not of RFC 3464
)

// Actions lists every action of a report.
var Actions = []Action{ActionFailed, ActionDelayed, ActionDelivered, ActionRelayed, ActionExpanded, ActionReplied}

// Bounced is what a mail server reports of a mail that it had taken.
type Bounced struct {
	Mail       MailID `json:"mail"`                 // which mail
	Action     Action `json:"action"`               // what became of it
	Status     string `json:"status"`               // status code of RFC 3463: "5.1.1"
	Diagnostic string `json:"diagnostic,omitempty"` // the mail server's words; addresses should be blotted out

	// Candidates are other emails of the same document that the report may be
	// about, the likeliest first. Of Mail and these the first that was sent counts.
	Candidates []MailID `json:"candidates,omitempty"`
}

// Type implements Body.
func (Bounced) Type() string { return TypeBounced }

// Hard reports whether the mail was given up for a reason that stays. A mail
// given up because its mailbox was full or its server away has a status of
// 4.x.x, and another one may get through. So may one after 5.2.2: a full mailbox
// is a "persistent transient" error (RFC 3463, section 3.3), whatever class a
// server gives it.
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

// bounced writes down what is reported of a mail. A signature mail that came
// back for good ends its round, be it noted as accepted yet or not.
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
