package workflow

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// MailKind says what a mail is about; words are written for each.
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
// "PX….1.sent.2". It follows from its cause, so owing a mail again names the
// same mail. It holds no address.
type MailID string

// MailIDPattern is the shape of a MailID, as a regular expression of ECMA-262
// and RE2 alike.
const MailIDPattern = `^PX[0-9a-fA-F]{32}\.[1-9][0-9]{0,8}\.[a-z_]{1,32}\.[0-9]{1,20}$`

var mailIDPattern = regexp.MustCompile(MailIDPattern)

// Valid reports whether the id has the shape of one of ours.
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

// MailState is how far a mail is.
type MailState string

// The states of a mail. The last four are settled: nothing more happens to it.
const (
	MailWaiting   MailState = "waiting"   // behind an older email of its document to the same recipient
	MailPending   MailState = "pending"   // to be claimed when due
	MailClaimed   MailState = "claimed"   // in a worker's hands; in doubt once its time has passed
	MailAccepted  MailState = "accepted"  // the mail server took it
	MailRejected  MailState = "rejected"  // the mail server refused it for good, or patience ended
	MailHeld      MailState = "held"      // in doubt, and not to be sent again
	MailWithdrawn MailState = "withdrawn" // no longer wanted, and never accepted
)

// MailStates lists every state a mail can have.
var MailStates = []MailState{MailWaiting, MailPending, MailClaimed, MailAccepted, MailRejected, MailHeld, MailWithdrawn}

// Done reports whether nothing more happens to the mail.
func (s MailState) Done() bool {
	return s == MailAccepted || s == MailRejected || s == MailHeld || s == MailWithdrawn
}

// Outcome is what became of an email that a worker had claimed.
type Outcome string

// The outcomes. What happens after a deferral is the settling worker's word,
// so that no replica's settings decide anything.
const (
	Accepted Outcome = "accepted" // 250 after the final dot
	Rejected Outcome = "rejected" // 5xx to RCPT or DATA, or deferred for too long
	Deferred Outcome = "deferred" // not now; due again after RetryAfterMs
	Unknown  Outcome = "unknown"  // the reply to the final dot was lost; due again after RetryAfterMs
	Held     Outcome = "held"     // in doubt, and the operator chose not to send it again
	Released Outcome = "released" // never begun, or with a Reply: the mail server takes no mail of ours; it keeps its place, or is due again after RetryAfterMs
)

// Outcomes lists every outcome.
var Outcomes = []Outcome{Accepted, Rejected, Deferred, Unknown, Held, Released}

// MailOutcome is the outcome of one mail, with the mail server's words.
type MailOutcome struct {
	Mail         MailID  `json:"mail"`                     // which mail
	Outcome      Outcome `json:"outcome"`                  // what became of it
	Code         int     `json:"code,omitempty"`           // SMTP reply code; 0 if there was none
	Reply        string  `json:"reply,omitempty"`          // SMTP reply or error, addresses blotted out
	RetryAfterMs int64   `json:"retry_after_ms,omitempty"` // from this event's time on
}

// Mail is one message to one recipient, owed because of an entry.
type Mail struct {
	ID         MailID
	Document   SID
	Round      int
	Kind       MailKind
	Recipient  string
	State      MailState
	CauseSeq   uint64 // the entry that owed it; with CauseIndex the order among the document's mails
	CauseIndex int
	CausedAt   time.Time
	Due        time.Time // when it may be claimed, while owed
	Attempts   int       // how often a worker began it, as far as is known
	Claim      uint64    // sequence of the last claim, 0 before the first
	Doubts     int       // how often its outcome was lost
	Trouble    time.Time // when it was first deferred or left in doubt, since the mail server took no mail of ours; zero if never
	Withdrawn  bool      // not to be retried: its link is dead
	Code       int       // of the last SMTP reply
	Reply      string
	DoneAt     time.Time // zero while pending

	// About is the document as it stood in the mail's round: what the mail
	// says. In State it is nil as long as the document itself still tells.
	About *Document
}
