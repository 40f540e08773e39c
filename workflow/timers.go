package workflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TimerKind says what a timer of a round does.
type TimerKind string

// The kinds of timers that can run for a document, one of each at a time.
const (
	TimerReminder  TimerKind = "reminder"  // the signer must be reminded
	TimerExpiry    TimerKind = "expiry"    // the letter expires unsigned
	TimerFreshness TimerKind = "freshness" // the signed letter gets too old
	TimerWaiting   TimerKind = "waiting"   // the letter has lacked something for long
)

// TimerKinds lists every kind.
var TimerKinds = []TimerKind{TimerReminder, TimerExpiry, TimerFreshness, TimerWaiting}

// ReasonExpired is the reason of a document that failed because nobody signed
// it in time.
const ReasonExpired = "expired: nobody signed in time"

// The reasons of documents that the signer declined on the page without giving
// a reason.
const (
	ReasonDeclined = "declined"
	ReasonNotMe    = "not the right person"
)

// ReasonRightPerson returns the reason of a document whose signer is not the
// right person. person is who should sign instead, "" if the signer does not
// say.
func ReasonRightPerson(person string) string {
	if person == "" {
		return ReasonNotMe
	}
	return ReasonNotMe + ": " + person
}

// Timer is a running timer of a document. Its event is pending until Due; it
// counts if the log takes it at Due or later.
type Timer struct {
	Kind   TimerKind
	Number uint64        // makes the event's subject unique. Reminders: 1, 2, 3…; others: 0 for the first, else the sequence of the entry that scheduled it
	Due    time.Time     // by the log's time
	Every  time.Duration // from this reminder to the next; 0 if none follows
	More   int           // reminders that may follow
	Early  int           // how often the log took its event before Due
}

// Name returns the name of the timer in its event: "reminder-2", "expiry".
func (t Timer) Name() string {
	if t.Number == 0 {
		return string(t.Kind)
	}
	return fmt.Sprintf("%s-%d", t.Kind, t.Number)
}

// start starts a timer.
func (d *decider) start(t Timer) {
	d.state.Timers = append(d.state.Timers, t)
	d.out.Pending = append(d.out.Pending, d.dueEvent(t))
}

// dueEvent returns the event that says that the timer came due.
func (d *decider) dueEvent(t Timer) PendingEvent {
	round := d.state.Document.Round
	return d.pending(fmt.Sprintf("due.%s.%d", t.Name(), round), TimerDue{Timer: t.Name(), Round: round, DueAt: t.Due}, t.Due)
}

// stop ends the running timers of these kinds; their events are dropped.
func (d *decider) stop(kinds ...TimerKind) {
	d.state.Timers = slices.DeleteFunc(d.state.Timers, func(t Timer) bool {
		if !slices.Contains(kinds, t.Kind) {
			return false
		}
		d.out.Dropped = append(d.out.Dropped, d.dueEvent(t))
		return true
	})
}

// startRound starts the timers of a round that has just been sent.
func (d *decider) startRound() {
	doc, t := &d.state.Document, d.facts.Timers.With(d.state.Document.Timers)
	doc.ExpiresAt = nil
	if t.ExpireAfter > 0 {
		doc.ExpiresAt = new(d.now.Add(Seconds(t.ExpireAfter)))
	}
	if t.RemindAfter > 0 && t.RemindMost > 0 {
		d.startReminder(Timer{
			Kind: TimerReminder, Number: 1, Due: d.now.Add(Seconds(t.RemindAfter)),
			Every: Seconds(t.RemindEvery), More: t.RemindMost - 1,
		})
	}
	if doc.ExpiresAt != nil {
		d.start(Timer{Kind: TimerExpiry, Due: *doc.ExpiresAt})
	}
}

// startReminder starts a reminder, unless the letter expires before.
func (d *decider) startReminder(t Timer) {
	if until := d.state.Document.ExpiresAt; until == nil || t.Due.Before(*until) {
		d.start(t)
	}
}

// timer handles a timer that came due. An event of an earlier round changes
// nothing. An event that the log took before the timer was due does not count.
func (d *decider) timer(e Entry, b TimerDue) *Problem {
	name, number, _ := strings.Cut(b.Timer, "-")
	n, _ := strconv.ParseUint(number, 10, 64)
	if name == "parked" {
		return d.parkingOver(e, b, n)
	}
	if b.Round != d.state.Document.Round {
		d.same = true
		return nil
	}
	kind := TimerKind(name)
	i := slices.IndexFunc(d.state.Timers, func(t Timer) bool { return t.Kind == kind })
	if i < 0 { // no such timer runs
		d.cameDue(Timer{Kind: kind, Number: n, Due: b.DueAt})
		return nil
	}
	switch t := d.state.Timers[i]; {
	case t.Name() != b.Timer:
		d.same = true
	case e.Time.Before(t.Due):
		d.tooEarly(i, e)
	default:
		d.state.Timers = slices.Delete(d.state.Timers, i, i+1)
		d.cameDue(t)
	}
	return nil
}

