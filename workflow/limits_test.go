package workflow_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/workflow"
)

// usual are the limits that a program without settings has.
var usual = workflow.MailLimits{Interval: 10, PerDay: 30}

// after folds an event that comes so long after the last.
func (d *desk) after(wait time.Duration, b workflow.Body) workflow.Decision {
	d.t.Helper()
	d.now = d.now.Add(wait - time.Minute)
	return d.do(b)
}

// deliver has the mails that are owed accepted at once.
func (d *desk) deliver() {
	d.t.Helper()
	for len(d.state.Mails) > 0 {
		id := d.state.Mails[0].ID
		d.after(0, workflow.Claimed{Worker: "w", Mails: []workflow.MailID{id}})
		d.after(0, workflow.Settled{Worker: "w", Claim: d.seq, Outcomes: []workflow.MailOutcome{{Mail: id, Outcome: workflow.Accepted}}})
	}
}

// asked lists when the emails were owed that ask for the signature and have left.
func (d *desk) asked() (times []time.Time) {
	for _, m := range d.sent {
		if m.Kind.Asks() && m.Attempts > 0 {
			times = append(times, m.CausedAt)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times
}

// checkLimits fails the test if more emails have left than the limits allow.
func checkLimits(t *testing.T, d *desk) {
	t.Helper()
	times, l := d.asked(), d.facts.MailLimits
	for _, w := range []struct {
		most   int
		within time.Duration
	}{{l.PerDay, 24 * time.Hour}, {workflow.MailBurst * int(min(1, l.Interval)), workflow.MailBurst * workflow.Seconds(l.Interval)}} {
		for i := w.most; w.most > 0 && i < len(times); i++ {
			if gap := times[i].Sub(times[i-w.most]); gap < w.within {
				t.Fatalf("%d emails within %s; %d within %s are allowed", w.most+1, gap, w.most, w.within)
			}
		}
	}
}

// cannons are the ways to have one document send its signature email again and
// again.
var cannons = map[string][]workflow.Body{
	"recall and send": {workflow.StatusChanged{Status: workflow.Opened}, workflow.StatusChanged{Status: workflow.Signing}},
	"resend":          {workflow.Resend{}},
	"recall, change and send": {
		workflow.StatusChanged{Status: workflow.Opened}, workflow.Updated{ContactTitle: new("other")}, workflow.StatusChanged{Status: workflow.Signing},
	},
}

func TestMailLimits_ADocumentIsNoCannon(t *testing.T) {
	for name, shot := range cannons {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.facts.MailLimits = usual
			d.do(created())
			d.deliver()
			for range 448 {
				for _, b := range shot {
					d.after(20*time.Millisecond, b)
					p := d.last.Verdicts[0].Problem
					if s, ok := b.(workflow.StatusChanged); ok && s.Status == workflow.Opened && p != nil {
						t.Fatalf("a recall was refused: %v", p)
					}
					if p != nil && (p.Code != workflow.CodeTooManyEmails || d.last.Verdicts[0].Result != workflow.ResultRefused) {
						t.Fatalf("refused as %s: %v", p.Code, p)
					}
				}
				d.deliver()
			}
			if n := len(d.asked()); n != workflow.MailBurst {
				t.Errorf("%d emails left, want %d", n, workflow.MailBurst)
			}
			checkLimits(t, d)
			for range 200 { // and patiently, for half a day
				for _, b := range shot {
					d.after(4*time.Minute/time.Duration(len(shot)), b)
				}
				d.deliver()
			}
			checkLimits(t, d)
			if n := len(d.asked()); n != usual.PerDay {
				t.Errorf("%d emails left within a day, want %d", n, usual.PerDay)
			}
		})
	}
}

// TestMailLimits_UpdatesOfAnOpenedDocument changes a document whose emails are
// begun, and deferred by the mail server: each change is another email.
func TestMailLimits_UpdatesOfAnOpenedDocument(t *testing.T) {
	d := newDesk(t)
	d.facts.MailLimits = usual
	d.do(created())
	for i := range 448 {
		for _, m := range d.state.Mails {
			if m.State == workflow.MailPending {
				d.after(0, workflow.Claimed{Worker: "w", Mails: []workflow.MailID{m.ID}})
				d.after(0, workflow.Settled{Worker: "w", Claim: d.seq, Outcomes: []workflow.MailOutcome{{Mail: m.ID, Outcome: workflow.Deferred}}})
			}
		}
		before := d.state.Document
		d.after(20*time.Millisecond, workflow.Updated{Email: new(fmt.Sprintf("s%d@example.com", i))})
		if p := d.last.Verdicts[0].Problem; p != nil && (p.Code != workflow.CodeTooManyEmails || d.state.Document.Email != before.Email) {
			t.Fatalf("update %d: %v", i, p)
		}
	}
	if n := len(d.asked()); n != workflow.MailBurst {
		t.Errorf("%d emails were begun, want %d", n, workflow.MailBurst)
	}
	checkLimits(t, d)
}

