package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"countersign/db"
	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

// month is a log, and workers that come and go, by a clock that is moved from
// one thing that happens to the next. The stores are real, on disk, and what is
// on the log was encoded and decoded; who appends is made up: one worker that is
// up, whenever there is one.
type month struct {
	t      *testing.T
	rng    *rand.Rand
	now    time.Time
	ahead  time.Duration // of the worker's clock, before the log's
	log    []workflow.Entry
	last   map[string]uint64
	dirs   []string
	stores []*db.Store // nil while the worker is down
	up     []span      // when at least one worker was up
}

// span is a time in which somebody is up.
type span struct{ from, to time.Time }

var monthBegan = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func newMonth(t *testing.T, seed uint64, workers int) *month {
	m := &month{t: t, rng: rand.New(rand.NewPCG(seed, 7)), now: monthBegan, last: map[string]uint64{}}
	for range workers {
		m.dirs, m.stores = append(m.dirs, t.TempDir()), append(m.stores, nil)
	}
	return m
}

// append puts an event on the log. One that has to be the first on its subject
// and is not changes nothing.
func (m *month) append(e events.Event, once bool) uint64 {
	m.t.Helper()
	msg, err := e.Message()
	if err != nil {
		m.t.Fatal(err)
	}
	if once && m.last[msg.Subject] > 0 {
		return 0
	}
	seq := uint64(len(m.log) + 1)
	m.log = append(m.log, events.Decode(events.Message{Sequence: seq, Time: m.now, Subject: msg.Subject, Header: msg.Header, Data: msg.Data}))
	m.last[msg.Subject] = seq
	return seq
}

// start starts a worker, now and then on an empty disk.
func (m *month) start(i int) {
	if m.rng.IntN(3) == 0 {
		m.dirs[i] = m.t.TempDir()
	}
	s, err := db.Open(m.t.Context(), m.dirs[i])
	if err != nil {
		m.t.Fatal(err)
	}
	m.stores[i] = s
}

func (m *month) stop(i int) {
	if err := m.stores[i].Close(); err != nil {
		m.t.Fatal(err)
	}
	m.stores[i] = nil
}

// catchUp folds what a store has not folded yet, in batches of any cut.
func (m *month) catchUp(s *db.Store) {
	m.t.Helper()
	for at := int(s.Position().Sequence); at < len(m.log); {
		n := min(1+m.rng.IntN(200), len(m.log)-at)
		if err := s.Apply(m.t.Context(), monthBegan, m.log[at:at+n]); err != nil {
			m.t.Fatal(err)
		}
		at += n
	}
}

// work has a running worker do all that is pending. It may die with mails in
// flight.
func (m *month) work() {
	m.t.Helper()
	for {
		s := m.one()
		if s == nil {
			return
		}
		m.catchUp(s)
		due, err := s.DueEvents(m.t.Context(), m.now.Add(m.ahead), m.now.Add(m.ahead), 0, 500)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, o := range due {
			m.append(eventlog.FromPending(o.PendingEvent), true)
		}
		mails, err := s.DueMails(m.t.Context(), m.now, nil, 100)
		if err != nil {
			m.t.Fatal(err)
		}
		open, err := s.OpenClaims(m.t.Context())
		if err != nil {
			m.t.Fatal(err)
		}
		if len(due)+len(mails)+len(open) == 0 {
			return
		}
		m.send(s, mails, open)
	}
}

// one is a worker that is up, or nil.
func (m *month) one() *db.Store {
	var up []*db.Store
	for _, s := range m.stores {
		if s != nil {
			up = append(up, s)
		}
	}
	if len(up) == 0 {
		return nil
	}
	return up[m.rng.IntN(len(up))]
}

