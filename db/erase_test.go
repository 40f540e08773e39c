package db_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/db"
	"countersign/workflow"
)

const stranger = workflow.SID("ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")

// erasedDay is the day, in which a document is erased, with what comes before
// and after that: tries at its orders, events under another account, replays.
// It returns the sequence of the event of erasure, too.
func erasedDay(t *testing.T, n int) (log []workflow.Entry, at uint64) {
	t.Helper()
	w := &writer{entries: day()}
	try := func(other int) {
		w.add(px(other), string(account)+"."+string(px(other))+".created", workflow.Created{
			AddressSID: "AD00000000000000000000000000000000", Email: "x@example.com", HostedNumberOrderSIDs: []workflow.SID{hr(2000 + other), hr(2 * n)},
		})
	}
	numbers := func(other int) { // tries at telephone numbers of documents 6 and 7
		for i, number := range []string{"+14155550100", "+14155550101"} {
			w.add(px(other+i), "x", workflow.Created{
				AddressSID: "AD00000000000000000000000000000000", Email: "x@example.com",
				HostedNumberOrders: []workflow.OrderRef{{SID: hr(2000 + other + i), PhoneNumber: number}},
			})
			w.add(px(40), "x", workflow.OrderStatusChanged{Order: hr(6), Status: workflow.OrderVerified, PhoneNumber: number})
		}
	}
	try(42)
	numbers(50)
	foreign := w.add(px(n), string(stranger)+"."+string(px(n))+".status", workflow.StatusChanged{Status: workflow.Signed})
	w.entries[foreign.Sequence-1].Account = stranger

	before := open(t, t.TempDir())
	apply(t, before, w.entries...)
	body := workflow.Erased{DocumentSID: px(n), AccountSID: account, Status: workflow.Failed}
	if d, err := before.Document(t.Context(), px(n)); err == nil {
		body.Status, body.Round = d.Status, d.Round
		for _, o := range d.Orders {
			body.OrderSIDs = append(body.OrderSIDs, o.SID)
		}
	}
	for _, e := range w.entries {
		if e.Document == px(n) {
			body.Entries = append(body.Entries, workflow.ErasedEntry{Sequence: e.Sequence, Type: e.Body.Type()})
		}
	}
	blocked, err := before.BlockedBy(t.Context(), px(n))
	if err != nil {
		t.Fatal(err)
	}
	body.Blocked = blocked
	w.add(px(n), string(account)+"."+string(px(n))+".erased", body)
	at = uint64(len(w.entries))
	try(43)
	numbers(60)
	w.created(n)
	w.status(n, workflow.Canceled)
	w.entries = append(w.entries, w.entries[body.Entries[0].Sequence-1]) // replayed, under its old identity
	w.entries[len(w.entries)-1].Sequence = uint64(len(w.entries))
	return w.entries, at
}

// TestStoreForesee_SameStateAsWithoutHoles: a store that met all of a document's
// events before its erasure, and ones that met some of them, because the others
// were off the log already, come to the same state, whichever document it was;
// and while they have yet to come to the erasure, they owe nothing for it.
func TestStoreForesee_SameStateAsWithoutHoles(t *testing.T) {
	for _, n := range []int{3, 4, 5, 6, 7, 12, 30, 40} {
		t.Run(fmt.Sprint("document ", n), func(t *testing.T) {
			log, at := erasedDay(t, n)
			whole := open(t, t.TempDir())
			apply(t, whole, log...)
			want := dump(t, whole)
			if tallies := want[strings.Index(want, `["tallies"`):]; strings.Contains(tallies, `,-`) {
				t.Errorf("counts below none:\n%s", tallies)
			}
			for seed := range uint64(4) {
				random := rand.New(rand.NewPCG(seed, uint64(n)))
				met := random.Uint64N(at)
				if seed == 0 {
					met = 0 // nothing, and all of it is gone
				}
				s := open(t, t.TempDir())
				apply(t, s, log[:met]...)
				if err := s.Foresee(t.Context(), log[at-1:at]); err != nil {
					t.Fatal(err)
				}
				rest := slices.DeleteFunc(slices.Clone(log[met:]), func(e workflow.Entry) bool {
					return e.Document == px(n) && e.Sequence < at && (seed == 0 || random.IntN(2) == 0)
				})
				for len(rest) > 0 {
					size := 1 + random.IntN(len(rest))
					if s.Position().Sequence < at {
						wantNothingOwed(t, s, n)
					}
					apply(t, s, rest[:size]...)
					rest = rest[size:]
				}
				if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(dump(t, s), "\n")); diff != "" {
					t.Fatalf("seed %d, from entry %d on, comes to another state (-want +got):\n%s", seed, met, diff)
				}
			}
		})
	}
}

