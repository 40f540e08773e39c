package db_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/db"
	"countersign/workflow"
)

// TestStorePoison_EntryIsKnownAtTheThirdStart lets a process die of an entry
// twice. What stands around it is applied, whatever the batches.
func TestStorePoison_EntryIsKnownAtTheThirdStart(t *testing.T) {
	w := &writer{}
	for n := range 12 {
		w.created(n)
	}
	log := w.entries
	for name, test := range map[string]struct {
		batches [][2]int // what each start is given, from where it stands
		poison  func(dying *workflow.Entry)
	}{
		"in a batch, while it is decided":       {[][2]int{{0, 12}, {0, 12}}, nil},
		"alone":                                 {[][2]int{{0, 7}, {0, 12}}, nil},
		"while the batch is written":            {[][2]int{{0, 12}, {0, 12}}, unwritable},
		"last of a batch, while it is written":  {[][2]int{{0, 8}, {0, 12}}, unwritable},
		"first of a batch, while it is written": {[][2]int{{7, 12}, {7, 12}}, unwritable},
	} {
		t.Run(name, func(t *testing.T) {
			dir, entries := t.TempDir(), append([]workflow.Entry(nil), log...)
			dying := &entries[7]
			if test.poison != nil {
				test.poison(dying)
			} else {
				id := dying.ID
				defer db.OnFold(func(e workflow.Entry) {
					if e.ID == id {
						panic("poison")
					}
				})()
			}
			if first := test.batches[0][0]; first > 0 {
				apply(t, open(t, dir), entries[:first]...)
			}
			for i, batch := range test.batches {
				s := open(t, dir)
				if p := s.Poison(); p != nil {
					t.Fatalf("start %d knows entry %d already", i+1, p.Sequence)
				}
				if !dies(t, s, entries[batch[0]:batch[1]]) && batch[1] > 7 {
					t.Fatalf("start %d lives", i+1)
				}
				s.Close()
			}
			if name == "alone" {
				s := open(t, dir)
				dies(t, s, entries)
				s.Close()
			}
			s := open(t, dir)
			p := s.Poison()
			if p == nil || p.Sequence != 8 || !p.Time.Equal(dying.Time) || p.Deaths != 2 {
				t.Fatalf("the third start knows %+v", p)
			}
			dying.ID, dying.Source = "sha256:1", ""
			dying.Body = workflow.Invalid{Problem: workflow.Problem{Code: workflow.CodeCrashed, Message: "crashed"}}
			apply(t, s, entries...)
			if s.Position().Sequence != 12 || s.Poison() != nil {
				t.Errorf("in the end it stands at %d and knows %+v", s.Position().Sequence, s.Poison())
			}
			whole := open(t, t.TempDir())
			apply(t, whole, entries...)
			if diff := cmp.Diff(strings.Split(dump(t, whole), "\n"), strings.Split(dump(t, s), "\n")); diff != "" {
				t.Errorf("the state differs (-want +got):\n%s", diff)
			}
		})
	}
}

// unwritable is an event that no decoding makes: it panics when it is parked.
func unwritable(e *workflow.Entry) {
	e.Document = px(99)
	e.Body = workflow.StatusChanged{Status: workflow.Signed, Evidence: json.RawMessage("{")}
}

// dies applies entries and reports whether that panics.
func dies(t *testing.T, s *db.Store, entries []workflow.Entry) (died bool) {
	t.Helper()
	defer func() { died = recover() != nil }()
	apply(t, s, entries...)
	return false
}

// TestStorePoison_OtherDeathsAreNoSuspicion: a worker that ends or dies between
// entries, or once of each, is given its entries again.
func TestStorePoison_OtherDeathsAreNoSuspicion(t *testing.T) {
	w := &writer{}
	for n := range 6 {
		w.created(n)
	}
	dir, dying := t.TempDir(), ""
	defer db.OnFold(func(e workflow.Entry) {
		if e.ID == dying {
			panic("an accident")
		}
	})()
	for n := range 6 {
		s := open(t, dir)
		dying = fmt.Sprint("e", n+1)
		if !dies(t, s, w.entries) {
			t.Errorf("start %d lives", n)
		}
		s.Close()
		dying = ""
		s = open(t, dir)
		if p := s.Poison(); p != nil {
			t.Fatalf("entry %d is suspected after one death", p.Sequence)
		}
		apply(t, s, w.entries[:n+1]...)
		s.Close()
	}
	s := open(t, dir)
	if s.Poison() != nil || s.Position().Sequence != 6 {
		t.Errorf("it stands at %d and knows %+v", s.Position().Sequence, s.Poison())
	}
}