// send sends what is due, and first what another claim has left in doubt.
func (m *month) send(s *db.Store, due []db.DueMail, open []uint64) {
	m.t.Helper()
	worker := s.Position().Worker
	claim := workflow.Claimed{Worker: worker}
	for _, seq := range open {
		left, err := s.ClaimedMails(m.t.Context(), seq)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, l := range left {
			claim.Mails = append(claim.Mails, l.ID)
		}
	}
	for _, d := range due {
		claim.Mails = append(claim.Mails, d.ID)
	}
	if len(claim.Mails) == 0 {
		return
	}
	seq := m.append(eventlog.Claimed(fmt.Sprint("claim-", len(m.log)), m.now, claim), false)
	if m.rng.IntN(20) == 0 {
		return // it dies here; the next look sends them again
	}
	done := workflow.Settled{Worker: worker, Claim: seq}
	for _, id := range claim.Mails {
		o := workflow.MailOutcome{Mail: id, Outcome: workflow.Accepted, Code: 250, Reply: "ok"}
		if id.Kind() != workflow.MailReminder && m.rng.IntN(10) == 0 {
			o = workflow.MailOutcome{Mail: id, Outcome: workflow.Deferred, Code: 451, RetryAfterMs: int64(m.rng.IntN(3_600_000))}
		}
		done.Outcomes = append(done.Outcomes, o)
	}
	m.append(eventlog.Settled(fmt.Sprint("settled-", len(m.log)), m.now, done), false)
}

// next is when the worker that is up will have something to do; zero where
// there is none, or nothing.
func (m *month) next() time.Time {
	s := m.one()
	if s == nil {
		return time.Time{}
	}
	m.catchUp(s)
	event, err := s.NextDueEvent(m.t.Context(), m.now)
	if err != nil {
		m.t.Fatal(err)
	}
	mail, err := s.NextDueMail(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	if event.IsZero() || !mail.IsZero() && mail.Before(event) {
		event = mail
	}
	return event
}

// happening is something that the month has in store.
type happening struct {
	at time.Time
	do func()
}

// run lets the month pass: all that is to happen, and all that comes due.
func (m *month) run(plan []happening, until time.Time) {
	m.t.Helper()
	slices.SortStableFunc(plan, func(a, b happening) int { return a.at.Compare(b.at) })
	for {
		m.work()
		next := until
		if len(plan) > 0 {
			next = plan[0].at
		}
		if due := m.next(); !due.IsZero() && due.Before(next) {
			next = due
			if !next.After(m.now) {
				next = m.now.Add(time.Millisecond)
			}
			m.now = next
			continue
		}
		m.now = next
		if len(plan) == 0 {
			m.work()
			return
		}
		plan[0].do()
		plan = plan[1:]
	}
}

// outages plans when which worker is up: short restarts, long outages, and
// times of days in which nobody is.
func (m *month) outages(days int) (plan []happening) {
	type change struct {
		at time.Time
		by int
	}
	var changes []change
	for i := range m.stores {
		for at := monthBegan; at.Before(monthBegan.AddDate(0, 0, days)); {
			up := time.Duration(1+m.rng.IntN(60)) * time.Hour
			down := time.Duration(1+m.rng.IntN(600)) * time.Second
			if m.rng.IntN(3) == 0 {
				down = time.Duration(1+m.rng.IntN(120)) * time.Hour
			}
			plan = append(plan, happening{at, func() { m.start(i) }}, happening{at.Add(up), func() { m.stop(i) }})
			changes = append(changes, change{at, 1}, change{at.Add(up), -1})
			at = at.Add(up + down)
		}
	}
	slices.SortStableFunc(changes, func(a, b change) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return b.by - a.by
	})
	n := 0
	for _, c := range changes {
		switch n += c.by; {
		case n == 1 && c.by == 1:
			m.up = append(m.up, span{from: c.at})
		case n == 0:
			m.up[len(m.up)-1].to = c.at
		}
	}
	return plan
}

// seen is the first time from at on at which somebody is up; zero for never.
func (m *month) seen(at time.Time) time.Time {
	for _, s := range m.up {
		if at.Before(s.to) {
			if at.Before(s.from) {
				return s.from
			}
			return at
		}
	}
	return time.Time{}
}

