package db_test

import (
	"testing"
	"time"

	"countersign/db"
	"countersign/workflow"
)

// TestStoreApply_WhoMayCloseARefusedEvent: the first entry that says so, of the account
// whose event it was, or of Countersign.
func TestStoreApply_WhoMayCloseARefusedEvent(t *testing.T) {
	no := workflow.Invalid{Problem: workflow.Problem{Code: workflow.CodeInvalid, Message: "no"}}
	mine, nobodys := string(account)+"."+string(px(1))+".created", "what.is.this"
	other := workflow.SID("ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
	for name, test := range map[string]struct {
		subject string
		closing workflow.Entry
		closed  uint64
	}{
		"its account":                   {mine, workflow.Entry{Account: account, Redrives: 2}, 3},
		"another account":               {mine, workflow.Entry{Account: other, Redrives: 2}, 0},
		"an account, of nobody's":       {nobodys, workflow.Entry{Account: other, Redrives: 2}, 3},
		"what was not refused":          {mine, workflow.Entry{Account: account, Redrives: 1}, 0},
		"what has not happened yet":     {mine, workflow.Entry{Account: account, Redrives: 9}, 0},
		"Countersign, for the operator": {mine, workflow.Entry{Body: workflow.Discarded{Sequence: 2, Reason: "why"}}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			w := &writer{}
			w.created(7)
			w.add(px(1), test.subject, no)
			w.add(px(9), mine, workflow.StatusChanged{Status: workflow.Signed})
			e := &w.entries[2]
			if test.subject == nobodys {
				w.entries[1].Account = ""
			}
			e.Account, e.Redrives = test.closing.Account, test.closing.Redrives
			if test.closing.Body != nil {
				e.Body = test.closing.Body
			}
			w.add(px(9), mine, workflow.StatusChanged{Status: workflow.Signed})
			w.entries[3].Redrives = 2 // the second to say so
			together, apart := open(t, t.TempDir()), open(t, t.TempDir())
			apply(t, together, w.entries[:3]...)
			for _, e := range w.entries[:3] {
				apply(t, apart, e)
			}
			for _, s := range []*db.Store{together, apart} {
				l, err := s.DeadLetter(t.Context(), 2)
				if err != nil || l.Closed != test.closed {
					t.Errorf("closed by %d, want %d: %v", l.Closed, test.closed, err)
				}
			}
			apply(t, apart, w.entries[3])
			if l, err := apart.DeadLetter(t.Context(), 2); err != nil || test.closed != 0 && l.Closed != test.closed {
				t.Errorf("the second closed it: %d, want %d: %v", l.Closed, test.closed, err)
			}
			c, err := apart.Counts(t.Context(), start)
			if err != nil || c.DeadLetters != 1 || c.OpenDeadLetters != 0 {
				t.Errorf("%d dead letters, %d open: %v", c.DeadLetters, c.OpenDeadLetters, err)
			}
		})
	}
}

// TestStoreApply_EntryClosesOnlyWhatWasRefusedBefore has an entry sent in place
// of an event that is parked, and refused later.
func TestStoreApply_EntryClosesOnlyWhatWasRefusedBefore(t *testing.T) {
	w := &writer{}
	w.add(px(1), string(account)+"."+string(px(1))+".status", workflow.StatusChanged{Status: workflow.Signed})
	w.created(2)
	w.entries[1].Redrives = 1
	w.add(px(1), string(account)+"."+string(px(1))+".due.parked-1.1", workflow.TimerDue{Timer: "parked-1", Round: 1})
	w.entries[2].Time = start.Add(25 * time.Hour)
	together, apart := open(t, t.TempDir()), open(t, t.TempDir())
	apply(t, together, w.entries...)
	for _, e := range w.entries {
		apply(t, apart, e)
	}
	for name, s := range map[string]*db.Store{"in one batch": together, "one by one": apart} {
		if l, err := s.DeadLetter(t.Context(), 1); err != nil || l.Closed != 0 {
			t.Errorf("%s: closed by %d, %v", name, l.Closed, err)
		}
	}
}
