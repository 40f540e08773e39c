package sim

import (
	"fmt"
	"strings"
	"time"

	"countersign/db"
	"countersign/workflow"
)

// judge compares what came of a month with what was due, which it works out
// from when each round was sent and ended, and from when somebody was up.
func (m *month) judge() {
	m.t.Helper()
	for i := range m.stores {
		if m.stores[i] == nil {
			m.start(i)
		}
		m.catchUp(m.stores[i])
	}
	s := m.stores[0]
	for _, other := range m.stores[1:] {
		if want, got := dump(s), dump(other); want != got {
			m.t.Errorf("two workers have folded the month to other states:\n%s", difference(want, got))
		}
	}
	documents, err := s.Documents(m.t.Context(), db.Filter{Limit: 1000})
	if err != nil {
		m.t.Fatal(err)
	}
	tally := map[string]int{}
	for _, d := range documents {
		life, err := s.Life(m.t.Context(), d.SID)
		if err != nil {
			m.t.Fatal(err)
		}
		m.judgeDocument(d, life, tally)
	}
	if next, err := s.NextDueEvent(m.t.Context(), time.Time{}); err != nil || !next.IsZero() {
		m.t.Errorf("at the end an event is owed for %s: %v", next, err)
	}
	m.t.Log(tally, len(m.log), "entries")
	for i := range m.stores {
		m.stop(i)
	}
	for _, what := range []string{"reminders", "several in one", "expired", "too old", "stopped by an end"} {
		if tally[what] == 0 {
			m.t.Errorf("the month had no case of: %s", what)
		}
	}
}

// stand is when a document got a status in a round.
type stand struct {
	status workflow.Status
	round  int
	at     time.Time
}

// stands are all of a document's.
func stands(l db.Life) (list []stand) {
	for _, e := range l.Events {
		if b, ok := e.Body.(workflow.Became); ok {
			list = append(list, stand{b.Status, b.Round, e.At})
		}
	}
	return list
}

func (m *month) judgeDocument(d workflow.Document, l db.Life, tally map[string]int) {
	m.t.Helper()
	timers := monthTimers.With(d.Timers)
	list := stands(l)
	var want []string
	for i, s := range list {
		if s.status != workflow.Signing {
			continue
		}
		end := stand{at: m.now.AddDate(1, 0, 0)}
		if i+1 < len(list) {
			end = list[i+1]
		}
		m.judgeExpiry(d, timers, s, end, tally)
		for _, at := range m.reminders(timers, s, end, l, tally) {
			want = append(want, fmt.Sprintf("round %d at %s", s.round, at.Format(time.RFC3339Nano)))
		}
	}
	var got []string
	for _, mail := range l.Mails {
		if mail.Kind == workflow.MailReminder {
			got = append(got, fmt.Sprintf("round %d at %s", mail.Round, mail.CausedAt.Format(time.RFC3339Nano)))
		}
	}
	if strings.Join(want, ", ") != strings.Join(got, ", ") {
		m.t.Errorf("%s, with %+v: reminded of\n %s\nwant\n %s", d.SID, timers, strings.Join(got, "\n "), strings.Join(want, "\n "))
	}
	tally["reminders"] += len(got)
	m.judgeFreshness(d, l, timers, list, tally)
}

// ms is a time as the rules see it.
func ms(t time.Time) time.Time { return t.Truncate(time.Millisecond) }

// expires is when a round does; a zero time where it never does.
func expires(t workflow.Timers, sent stand) time.Time {
	if t.ExpireAfter == 0 {
		return time.Time{}
	}
	return sent.at.Add(workflow.Seconds(t.ExpireAfter))
}

// judgeExpiry: a round ends by its expiry exactly when somebody is up at that
// time, or up again, and nothing has ended it before.
func (m *month) judgeExpiry(d workflow.Document, t workflow.Timers, sent, end stand, tally map[string]int) {
	m.t.Helper()
	var due time.Time
	if at := expires(t, sent); !at.IsZero() {
		due = ms(m.seen(at))
	}
	expired := end.status == workflow.Failed && d.EndedBy == workflow.EndedExpired && end.round == d.Round
	switch {
	case expired && !end.at.Equal(due):
		m.t.Errorf("%s, sent at %s, expired at %s, want %s", d.SID, sent.at, end.at, due)
	case !expired && !due.IsZero() && end.at.After(due):
		m.t.Errorf("%s, sent at %s, was to expire at %s, and was %s at %s", d.SID, sent.at, due, end.status, end.at)
	case expired:
		tally["expired"]++
	}
}

// reminders lists when a round was to be reminded of.
func (m *month) reminders(t workflow.Timers, sent, end stand, l db.Life, tally map[string]int) (list []time.Time) {
	if t.RemindAfter == 0 {
		return nil
	}
	slot, last := sent.at.Add(workflow.Seconds(t.RemindAfter)), expires(t, sent)
	for left := t.RemindMost; left > 0; {
		at := ms(m.seen(slot))
		switch {
		case !last.IsZero() && (!slot.Before(last) || !at.Before(last)), at.IsZero():
			return list
		case !at.Before(end.at):
			tally["stopped by an end"]++
			return list
		}
		if !m.onItsWay(l, sent.round, at) {
			list = append(list, at)
		}
		passed := 0
		for left > 0 && !slot.After(at) {
			slot, left, passed = slot.Add(workflow.Seconds(t.RemindEvery)), left-1, passed+1
			if t.RemindEvery == 0 {
				left = 0
			}
		}
		if passed > 1 {
			tally["several in one"]++
		}
	}
	return list
}

// onItsWay reports whether a reminder that was owed before was not out yet.
func (m *month) onItsWay(l db.Life, round int, at time.Time) bool {
	for _, mail := range l.Mails {
		if mail.Kind == workflow.MailReminder && mail.Round == round && mail.CausedAt.Before(at) && mail.DoneAt.After(at) {
			return true
		}
	}
	return false
}

// judgeFreshness: a signed letter is announced as too old exactly when it
// becomes so, or somebody is up again, with its order not completed.
func (m *month) judgeFreshness(d workflow.Document, l db.Life, t workflow.Timers, list []stand, tally map[string]int) {
	m.t.Helper()
	var told time.Time
	for _, e := range l.Events {
		if _, ok := e.Body.(workflow.LetterStale); ok {
			told = e.At
		}
	}
	var want time.Time
	if d.Status == workflow.Signed && t.FreshFor > 0 {
		want = ms(m.seen(ms(d.DateSigned.Add(workflow.Seconds(t.FreshFor)))))
		if signed := list[len(list)-1].at; want.Before(signed) {
			want = signed
		}
		for _, h := range l.History {
			if h.What == workflow.TypeOrderStatusChanged && !h.Time.After(want) {
				want = time.Time{}
				break
			}
		}
	}
	if !told.Equal(want) {
		m.t.Errorf("%s, signed at %v, was too old at %s, want %s", d.SID, d.DateSigned, told, want)
	}
	if d.LetterStale != !want.IsZero() {
		m.t.Errorf("%s is flagged: %v", d.SID, d.LetterStale)
	}
	if d.LetterStale {
		tally["too old"]++
	}
}