// document plans one document's life.
func (m *month) document(n int) []happening {
	doc, at := sid("PX", n), monthBegan.Add(time.Duration(m.rng.Int64N(int64(25*24*time.Hour))))
	var plan []happening
	say := func(after time.Duration, e func(id string) events.Event) {
		at = at.Add(after)
		id := fmt.Sprintf("%d-%d", n, len(plan))
		plan = append(plan, happening{at, func() { m.append(e(id), false) }})
	}
	status := func(after time.Duration, s workflow.Status) {
		say(after, func(id string) events.Event {
			return events.StatusChanged("/desk", id, account, doc, workflow.StatusChanged{Status: s})
		})
	}
	days := func(most int) time.Duration { return time.Duration(m.rng.Int64N(int64(most) * int64(24*time.Hour))) }
	say(0, func(id string) events.Event {
		return events.Created("/orders", id, account, doc, workflow.Created{
			AddressSID: sid("AD", 1), Email: fmt.Sprintf("signer%d@example.com", n), HostedNumberOrderSIDs: []workflow.SID{sid("HR", n)},
			CCEmails: []string{"ops@example.com"}, Timers: m.policy(),
		})
	})
	for m.rng.IntN(4) == 0 {
		status(days(8), workflow.Opened)
		status(days(3), workflow.Signing)
	}
	switch m.rng.IntN(4) {
	case 0:
		status(days(12), workflow.Canceled)
	case 1, 2:
		status(days(20), workflow.Signed)
		if m.rng.IntN(2) == 0 {
			say(days(20), func(id string) events.Event {
				return events.OrderStatusChanged("/numbers", id, account, doc, sid("HR", n), workflow.OrderStatusChanged{Status: workflow.OrderCompleted})
			})
		}
	}
	return plan
}

// policy is a document's own, or nil for the settings'.
func (m *month) policy() *workflow.OwnTimers {
	if m.rng.IntN(3) == 0 {
		return nil
	}
	hours := func(from, to int) *int64 {
		if m.rng.IntN(4) == 0 {
			return new(int64(0))
		}
		return new(3600 * int64(from+m.rng.IntN(to-from)))
	}
	return &workflow.OwnTimers{
		RemindAfter: hours(6, 120), RemindEvery: hours(6, 96), RemindMost: new(m.rng.IntN(6)), ExpireAfter: hours(12, 500), FreshFor: hours(12, 400),
	}
}

var monthTimers = workflow.Timers{
	RemindAfter: 3 * 86400, RemindEvery: 3 * 86400, RemindMost: 4, ExpireAfter: 14 * 86400, FreshFor: 10 * 86400,
}

// monthLimits are the defaults; what people do in a month never meets them.
var monthLimits = workflow.MailLimits{Interval: 10, PerDay: 30}

// TestMonth has the letters of a month reminded of, expire and get too old,
// while workers are restarted, lose their disks and are away for days: exactly
// what was due is done, at the time when somebody was there to do it.
func TestMonth(t *testing.T) {
	for seed := range number(t, "SIM_MONTHS", 2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := newMonth(t, seed, 1+int(seed%3))
			m.append(eventlog.RulesActivated("rules", m.now, workflow.RulesActivated{Version: 1, ParkingLimitSeconds: 86400, Timers: &monthTimers, MailLimits: &monthLimits}), false)
			plan := m.outages(75)
			for n := range 100 {
				plan = append(plan, m.document(n+1)...)
			}
			m.run(plan, monthBegan.AddDate(0, 0, 75))
			m.judge()
		})
	}
}

// TestMonth_ClockAhead has what comes due appended before its time,
// again and again: none of it counts early, and the log does not fill.
func TestMonth_ClockAhead(t *testing.T) {
	m := newMonth(t, 99, 1)
	m.ahead = 5 * time.Minute
	m.append(eventlog.RulesActivated("rules", m.now, workflow.RulesActivated{Version: 1, ParkingLimitSeconds: 86400, Timers: &monthTimers, MailLimits: &monthLimits}), false)
	plan := []happening{{m.now, func() { m.start(0) }}}
	for n := range 20 {
		plan = append(plan, m.document(n+1)...)
	}
	m.run(plan, monthBegan.AddDate(0, 0, 75))
	early, due := 0, 0
	for _, e := range m.log {
		if b, ok := e.Body.(workflow.TimerDue); ok {
			due++
			if e.Time.Before(b.DueAt) {
				early++
			}
		}
	}
	s := m.stores[0]
	life, err := s.Documents(t.Context(), db.Filter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range life {
		if d.EndedBy == workflow.EndedExpired && d.DateUpdated.Before(*d.ExpiresAt) {
			t.Errorf("%s expired at %s, before %s", d.SID, d.DateUpdated, d.ExpiresAt)
		}
	}
	if early == 0 || early > due/2 {
		t.Errorf("%d timers came due, %d of them early", due, early)
	}
	t.Logf("%d timers came due, %d of them early", due, early)
	m.stop(0)
}