// tooEarly makes a timer's event pending again that the log took before the
// timer was due.
func (d *decider) tooEarly(i int, e Entry) {
	t := d.state.Timers[i]
	if t.Number = e.Sequence; t.Kind == TimerReminder {
		t.Number = d.state.Timers[i].Number + 1
	}
	t.Early++
	d.state.Timers[i] = t
	again := d.dueEvent(t)
	again.Due = tryAgain(t.Due, e.Time, t.Early)
	d.out.Pending = append(d.out.Pending, again)
	d.same = true
}

// cameDue does what the timer is for.
func (d *decider) cameDue(t Timer) {
	doc := &d.state.Document
	switch {
	case t.Kind == TimerReminder && doc.Status == Signing:
		d.remind(t)
	case t.Kind == TimerExpiry && (doc.Status == Opened || doc.Status == Signing):
		d.fail(EndedExpired, ReasonExpired)
	case t.Kind == TimerFreshness && doc.Status == Signed && !doc.LetterStale && !doc.through():
		d.note(TypeTimerDue, "the letter is too old for orders that are not through")
		d.stale(StaleByAge)
	case t.Kind == TimerWaiting && doc.Waits():
		d.incomplete()
	default:
		d.same = true
	}
}

// remind makes one reminder pending for all that came due until now, and starts
// the next timer. It does nothing if the letter has expired, because the
// document is about to fail.
func (d *decider) remind(t Timer) {
	doc := &d.state.Document
	if doc.ExpiresAt != nil && !d.now.Before(*doc.ExpiresAt) {
		d.same = true
		return
	}
	if at := d.nextAsk(false); !at.IsZero() {
		d.note(TypeTimerDue, t.Name()+": put off, because the signer has got many emails lately")
		t.Number, t.Early, t.Due = t.Number+1, 0, at
		d.startReminder(t)
		return
	}
	next := t
	for next.More > 0 && next.Every > 0 && !next.Due.After(d.now) {
		next.Due, next.More = next.Due.Add(next.Every), next.More-1
	}
	if next.Due.After(d.now) {
		next.Number, next.Early = next.Number+1, 0
		d.startReminder(next)
	}
	if slices.ContainsFunc(d.state.Mails, func(m Mail) bool { return m.Kind == MailReminder && m.Round == doc.Round }) {
		d.note(TypeTimerDue, t.Name()+": an earlier reminder is still on its way")
		return
	}
	d.note(TypeTimerDue, t.Name())
	d.mail(MailReminder, int(t.Number), doc.Email)
}

// Why a signed letter is too old.
const (
	StaleByAge    = "age"      // it is older than the settings or the document allow
	StaleByReport = "rejected" // the order service rejected it for one of its orders
)

// signedNow sets until when the letter is fresh.
func (d *decider) signedNow() {
	doc := &d.state.Document
	if t := d.facts.Timers.With(doc.Timers); t.FreshFor > 0 {
		doc.FreshUntil = new(doc.DateSigned.Add(Seconds(t.FreshFor)).Truncate(time.Millisecond))
		d.watchFreshness(0)
	}
}

// watchFreshness runs the freshness timer of a signed document, under this
// number, while there are orders that are not completed.
func (d *decider) watchFreshness(number uint64) {
	doc := &d.state.Document
	running := slices.ContainsFunc(d.state.Timers, func(t Timer) bool { return t.Kind == TimerFreshness })
	switch {
	case doc.FreshUntil == nil || doc.LetterStale:
	case doc.through():
		d.stop(TimerFreshness)
	case running:
	case d.now.Before(*doc.FreshUntil):
		d.start(Timer{Kind: TimerFreshness, Number: number, Due: *doc.FreshUntil})
	default:
		d.stale(StaleByAge)
	}
}

// stale flags a letter that is too old, and announces it, unless the document
// has no time until which its letter is fresh.
func (d *decider) stale(reason string) {
	doc := &d.state.Document
	doc.LetterStale, doc.DateUpdated = true, d.now
	d.stop(TimerFreshness)
	if doc.FreshUntil == nil && reason == StaleByAge {
		return
	}
	b := LetterStale{Reason: reason, Round: doc.Round, DateSigned: *doc.DateSigned, OrderSIDs: []SID{}}
	for _, o := range doc.Orders {
		if o.Status != OrderCompleted {
			b.OrderSIDs = append(b.OrderSIDs, o.SID)
		}
	}
	d.note(b.Type(), reason)
	d.owe(fmt.Sprintf("stale.%d", doc.Round), b, d.now)
}

// through reports whether every order is completed.
func (d *Document) through() bool {
	return !slices.ContainsFunc(d.Orders, func(o Order) bool { return o.Status != OrderCompleted })
}
