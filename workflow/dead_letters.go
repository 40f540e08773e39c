package workflow

import "fmt"

// TypeDiscarded and TypeQuarantined are the CloudEvents types of what is said
// about entries that nobody could apply.
const (
	TypeDiscarded   = "authorization_document.discarded"
	TypeQuarantined = "entry.quarantined"
)

// Discarded says that the event at Sequence, which was refused or became a
// dead letter, is done with: nobody will send it again.
type Discarded struct {
	Sequence uint64 `json:"sequence"` // where the event is on the log
	Reason   string `json:"reason"`   // why it is not needed, in the operator's words
}

// Quarantined says that the entry at Sequence makes the program crash. From
// then on every worker takes it for a dead letter, wherever it meets it, and
// looks for these entries before it reads any other.
type Quarantined struct {
	Sequence uint64 `json:"sequence"` // where the entry is on the log
	Crashes  int    `json:"crashes"`  // how often a worker died of it
	Worker   string `json:"worker"`   // which one
}

// Closes returns the sequence of the refused event that the entry is done with,
// because it is sent in its place or discards it, and why it was discarded. The
// sequence is 0 if the entry closes none.
func (e Entry) Closes() (sequence uint64, reason string) {
	if b, ok := e.Body.(Discarded); ok {
		return b.Sequence, b.Reason
	}
	if e.Redrives < e.Sequence {
		return e.Redrives, ""
	}
	return 0, ""
}

// MayClose reports whether the entry may close a refused event of an account. An
// account closes its own events, and those of which the subject names no account.
// Only Countersign writes discarded events, for an operator: they close any.
func (e Entry) MayClose(account SID) bool {
	_, discards := e.Body.(Discarded)
	return discards || e.Account == account || e.Account == "" || account == ""
}

// Type implements Body.
func (Discarded) Type() string { return TypeDiscarded }

// Type implements Body.
func (Quarantined) Type() string { return TypeQuarantined }

// discarded notes in the document's history that an event is done with.
func (d *decider) discarded(_ Entry, b Discarded) {
	d.note(b.Type(), fmt.Sprintf("entry %d: %s", b.Sequence, b.Reason))
}