func TestMailLimits_TheRefusalSaysWhenToAskAgain(t *testing.T) {
	d := newDesk(t)
	d.facts.MailLimits = workflow.MailLimits{Interval: 60, PerDay: 30}
	d.do(created())
	d.deliver()
	began := d.sent[d.order[0]].CausedAt
	for range workflow.MailBurst {
		d.after(time.Second, workflow.Resend{})
		d.deliver()
	}
	at := began.Add(workflow.MailBurst * time.Minute)
	d.after(time.Second, workflow.Resend{})
	p := d.last.Verdicts[0].Problem
	if p == nil || !strings.HasSuffix(p.Message, "ask again at "+at.Format(time.RFC3339)+" or later") {
		t.Fatalf("the refusal is %v, want one until %s", p, at)
	}
	d.after(at.Sub(d.now), workflow.Resend{})
	if p = d.last.Verdicts[0].Problem; p != nil {
		t.Errorf("at the time that it named: %v", p)
	}
}

// TestMailLimits_HonestUse corrects an address three times in a minute, and has
// many facts come one by one before the first email is begun.
func TestMailLimits_HonestUse(t *testing.T) {
	d := newDesk(t)
	d.facts.MailLimits = usual
	allow := func(wait time.Duration, b workflow.Body) {
		t.Helper()
		d.after(wait, b)
		if p := d.last.Verdicts[0].Problem; p != nil {
			t.Fatalf("%T was refused: %v", b, p)
		}
	}
	allow(0, created())
	for i := range 50 {
		allow(time.Millisecond, workflow.Updated{Subscriber: new(fmt.Sprint("Subscriber ", i))})
	}
	d.deliver()
	for i := range 3 {
		allow(7*time.Second, workflow.StatusChanged{Status: workflow.Opened})
		allow(7*time.Second, workflow.Updated{Email: new(fmt.Sprintf("s%d@example.com", i))})
		allow(time.Second, workflow.StatusChanged{Status: workflow.Signing})
		d.deliver()
	}
	allow(time.Second, workflow.Resend{})
	d.deliver()
	if n := len(d.asked()); n != 5 {
		t.Errorf("%d emails left, want 5: %s", n, d.mails())
	}
}

// TestMailLimits_RemindersCount gives a document timers of its own that remind
// every second: they are put off, not dropped, and keep to the limits.
func TestMailLimits_RemindersCount(t *testing.T) {
	d := newDesk(t)
	d.facts.MailLimits = workflow.MailLimits{Interval: 10, PerDay: 8}
	b := created()
	b.Timers = &workflow.OwnTimers{RemindAfter: new(int64(1)), RemindEvery: new(int64(1)), RemindMost: new(20), ExpireAfter: new(int64(30 * 86400))}
	d.do(b)
	d.deliver()
	for d.state.Document.Status == workflow.Signing {
		i := slices.IndexFunc(d.state.Timers, func(t workflow.Timer) bool { return t.Kind == workflow.TimerReminder })
		if i < 0 {
			break
		}
		timer := d.state.Timers[i]
		d.after(max(0, timer.Due.Sub(d.now)), workflow.TimerDue{Timer: timer.Name(), Round: 1, DueAt: timer.Due})
		d.deliver()
	}
	if n := len(d.asked()); n != 21 {
		t.Errorf("%d emails, want the signature email and 20 reminders", n)
	}
	checkLimits(t, d)
}

// TestMailLimits_WhatIsOwedCounts has a reminder pending, and not begun, when the
// signature email is asked for once more: only one of them may leave today.
func TestMailLimits_WhatIsOwedCounts(t *testing.T) {
	d := newDesk(t)
	d.facts.MailLimits = workflow.MailLimits{PerDay: 2}
	d.facts.Timers = workflow.Timers{RemindAfter: 60, RemindMost: 1}
	d.do(created())
	d.deliver()
	timer := d.state.Timers[0]
	d.do(workflow.TimerDue{Timer: timer.Name(), Round: 1, DueAt: timer.Due})
	d.do(workflow.Resend{})
	if p := d.last.Verdicts[0].Problem; p == nil || p.Code != workflow.CodeTooManyEmails {
		t.Errorf("the resend is refused as %v: %s", p, d.mails())
	}
	d.deliver()
	checkLimits(t, d)
}

// TestMailLimits_ResendOfAMailInDoubt asks for a mail that may have arrived to
// be sent again at once: each try may be another copy.
func TestMailLimits_ResendOfAMailInDoubt(t *testing.T) {
	d := newDesk(t)
	d.facts.MailLimits = usual
	d.do(created())
	d.settle(workflow.MailOutcome{Outcome: workflow.Unknown, RetryAfterMs: time.Hour.Milliseconds()})
	due := d.state.Mails[0].Due
	d.do(workflow.Resend{})
	if p := d.last.Verdicts[0].Problem; p == nil || p.Code != workflow.CodeTooManyEmails {
		t.Errorf("the resend is refused as %v", p)
	}
	if m := d.state.Mails[0]; !m.Due.Equal(due) {
		t.Errorf("the mail is due at %s, want %s", m.Due, due)
	}
}
