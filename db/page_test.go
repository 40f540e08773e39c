package db_test

import (
	"errors"
	"strings"
	"testing"

	"countersign/db"
	"countersign/workflow"
)

func TestStorePage_StaysWhileDocumentsArrive(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	for n := range 10 {
		w.created(n)
	}
	w.status(3, workflow.Canceled)
	apply(t, s, w.entries...)
	page := func(q db.PageQuery) string {
		t.Helper()
		q.Account = account
		if q.Limit == 0 {
			q.Limit = 3
		}
		docs, err := s.Page(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, d := range docs {
			out = append(out, string(d.SID[33:]))
		}
		return strings.Join(out, " ")
	}
	want := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	want("first page", page(db.PageQuery{}), "9 8 7")
	before := len(w.entries)
	w.created(10)
	apply(t, s, w.entries[before:]...)
	want("second page, though one has arrived", page(db.PageQuery{After: px(7)}), "6 5 4")
	want("back", page(db.PageQuery{Before: px(6)}), "9 8 7")
	want("of a status", page(db.PageQuery{Status: workflow.Canceled}), "3")
	want("the others, around it", page(db.PageQuery{Status: workflow.Opened, After: px(4)}), "2 1 0")
	want("of a signer", page(db.PageQuery{Email: "s5@example.com"}), "5")
	want("of a signer and a status", page(db.PageQuery{Email: "s5@example.com", Status: workflow.Canceled}), "")
	want("back, of a status", page(db.PageQuery{Status: workflow.Opened, Before: px(2), Limit: 2}), "5 4")
	_, err := s.Page(t.Context(), db.PageQuery{Account: account, After: px(99), Limit: 1})
	if !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("behind an unknown document: %v", err)
	}
	_, err = s.Page(t.Context(), db.PageQuery{Account: "ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", After: px(3), Limit: 1})
	if !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("behind another account's document: %v", err)
	}
}

func TestStoreRefusal(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	w.created(1)
	w.created(1)
	apply(t, s, w.entries...)
	if p, err := s.RefusalAt(t.Context(), 1); p != nil || err != nil {
		t.Errorf("of an entry that applied: %+v, %v", p, err)
	}
	if p, err := s.RefusalAt(t.Context(), 2); err != nil || p == nil || p.Code != workflow.CodeExists {
		t.Errorf("of the second created: %+v, %v", p, err)
	}
}
