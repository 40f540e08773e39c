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
	Sequence uint64 `json:"sequence"` // where the event stands on the log
	Reason   string `json:"reason"`   // why it is not needed, in the operator's words
}

// Quarantined says that the entry at Sequence makes the program crash. From
// then on every worker takes it for a dead letter, wherever it meets it, and
// looks for these entries before it reads any other.
type Quarantined struct {
	Sequence uint64 `json:"sequence"` // where the entry stands on the log
	Crashes  int    `json:"crashes"`  // how often a worker died of it
	Worker   string `json:"worker"`   // which one
}

// Type implements Body.
func (Discarded) Type() string { return TypeDiscarded }

// Type implements Body.
func (Quarantined) Type() string { return TypeQuarantined }

// discarded notes in the document's history that an event is done with.
func (d *decider) discarded(_ Entry, b Discarded) {
	d.note(b.Type(), fmt.Sprintf("entry %d: %s", b.Sequence, b.Reason))
}
