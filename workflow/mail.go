package workflow

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MailKind says what an email is about. internal/mail has the words of each
// kind.
type MailKind string

// The kinds of mail.
const (
	MailSignature MailKind = "signature" // to the signer: please sign
	MailReminder  MailKind = "reminder"  // to the signer: still waiting for the signature
	MailSent      MailKind = "sent"      // to each cc: it has been sent to the signer
	MailSigned    MailKind = "signed"    // to each cc and the signer: it has been signed
	MailCanceled  MailKind = "canceled"  // to each cc, if the settings say so: it was declined or withdrawn
	MailFailed    MailKind = "failed"    // to each cc, if the settings say so: it expired, or could not be sent
)

// MailKinds lists every kind of mail.
var MailKinds = []MailKind{MailSignature, MailReminder, MailSent, MailSigned, MailCanceled, MailFailed}

// MailID names one mail to one recipient: document, round, kind and number,
// "PX….1.sent.2". It follows from the cause, so that the same cause always
// gives the same email. It holds no address.
type MailID string

// MailIDPattern is the form of a MailID, as a regular expression that is valid
// in both ECMA-262 and RE2.
const MailIDPattern = `^PX[0-9a-fA-F]{32}\.[1-9][0-9]{0,8}\.[a-z_]{1,32}\.[0-9]{1,20}$`

var mailIDPattern = regexp.MustCompile(MailIDPattern)

// Valid reports whether the id has the form of MailIDPattern.
func (id MailID) Valid() bool { return mailIDPattern.MatchString(string(id)) }

// Document returns the sid of the document that the mail is about, or "" if
// the id is not one of ours.
func (id MailID) Document() SID {
	sid, rest, ok := strings.Cut(string(id), ".")
	if !ok || strings.Count(rest, ".") != 2 {
		return ""
	}
	return SID(sid)
}

// Round returns the round of the document that the mail is about, or 0 if
// the id is not one of ours.
func (id MailID) Round() int {
	_, rest, _ := strings.Cut(string(id), ".")
	round, _, _ := strings.Cut(rest, ".")
	n, _ := strconv.Atoi(round)
	return n
}

// Kind returns the kind of the mail, or "" if the id is not one of ours.
func (id MailID) Kind() MailKind {
	parts := strings.Split(string(id), ".")
	if len(parts) != 4 {
		return ""
	}
	return MailKind(parts[2])
}

func mailID(doc *Document, kind MailKind, n int) MailID {
	return MailID(fmt.Sprintf("%s.%d.%s.%d", doc.SID, doc.Round, kind, n))
}

// MailState says how far an email has come.
type MailState string

// The states of a mail. The last four are final.
const (
	MailWaiting   MailState = "waiting"   // behind an older email of its document to the same recipient
	MailPending   MailState = "pending"   // to be claimed when due
	MailClaimed   MailState = "claimed"   // a worker is about to send it or is sending it; in doubt once the deadline has passed
	MailAccepted  MailState = "accepted"  // the mail server took it
	MailRejected  MailState = "rejected"  // the mail server rejected it permanently, or it was deferred for too long
	MailHeld      MailState = "held"      // in doubt, and not sent again
	MailWithdrawn MailState = "withdrawn" // no longer wanted, and never accepted
)

// MailStates lists every state a mail can have.
var MailStates = []MailState{MailWaiting, MailPending, MailClaimed, MailAccepted, MailRejected, MailHeld, MailWithdrawn}

// Done reports whether nothing more happens to the mail.
func (s MailState) Done() bool {
	return s == MailAccepted || s == MailRejected || s == MailHeld || s == MailWithdrawn
}

// Outcome is what happened to an email that a worker had claimed.
type Outcome string

// The outcomes. The worker that settles an email also says when it is due
// again, so that the result does not depend on the settings of a replica.
const (
	Accepted Outcome = "accepted" // 250 after the final dot
	Rejected Outcome = "rejected" // 5xx to RCPT or DATA, or deferred for too long
	Deferred Outcome = "deferred" // not now; due again after RetryAfterMs
	Unknown  Outcome = "unknown"  // the reply to the final dot was lost; due again after RetryAfterMs
	Held     Outcome = "held"     // in doubt, and the operator chose not to send it again
	Released Outcome = "released" // never begun or, if there is a Reply, the mail server accepts no email from us; it keeps its place, or is due again after RetryAfterMs
)

// Outcomes lists every outcome.
var Outcomes = []Outcome{Accepted, Rejected, Deferred, Unknown, Held, Released}

// MailOutcome is the outcome of one mail, with the mail server's words.
type MailOutcome struct {
	Mail         MailID  `json:"mail"`                     // which mail
	Outcome      Outcome `json:"outcome"`                  // what happened to it
	Code         int     `json:"code,omitempty"`           // SMTP reply code; 0 if there was none
	Reply        string  `json:"reply,omitempty"`          // SMTP reply or error, with addresses replaced by <…>
	RetryAfterMs int64   `json:"retry_after_ms,omitempty"` // counted from this event's time
}

// Mail is one email to one recipient, which follows from an entry.
type Mail struct {
	ID         MailID
	Document   SID
	Round      int
	Kind       MailKind
	Recipient  string
	State      MailState
	CauseSeq   uint64 // the entry from which it follows; with CauseIndex it gives the order of the document's emails
	CauseIndex int
	CausedAt   time.Time
	Due        time.Time // when it may be claimed, while it is pending
	Attempts   int       // how often a worker has begun to send it, as far as the log says
	Claim      uint64    // sequence of the last claim, 0 before the first
	Doubts     int       // how often its outcome was lost
	Trouble    time.Time // when it was first deferred or left in doubt since the mail server last refused all our emails; zero if never
	Withdrawn  bool      // not to be retried: its link is dead
	Code       int       // of the last SMTP reply
	Reply      string
	DoneAt     time.Time // zero while pending

	// About is the document in the round of the email, which the email
	// describes. In State it is nil while the document is still in that round.
	About *Document
}

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
