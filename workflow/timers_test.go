package workflow_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/workflow"
)

const day = int64(24 * 60 * 60)

// fieldTimers are the defaults of the settings.
var fieldTimers = workflow.Timers{RemindAfter: 3 * day, RemindEvery: 3 * day, RemindMost: 4, ExpireAfter: 30 * day, FreshFor: 30 * day}

// timed is a desk with timers in force.
func timed(t *testing.T, timers workflow.Timers, own *workflow.OwnTimers) *desk {
	t.Helper()
	d := newDesk(t)
	d.facts.Timers = timers
	c := created()
	c.Timers = own
	d.do(c)
	d.accept()
	return d
}

// running lists the timers that run: "reminder-2 72h".
func (d *desk) running() string {
	var out []string
	for _, t := range d.state.Timers {
		out = append(out, fmt.Sprintf("%s %s", t.Name(), t.Due.Sub(d.now)))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// pass lets time pass, and each timer come due that is owed by then, as late as
// that. It returns what came due.
func (d *desk) pass(by time.Duration) string {
	d.t.Helper()
	d.now = d.now.Add(by)
	var out []string
	for {
		i := slices.IndexFunc(d.state.Timers, func(t workflow.Timer) bool { return !t.Due.After(d.now) })
		if i < 0 {
			return strings.Join(out, ", ")
		}
		t := d.state.Timers[i]
		out = append(out, t.Name())
		d.now = d.now.Add(-time.Minute) // do adds it
		d.do(workflow.TimerDue{Timer: t.Name(), Round: d.state.Document.Round, DueAt: t.Due})
	}
}

func (d *desk) count(kind workflow.MailKind) (n int) {
	for _, m := range d.sent {
		if m.Kind == kind && m.State != workflow.MailWithdrawn {
			n++
		}
	}
	return n
}

func TestDecide_RoundIsRemindedAndExpires(t *testing.T) {
	d := newDesk(t)
	d.facts.Timers = fieldTimers
	d.do(created())
	want(t, "before it is sent", d.running(), "")
	d.settle(workflow.MailOutcome{Outcome: workflow.Accepted})
	want(t, "sent", d.running(), "expiry 720h0m0s, reminder-1 72h0m0s")
	sent := d.now
	if got := d.state.Document.ExpiresAt; got == nil || !got.Equal(sent.AddDate(0, 0, 30)) {
		t.Errorf("it expires at %v", got)
	}
	d.accept()
	for n := 1; n <= 4; n++ {
		d.now = sent.AddDate(0, 0, 3*n-1)
		want(t, "due", d.pass(24*time.Hour), fmt.Sprint("reminder-", n))
		d.accept()
	}
	want(t, "after the last reminder", d.running()[:6], "expiry")
	d.now = sent.AddDate(0, 0, 29)
	want(t, "due", d.pass(24*time.Hour), "expiry")
	want(t, "status", string(d.state.Document.Status)+" "+d.state.Document.Reason, "failed expired: nobody signed in time")
	want(t, "reminders", fmt.Sprint(d.count(workflow.MailReminder)), "4")
	want(t, "running at the end", d.running(), "")
	want(t, "cc is not told", fmt.Sprint(d.count(workflow.MailFailed)), "0")
}

func TestDecide_MissedRemindersAreOne(t *testing.T) {
	d := timed(t, fieldTimers, nil)
	sent := d.state.Document.ExpiresAt.AddDate(0, 0, -30)
	d.now = sent
	want(t, "due after ten days", d.pass(10*24*time.Hour), "reminder-1")
	want(t, "reminders", fmt.Sprint(d.count(workflow.MailReminder)), "1")
	want(t, "the next is the fourth's", d.running(), "expiry 480h0m0s, reminder-2 48h0m0s")
	want(t, "due", d.pass(2*24*time.Hour), "reminder-2")
	want(t, "while one is on its way there is no other", fmt.Sprint(d.count(workflow.MailReminder)), "1")
	want(t, "none is left", d.running(), "expiry 432h0m0s")
}

func TestDecide_ExpiredRoundHasNoReminder(t *testing.T) {
	d := timed(t, fieldTimers, nil)
	d.now = d.state.Document.ExpiresAt.Add(time.Hour)
	want(t, "due", d.pass(0), "reminder-1, expiry")
	want(t, "reminders", fmt.Sprint(d.count(workflow.MailReminder)), "0")
	want(t, "status", string(d.state.Document.Status), "failed")
	d = timed(t, workflow.Timers{RemindAfter: 3 * day, RemindEvery: 3 * day, RemindMost: 9, ExpireAfter: 7 * day}, nil)
	d.now = d.state.Document.ExpiresAt.AddDate(0, 0, -7)
	want(t, "due", d.pass(3*24*time.Hour)+" "+d.pass(3*24*time.Hour), "reminder-1 reminder-2")
	want(t, "no third", d.running(), "expiry 24h0m0s")
}

// TestDecide_EndOfARoundStopsItsTimers has each end, and each recall, take the
// timers' events back; the next round has its own.
func TestDecide_EndOfARoundStopsItsTimers(t *testing.T) {
	for _, s := range []workflow.Status{workflow.Signed, workflow.Canceled, workflow.Failed, workflow.Opened} {
		d := timed(t, workflow.Timers{RemindAfter: 3 * day, RemindMost: 1, ExpireAfter: 30 * day}, nil)
		d.do(workflow.StatusChanged{Status: s})
		var dropped []string
		for _, o := range d.last.Dropped {
			dropped = append(dropped, o.What)
		}
		want(t, string(s)+": taken back", strings.Join(dropped, " "), "due.reminder-1.1 due.expiry.1")
		want(t, string(s)+": running", d.running(), "")
		late := d.do(workflow.TimerDue{Timer: "reminder-1", Round: 1, DueAt: d.now.Add(-time.Hour)})
		want(t, string(s)+": one that comes all the same", results(late), "unchanged")
		if s != workflow.Opened {
			continue
		}
		if d.state.Document.ExpiresAt != nil {
			t.Error("a recalled document expires")
		}
		d.do(workflow.StatusChanged{Status: workflow.Signing})
		d.accept()
		want(t, "the next round", d.owed()[strings.Index(d.owed(), "due.reminder-1.2"):], "due.reminder-1.2, due.expiry.2, became.signing.2")
	}
}

func TestDecide_EarlyTimerDoesNotCount(t *testing.T) {
	d := timed(t, fieldTimers, nil)
	expires := *d.state.Document.ExpiresAt
	for _, timer := range []string{"reminder-1", "expiry"} {
		d.do(workflow.TimerDue{Timer: timer, Round: 1})
		want(t, timer, results(d.last)+" "+string(d.state.Document.Status), "unchanged signing")
		again := d.last.Pending[0]
		due := again.Body.(workflow.TimerDue).DueAt
		if want := due.Add(due.Sub(d.now) + time.Second); len(d.last.Pending) != 1 || !again.Due.Equal(want) {
			t.Errorf("%s is owed again for %s, want %s: %v", timer, again.Due, want, d.last.Pending)
		}
	}
	expiry := fmt.Sprint("expiry-", d.seq)
	want(t, "owed again", d.owed()[strings.Index(d.owed(), "due.reminder-2"):], "due.reminder-2.1, due."+expiry+".1")
	d.now = expires.AddDate(0, 0, -27)
	d.do(workflow.TimerDue{Timer: "reminder-1", Round: 1})
	want(t, "the early one, again", results(d.last), "unchanged")
	want(t, "in time", d.pass(time.Minute), "reminder-2")
	want(t, "reminders", fmt.Sprint(d.count(workflow.MailReminder)), "1")
	d.now = expires
	d.do(workflow.TimerDue{Timer: expiry, Round: 1})
	want(t, "expired", string(d.state.Document.Status), "failed")
}

// TestDecide_TimerOfAClockFarAheadWaits has the event of an expiry appended by a clock
// that is five minutes ahead, a minute before its time: it is owed again a
// handful of times, and not without end.
func TestDecide_TimerOfAClockFarAheadWaits(t *testing.T) {
	d := timed(t, workflow.Timers{ExpireAfter: day}, nil)
	expires := *d.state.Document.ExpiresAt
	d.now = expires.Add(-2 * time.Minute)
	tries := 0
	for due := expires; !due.After(d.now.Add(5 * time.Minute)); tries++ {
		d.do(workflow.TimerDue{Timer: d.state.Timers[0].Name(), Round: 1})
		d.now = d.now.Add(-time.Minute) // do has added it
		due = d.last.Pending[0].Due
	}
	if tries < 2 || tries > 5 || d.state.Document.Status != workflow.Signing {
		t.Errorf("tried %d times, %s", tries, d.state.Document.Status)
	}
}

func TestDecide_DocumentsOwnTimers(t *testing.T) {
	d := timed(t, fieldTimers, &workflow.OwnTimers{RemindMost: new(0), ExpireAfter: new(7 * day)})
	want(t, "running", d.running(), "expiry 167h56m0s")
	d = timed(t, workflow.Timers{}, &workflow.OwnTimers{RemindAfter: new(day), RemindMost: new(1)})
	want(t, "where the settings have none", d.running(), "reminder-1 23h56m0s")
	d.do(workflow.StatusChanged{Status: workflow.Opened})
	d.do(workflow.Updated{Timers: &workflow.OwnTimers{ExpireAfter: new(day)}})
	d.do(workflow.Updated{Timers: &workflow.OwnTimers{ExpireAfter: new(day)}})
	want(t, "the same again", results(d.last), "unchanged")
	d.do(workflow.StatusChanged{Status: workflow.Signing})
	round := d.state.Document.Round
	d.do(workflow.Updated{Timers: &workflow.OwnTimers{ExpireAfter: new(2 * day)}})
	want(t, "changed while it is being sent", fmt.Sprint(d.state.Document.Round-round, len(d.state.Mails)), "0 1")
	d.accept()
	want(t, "in place of the old ones", d.running()[:6], "expiry")
	d.do(workflow.StatusChanged{Status: workflow.Opened})
	d.do(workflow.Updated{Timers: &workflow.OwnTimers{}})
	if d.state.Document.Timers != nil {
		t.Errorf("an empty object leaves %+v", d.state.Document.Timers)
	}
}

func TestDecide_Freshness(t *testing.T) {
	sign := func(own *workflow.OwnTimers) *desk {
		d := timed(t, fieldTimers, own)
		d.do(workflow.StatusChanged{Status: workflow.Signed})
		d.accept()
		return d
	}
	complete := func(d *desk, orders ...workflow.SID) {
		for _, o := range orders {
			d.do(workflow.OrderStatusChanged{Order: o, Status: workflow.OrderCompleted})
		}
	}
	d := sign(nil)
	complete(d, order1)
	want(t, "too old for one order", d.pass(30*24*time.Hour), "freshness")
	stale := d.events[len(d.events)-1]
	want(t, "announced", fmt.Sprintf("%s %v", stale.What, stale.Body.(workflow.LetterStale).OrderSIDs), "stale.1 ["+string(order2)+"]")
	want(t, "flagged", fmt.Sprint(d.state.Document.LetterStale), "true")

	d = sign(nil)
	complete(d, order1, order2)
	want(t, "through: the timer", d.running()+" "+d.last.Dropped[0].What, " due.freshness.1")
	d.do(workflow.OrderStatusChanged{Order: order1, Status: workflow.OrderActionRequired})
	want(t, "one that is not through after all", d.state.Timers[0].Name(), fmt.Sprint("freshness-", d.seq))
	complete(d, order1)
	d.now = d.now.AddDate(0, 2, 0)
	d.do(workflow.OrderStatusChanged{Order: order1, Status: workflow.OrderFailed})
	want(t, "later, when the letter is old", fmt.Sprint(d.state.Document.LetterStale, d.running()), "true")
	want(t, "announced", d.events[len(d.events)-1].What, "stale.1")

	d = sign(&workflow.OwnTimers{FreshFor: new(int64(0))})
	want(t, "without a time", d.running(), "")
	d.do(workflow.OrderStatusChanged{Order: order1, Status: workflow.OrderFailed, LetterTooOld: true})
	want(t, "as the order service reports", d.events[len(d.events)-1].Body.(workflow.LetterStale).Reason, "rejected")
	owed := len(d.events)
	d.do(workflow.OrderStatusChanged{Order: order2, Status: workflow.OrderFailed, LetterTooOld: true})
	want(t, "once", fmt.Sprint(len(d.events)-owed), "0")
}

func TestDecide_NoticesToCC(t *testing.T) {
	for _, tt := range []struct {
		on   []workflow.Status
		ends workflow.Status
		want string
	}{
		{nil, workflow.Canceled, ""},
		{[]workflow.Status{workflow.Failed}, workflow.Canceled, ""},
		{workflow.Notices, workflow.Canceled, "canceled a@, canceled b@"},
		{workflow.Notices, workflow.Failed, "failed a@, failed b@"},
		{workflow.Notices, workflow.Signed, "signed signer@, signed a@, signed b@"},
	} {
		d := newDesk(t)
		d.facts.NotifyCC = tt.on
		c := created()
		c.CCEmails = append(c.CCEmails, "A@example.com")
		d.do(c)
		d.accept()
		d.do(workflow.StatusChanged{Status: tt.ends})
		var got []string
		for _, m := range d.last.Mails {
			got = append(got, string(m.Kind)+" "+strings.TrimSuffix(m.Recipient, "example.com"))
		}
		want(t, fmt.Sprint(tt.on, tt.ends), strings.Join(got, ", "), tt.want)
	}
}
