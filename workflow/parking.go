package workflow

import (
	"fmt"
	"slices"
	"time"
)

// MaxParked is how many events of one account can wait for one document.
const MaxParked = 100

// park keeps an event until what it builds on has come, or its limit. Each
// account has MaxParked places of its own, so that it cannot take another's.
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

// parkingTimer is the event that ends the parking. A timer's subject can stand
// on the log once; the try tells one that came too early from the next.
func (d *decider) parkingTimer(p Parked, try int) PendingEvent {
	timer := fmt.Sprintf("parked-%d", p.Entry.Sequence)
	o := d.pending(fmt.Sprintf("due.%s.%d", timer, try), TimerDue{Timer: timer, Round: try, DueAt: p.Until}, p.Until)
	o.Account, o.Answers = p.Entry.Account, p.Entry.Sequence
	return o
}

// unpark takes parked events that need not wait any longer, oldest first. Each
// may let another through.
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

// parkingOver makes a dead letter of the event parked at sequence n. A timer
// that came before its time by the log's clock is owed again, later.
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

// tryAgain is when a timer comes due again that the log took at a time before
// it was due, for the n-th time. The clock that set it off is ahead, for instance
// of a new leader's, and would set it off at once: it waits as much longer as it
// was early, and a second. How far that clock is ahead nobody knows; it may be
// farther than the timer was early, so the wait doubles with every try.
func tryAgain(due, at time.Time, n int) time.Time {
	return due.Add(due.Sub(at)<<min(max(n-1, 0), 8) + time.Second)
}

func standing(s Status) string {
	if s == Unseen {
		return "not created"
	}
	return string(s)
}
