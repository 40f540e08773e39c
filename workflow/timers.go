package workflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TimerKind is what a timer of a document's round is for.
type TimerKind string

// The kinds of timers that can run for a document, one of each at a time.
const (
	TimerReminder  TimerKind = "reminder"  // the signer must be reminded
	TimerExpiry    TimerKind = "expiry"    // the letter expires unsigned
	TimerFreshness TimerKind = "freshness" // the signed letter gets too old
)

// TimerKinds lists every kind.
var TimerKinds = []TimerKind{TimerReminder, TimerExpiry, TimerFreshness}

// ReasonExpired is the reason of a document that failed because nobody signed
// it in time.
const ReasonExpired = "expired: nobody signed in time"

// The reasons of documents that the signer declined on the page and gave none.
const (
	ReasonDeclined = "declined"
	ReasonNotMe    = "not the right person"
)

// ReasonRightPerson is the reason of a document whose signer is not the right
// person, and says who is; person is "" if the signer does not say.
func ReasonRightPerson(person string) string {
	if person == "" {
		return ReasonNotMe
	}
	return ReasonNotMe + ": " + person
}

// Timer is one that runs for a document. The event that says that it came due
// is owed; it counts if the log takes it at Due or later.
type Timer struct {
	Kind   TimerKind
	Number uint64        // tells its event from the others: reminders count from 1; of the rest the first has 0, a later one the entry that owed it
	Due    time.Time     // by the log's clock
	Every  time.Duration // from this reminder to the next; 0 if none follows
	More   int           // reminders that may follow
	Early  int           // how often the log took its event before its time
}

// Name is what its event calls the timer: "reminder-2", "expiry".
func (t Timer) Name() string {
	if t.Number == 0 {
		return string(t.Kind)
	}
	return fmt.Sprintf("%s-%d", t.Kind, t.Number)
}

// start lets a timer run.
func (d *decider) start(t Timer) {
	d.state.Timers = append(d.state.Timers, t)
	d.out.Pending = append(d.out.Pending, d.dueEvent(t))
}

// dueEvent is the event that says that the timer came due.
func (d *decider) dueEvent(t Timer) PendingEvent {
	round := d.state.Document.Round
	return d.pending(fmt.Sprintf("due.%s.%d", t.Name(), round), TimerDue{Timer: t.Name(), Round: round, DueAt: t.Due}, t.Due)
}

// stop ends the timers that run, of these kinds; their events are no longer wanted
// any more.
func (d *decider) stop(kinds ...TimerKind) {
	d.state.Timers = slices.DeleteFunc(d.state.Timers, func(t Timer) bool {
		if !slices.Contains(kinds, t.Kind) {
			return false
		}
		d.out.Dropped = append(d.out.Dropped, d.dueEvent(t))
		return true
	})
}

// startRound starts the timers of a round that was sent just now.
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

// timer answers a timer that came due. One of an earlier round says nothing,
// and so does one that came before its time by the log's clock.
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
	if i < 0 { // of a log from before timers were owed
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

// tooEarly owes a timer's event again that the log took before its time.
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

// cameDue does what a timer is for, if that still makes sense.
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
	default:
		d.same = true
	}
}

// remind owes the signer one reminder, for all that came due by now, and
// starts the next. Where the letter has expired its end is on the way.
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
	StaleByAge    = "age"      // it is older than the settings, or the document, allow
	StaleByReport = "rejected" // the order service said so of one of its orders
)

// signedNow notes until when the letter is fresh.
func (d *decider) signedNow() {
	doc := &d.state.Document
	if t := d.facts.Timers.With(doc.Timers); t.FreshFor > 0 {
		doc.FreshUntil = new(doc.DateSigned.Add(Seconds(t.FreshFor)).Truncate(time.Millisecond))
		d.watchFreshness(0)
	}
}

// watchFreshness has the freshness timer of a signed document run, under this
// number, while there are orders that are not through.
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

// stale flags a letter that is too old, and announces it. A log from before
// letters had a time to be fresh has no announcement.
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

// through reports whether the order service is done with every order.
func (d *Document) through() bool {
	return !slices.ContainsFunc(d.Orders, func(o Order) bool { return o.Status != OrderCompleted })
}
