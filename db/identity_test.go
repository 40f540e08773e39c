package db_test

import (
	"testing"

	"countersign/workflow"
)

func TestStoreApply_IdentityIsWithinTheAccount(t *testing.T) {
	var w writer
	w.created(1)
	w.created(2)
	second := &w.entries[1]
	second.Account, second.ID = "ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", w.entries[0].ID
	for name, batches := range map[string][][]workflow.Entry{
		"in one batch": {w.entries},
		"one by one":   {w.entries[:1], w.entries[1:]},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			for _, batch := range batches {
				apply(t, s, batch...)
			}
			for n := 1; n <= 2; n++ {
				if d, err := s.Document(t.Context(), px(n)); err != nil || d.Status != workflow.Opened {
					t.Errorf("document %d: %q, %v; another account's event has the same source and id", n, d.Status, err)
				}
			}
			for _, e := range w.entries {
				if result, seq, err := s.WhatBecame(t.Context(), e.Identity()); err != nil || result != workflow.ResultApplied || seq != e.Sequence {
					t.Errorf("entry %d: %s at %d, %v", e.Sequence, result, seq, err)
				}
			}
		})
	}
}

func TestStoreApply_ForeignEntryLeavesNoTraceInTheHistory(t *testing.T) {
	var w writer
	w.created(1)
	w.add(px(1), string(account)+"."+string(px(1))+".became.signed.1", workflow.Invalid{
		Problem: workflow.Problem{Code: workflow.CodeUnreadable, Message: "no event"}, Foreign: true,
	})
	w.add("", "_.mail.claimed", workflow.Invalid{Problem: workflow.Problem{Code: workflow.CodeUnreadable, Message: "no event"}, Foreign: true})
	s := open(t, t.TempDir())
	apply(t, s, w.entries...)
	life, err := s.Life(t.Context(), px(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range life.History {
		if h.Sequence == 2 {
			t.Errorf("the history has %+v", h)
		}
	}
	if len(life.Refusals) != 1 || life.Document.Status != workflow.Opened {
		t.Errorf("the document is %s, with %d dead letters, want opened and 1", life.Document.Status, len(life.Refusals))
	}
	if p := s.Position(); p.Claim != 3 || !p.Active() {
		t.Errorf("position %+v: the next claim must know entry 3, and nobody has claimed", p)
	}
}
