package workflow

import (
	"fmt"
	"slices"
	"time"
)

// MaxParked is how many events of one account can wait for one document.
const MaxParked = 100

// park keeps an event until the event that it builds on has come, or until its
// limit. Each account has MaxParked places, so that no account can use up the
// places of another.
func (d *decider) park(e Entry) *Problem {
	waiting := 0
	for _, p := range d.state.Parked {
		if p.Entry.Account == e.Account {
			waiting++
		}
	}
	if waiting >= MaxParked {
		return problem(CodeParkedTooMany, "subject", "%d events already wait for document %s to be created; create it first", waiting, e.Document)
	}
	p := Parked{Entry: e, Until: d.now.Add(d.facts.ParkingLimit)}
	d.state.Parked = append(d.state.Parked, p)
	d.note(string(ResultParked), fmt.Sprintf("entry %d, %s %s", e.Sequence, e.Body.Type(), e.by()))
	d.changed = true
	d.out.Pending = append(d.out.Pending, d.parkingTimer(p, 1))
	return nil
}

// parkingTimer is the event that ends the parking. A subject of a timer is used
// once; the number of the attempt distinguishes an event that came too early
// from the next one.
func (d *decider) parkingTimer(p Parked, try int) PendingEvent {
	timer := fmt.Sprintf("parked-%d", p.Entry.Sequence)
	o := d.pending(fmt.Sprintf("due.%s.%d", timer, try), TimerDue{Timer: timer, Round: try, DueAt: p.Until}, p.Until)
	o.Account, o.Answers = p.Entry.Account, p.Entry.Sequence
	return o
}

// unpark decides parked events that need not wait any longer, oldest first.
// Each may allow another one to apply.
func (d *decider) unpark() {
	for {
		i := slices.IndexFunc(d.state.Parked, func(p Parked) bool { return !waits(d.facts.Rules, d.state.Document.Status, p.Entry.Body) })
		if i < 0 {
			return
		}
		p := d.unparked(i)
		d.take(p.Entry)
	}
}

// unparked removes a parked event and its timer.
func (d *decider) unparked(i int) Parked {
	p := d.state.Parked[i]
	d.state.Parked = slices.Delete(d.state.Parked, i, i+1)
	d.changed = true
	d.out.Dropped = append(d.out.Dropped, d.parkingTimer(p, 1))
	return p
}

// parkingOver makes a dead letter of the event parked at sequence n. If the log
// took the timer's event before it was due, the timer becomes pending again,
// for a later time.
func (d *decider) parkingOver(e Entry, b TimerDue, n uint64) *Problem {
	i := slices.IndexFunc(d.state.Parked, func(p Parked) bool { return p.Entry.Sequence == n })
	if i < 0 {
		d.same = true
		return nil
	}
	if p := d.state.Parked[i]; e.Time.Before(p.Until) {
		again := d.parkingTimer(p, b.Round+1)
		again.Due = tryAgain(p.Until, e.Time, b.Round)
		d.out.Pending = append(d.out.Pending, again)
		d.same = true
		return nil
	}
	p := d.unparked(i)
	reason := problem(CodeParkedTooLong, "", "document %s was %s for %s, and a %s event cannot apply then",
		p.Entry.Document, standing(d.state.Document.Status), d.facts.ParkingLimit, p.Entry.Body.Type())
	d.out.Verdicts = append(d.out.Verdicts, Verdict{Entry: p.Entry, Result: d.refuse(p.Entry, reason), Problem: reason})
	return nil
}

// tryAgain returns when to append a timer's event again that the log took
// before it was due, for the n-th time. The worker's view of the log's clock is
// ahead, for instance of a new leader's clock, and would append the event again
// at once. So the timer waits as much longer as it was early, plus a second.
// The clock may be ahead by more than the timer was early, so the wait doubles
// with every attempt.
func tryAgain(due, at time.Time, n int) time.Time {
	return due.Add(due.Sub(at)<<min(max(n-1, 0), 8) + time.Second)
}

func standing(s Status) string {
	if s == Unseen {
		return "not created"
	}
	return string(s)
}

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
