package signing

import (
	"context"
	"errors"
	"testing"

	"countersign/db"
	"countersign/workflow"
)

func TestLetters_TurnWaitsAndGivesUp(t *testing.T) {
	l := New(Options{})
	var done func()
	for range maxLetters {
		var err error
		if done, err = l.turn(t.Context(), "PX00000000000000000000000000000001"); err != nil {
			t.Fatal(err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.turn(ended, "PX00000000000000000000000000000002"); !errors.Is(err, workflow.ErrUnavailable) {
		t.Errorf("a letter too many: %v", err)
	}
	got := make(chan error)
	go func() {
		_, err := l.turn(t.Context(), "PX00000000000000000000000000000002")
		got <- err
	}()
	done()
	if err := <-got; err != nil {
		t.Errorf("when another is written: %v", err)
	}
}

func TestLetters_HistoryKeepsWhatMatters(t *testing.T) {
	var history []db.HistoryLine
	add := func(n int, what string) {
		for range n {
			history = append(history, db.HistoryLine{Sequence: uint64(len(history) + 1), What: what})
		}
	}
	count := func(list []db.HistoryLine, what string) (n int) {
		for _, h := range list {
			if h.What == what {
				n++
			}
		}
		return n
	}
	add(1, workflow.TypeCreated)
	add(5000, workflow.TypeUpdated)
	add(1, "mail accepted")
	add(5000, "refused")
	add(5000, "parked")
	kept := weighty(history, maxLines)
	if len(kept) != maxLines || count(kept, "mail accepted") != 1 || count(kept, workflow.TypeCreated) != 1 || count(kept, "refused")+count(kept, "parked") != 0 {
		t.Errorf("of a flood of events it keeps %d lines", len(kept))
	}
	if len(history) != 15002 || count(history, "refused") != 5000 {
		t.Error("the history itself is changed")
	}
	add(5000, "mail deferred")
	add(1, "signing")
	kept = weighty(history, maxLines)
	if len(kept) != maxLines || kept[0].What != workflow.TypeCreated || kept[1].What != "mail accepted" || kept[maxLines-1].What != "signing" {
		t.Errorf("of a flood of mails it keeps %d lines, from %s to %s", len(kept), kept[0].What, kept[len(kept)-1].What)
	}
	for i := 1; i < len(kept); i++ {
		if kept[i].Sequence <= kept[i-1].Sequence {
			t.Fatal("the lines are out of order")
		}
	}
	few := weighty([]db.HistoryLine{{What: "refused"}, {What: "parked"}}, maxLines)
	if len(few) != 2 {
		t.Errorf("of two lines it keeps %d", len(few))
	}
}
