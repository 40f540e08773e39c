package db_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/db"
	"countersign/workflow"
)

func TestStoreRewind(t *testing.T) {
	log := day()
	s := open(t, t.TempDir())
	apply(t, s, log...)
	owedBefore := owedSubjects(t, s)
	register, subject := uint64(0), ""
	for _, e := range log {
		if _, ok := e.Body.(workflow.Register); ok {
			register, subject = e.Sequence, e.Subject
		}
	}
	if strings.Contains(owedBefore, subject) {
		t.Fatalf("%s stands on the log, and is owed", subject)
	}
	p, err := s.Rewind(t.Context(), 1000, func(seq uint64, at time.Time, source, id string) (bool, error) {
		return seq < register, nil
	})
	if err != nil || p.Sequence != register-1 || s.Position().Sequence != register-1 {
		t.Fatalf("rewound to %d, %v", p.Sequence, err)
	}
	if owed := owedSubjects(t, s); !strings.Contains(owed, subject) {
		t.Errorf("a register event that the log lost is not owed again: %s", owed)
	}
	states := func() string { // documents and mails
		var out []string
		for line := range strings.Lines(dump(t, s)) {
			if strings.HasPrefix(line, `["documents"`) || strings.HasPrefix(line, `["mails"`) || strings.HasPrefix(line, `["holders"`) {
				out = append(out, line)
			}
		}
		return strings.Join(out, "")
	}
	before := states()
	apply(t, s, log[register-1:]...)
	if diff := cmp.Diff(before, states()); diff != "" {
		t.Errorf("folding on changed what was applied:\n%s", diff)
	}
	if diff := cmp.Diff(sorted(owedBefore), sorted(owedSubjects(t, s))); diff != "" {
		t.Errorf("owed after folding on:\n%s", diff)
	}
	_, err = s.Rewind(t.Context(), 1000, func(uint64, time.Time, string, string) (bool, error) { return false, nil })
	if !errors.Is(err, workflow.ErrConflict) {
		t.Errorf("nothing matches: %v", err)
	}
}

// TestStoreRewind_ForgetsWhatChangedNothing: what the log lost and was refused, or
// waited, has changed nothing, and another entry takes its place. Nobody is told of
// that one what was said of the other, and it does not get lost for it.
func TestStoreRewind_ForgetsWhatChangedNothing(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	w.created(1)
	w.created(1) // refused
	w.status(2, workflow.Canceled)
	w.add(px(1), "x", workflow.Invalid{Problem: workflow.Problem{Code: workflow.CodeInvalid, Field: "data.email", Message: "no"}})
	lost := w.entries[1:]
	apply(t, s, w.entries...)
	if p, err := s.RefusalAt(t.Context(), 2); p == nil || err != nil {
		t.Fatalf("entry 2 was not refused: %v", err)
	}
	if _, err := s.Rewind(t.Context(), 1, func(seq uint64, _ time.Time, _, _ string) (bool, error) { return seq == 1, nil }); err != nil {
		t.Fatal(err)
	}
	again := &writer{entries: w.entries[:1:1]}
	again.created(5) // where the refused one stood
	again.created(6)
	again.created(7)
	for _, e := range lost { // published again
		e.Sequence = uint64(len(again.entries) + 1)
		again.entries = append(again.entries, e)
	}
	for i := range again.entries[1:4] {
		again.entries[i+1].ID += " anew"
	}
	apply(t, s, again.entries[1:]...)
	fresh := open(t, t.TempDir())
	apply(t, fresh, again.entries...)
	for _, table := range []string{"refusals", "tallies", "closed", "parked"} {
		if diff := cmp.Diff(rowsOf(t, fresh, table), rowsOf(t, s, table)); diff != "" {
			t.Errorf("%s of a store that never met the others (-), and of this one (+):\n%s", table, diff)
		}
	}
	for _, seq := range []uint64{2, 4} {
		if p, err := s.RefusalAt(t.Context(), seq); p != nil || err != nil {
			t.Errorf("entry %d is said to be refused: %v %v", seq, p, err)
		}
	}
	owed, err := s.DueEvents(t.Context(), start.Add(48*time.Hour), start.Add(48*time.Hour), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var what []string
	for _, o := range owed {
		if !strings.HasPrefix(o.What, "became.") {
			what = append(what, o.What)
		}
	}
	if diff := cmp.Diff([]string{"refused.5", "due.parked-6.1", "refused.7"}, what); diff != "" {
		t.Errorf("owed (-want +got):\n%s", diff)
	}
}

func rowsOf(t *testing.T, s *db.Store, table string) (rows []string) {
	t.Helper()
	for line := range strings.Lines(dump(t, s)) {
		if strings.HasPrefix(line, `["`+table+`"`) {
			rows = append(rows, line)
		}
	}
	return rows
}

func sorted(lines string) []string { return slices.Sorted(strings.SplitSeq(lines, "\n")) }