func wantNothingOwed(t *testing.T, s *db.Store, n int) {
	t.Helper()
	if owed := owedSubjects(t, s); strings.Contains(owed, string(px(n))) {
		t.Fatalf("at entry %d, before its erasure, %s", s.Position().Sequence, owed)
	}
	mails, err := s.DueMails(t.Context(), start.AddDate(1, 0, 0), nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mails {
		if m.ID.Document() == px(n) {
			t.Fatalf("at entry %d, before its erasure, mail %s is due", s.Position().Sequence, m.ID)
		}
	}
}

// TestStoreRewind_BringsNothingErasedBack has the log lose its tail, the erasure
// with it: nothing that was erased is owed again.
func TestStoreRewind_BringsNothingErasedBack(t *testing.T) {
	log, at := erasedDay(t, 7)
	s := open(t, t.TempDir())
	apply(t, s, log[:at]...)
	if _, err := s.Rewind(t.Context(), 1000, func(seq uint64, _ time.Time, _, _ string) (bool, error) { return seq < at-20, nil }); err != nil {
		t.Fatal(err)
	}
	wantNothingOwed(t, s, 7)
	if seq, err := s.Erased(t.Context(), px(7)); err != nil || seq != at {
		t.Errorf("erased at %d, %v", seq, err)
	}
	if _, err := s.Document(t.Context(), px(7)); err == nil {
		t.Error("it is back")
	}
}

// TestStoreSweep_LeavesNoTrace looks for erased documents in the bytes of the file.
// SQLite overwrites the rows that are deleted, but not what a page keeps of those
// that were moved to another before: with this seed there is such a one.
func TestStoreSweep_LeavesNoTrace(t *testing.T) {
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(11, 2))
	s, w, applied := open(t, dir), &writer{}, 0
	const n = 40
	add := func(i int, what string, b workflow.Body) {
		w.add(px(i), string(account)+"."+string(px(i))+"."+what, b)
	}
	flush := func() {
		apply(t, s, w.entries[applied:]...)
		applied = len(w.entries)
	}
	for _, i := range rng.Perm(n) {
		add(i, "created", workflow.Created{
			AddressSID: "AD00000000000000000000000000000000", Email: fmt.Sprintf("s%d@example.com", i), Hold: true,
			Subscriber: strings.Repeat("x", rng.IntN(250)), HostedNumberOrderSIDs: []workflow.SID{hr(i)},
		})
		if rng.IntN(3) == 0 {
			flush()
		}
	}
	flush()
	for range 6 {
		for _, i := range rng.Perm(n) {
			subscriber := strings.Repeat("y", 1+rng.IntN(250))
			email := fmt.Sprintf("s%d@%s.example.com", i, strings.Repeat("q", rng.IntN(60)))
			add(i, "updated", workflow.Updated{Subscriber: &subscriber, Email: &email})
			if rng.IntN(3) == 0 {
				flush()
			}
		}
	}
	for i := 0; i < n; i += 3 {
		add(i, "status", workflow.StatusChanged{Status: workflow.Canceled})
		flush()
		add(i, "erased", workflow.Erased{DocumentSID: px(i), AccountSID: account, Status: workflow.Canceled})
		flush()
	}
	before := dump(t, s)
	for range 2 { // the second time there is nothing to do
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if after := dump(t, s); after != before {
		t.Error("a sweep has changed the state")
	}
	add(n, "created", workflow.Created{Email: "next@example.com"}) // it goes on
	flush()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, db.FileName))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < n; i += 3 {
		if text := fmt.Sprintf("s%d@", i); bytes.Contains(raw, []byte(text)) {
			t.Errorf("%s is still in the file", text)
		}
	}
}
