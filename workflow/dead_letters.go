package workflow

import "fmt"

// TypeDiscarded and TypeQuarantined are the CloudEvents types of events about
// entries that could not be applied.
const (
	TypeDiscarded   = "authorization_document.discarded"
	TypeQuarantined = "entry.quarantined"
)

// Discarded closes the refused event or dead letter at Sequence: nobody will
// send it again.
type Discarded struct {
	Sequence uint64 `json:"sequence"` // where the event is on the log
	Reason   string `json:"reason"`   // why it is not needed, in the operator's words
}

// Quarantined says that the entry at Sequence makes the program crash. Every
// worker reads the quarantined events before it follows the log, and treats the
// entries that they name as dead letters.
type Quarantined struct {
	Sequence uint64 `json:"sequence"` // where the entry is on the log
	Crashes  int    `json:"crashes"`  // how often it crashed the worker
	Worker   string `json:"worker"`   // which one
}

// Closes returns the sequence of the refused event or dead letter that this
// entry closes: because it is sent in its place, or because it discards it for
// the returned reason. The sequence is 0 if the entry closes none.
func (e Entry) Closes() (sequence uint64, reason string) {
	if b, ok := e.Body.(Discarded); ok {
		return b.Sequence, b.Reason
	}
	if e.Redrives < e.Sequence {
		return e.Redrives, ""
	}
	return 0, ""
}

// MayClose reports whether the entry may close a refused event of an account.
// An account may close its own events, and events whose subject names no
// account. Only Countersign writes discarded events, for an operator: they may
// close any event.
func (e Entry) MayClose(account SID) bool {
	_, discards := e.Body.(Discarded)
	return discards || e.Account == account || e.Account == "" || account == ""
}

// Type implements Body.
func (Discarded) Type() string { return TypeDiscarded }

// Type implements Body.
func (Quarantined) Type() string { return TypeQuarantined }

// discarded notes in the document's history that an event was closed.
func (d *decider) discarded(_ Entry, b Discarded) {
	d.note(b.Type(), fmt.Sprintf("entry %d: %s", b.Sequence, b.Reason))
}
