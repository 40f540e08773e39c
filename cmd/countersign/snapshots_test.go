package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/db"
	"countersign/events"
	"countersign/events/eventstest"
	"countersign/workflow"
)

// TestWhichSnapshotsAreKept puts snapshots from before and after an erasure in
// the store. Those that may hold what was erased go as soon as another is there.
func TestWhichSnapshotsAreKept(t *testing.T) {
	x, dir, w := documentsAreDone(t)
	x.say(status(1, workflow.Canceled))
	x.rest(dir)
	x.must(dir, "erase", "--yes", string(testPX(1)))
	s := &snapshots{store: x.snapshotsOf(), keep: 3, logger: eventstest.Logger()}
	erased, err := s.store.ErasedUpTo(t.Context())
	if err != nil || erased < 10 {
		t.Fatalf("erased up to %d, %v", erased, err)
	}
	for name, c := range map[string]struct{ there, kept []uint64 }{
		"all from before":      {[]uint64{erased - 1, erased - 3}, []uint64{erased - 1, erased - 3}},
		"the erasure in it":    {[]uint64{erased, erased - 1}, []uint64{erased}},
		"all from after":       {[]uint64{erased + 2, erased + 1, erased}, []uint64{erased + 2, erased + 1, erased}},
		"more than are kept":   {[]uint64{erased + 4, erased + 3, erased + 2, erased + 1}, []uint64{erased + 4, erased + 3, erased + 2}},
		"after and before":     {[]uint64{erased + 2, erased + 1, erased - 1}, []uint64{erased + 2, erased + 1}},
		"one, and from before": {[]uint64{erased - 1}, []uint64{erased - 1}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, at := range c.there {
				if _, err := s.store.Put(t.Context(), events.Snapshot{Position: events.Position{Sequence: at}}, strings.NewReader("a copy")); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.prune(t.Context()); err != nil {
				t.Fatal(err)
			}
			list, err := s.store.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var kept []uint64
			for _, x := range list {
				kept = append(kept, x.Position.Sequence)
				if err := s.store.Delete(t.Context(), x.Name); err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(kept, c.kept) {
				t.Errorf("of %d, %d are kept, want %d", c.there, kept, c.kept)
			}
		})
	}
	w.end()
}

// TestASnapshotIsTakenOfWhatIsNew: the worker at work takes one when the last is
// old enough and the log has gone on since, and nobody else does.
func TestASnapshotIsTakenOfWhatIsNew(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	log := eventstest.Open(t, x.nc, 1)
	x.create(1, 3, "signer-%d@example.com")
	store, err := db.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	fold := func() {
		t.Helper()
		if err := foldTo(t.Context(), log, store, x.tail(), nil); err != nil {
			t.Fatal(err)
		}
	}
	fold()
	s := &snapshots{store: x.snapshotsOf(), dir: dir, keep: 10, logger: eventstest.Logger()}
	r := &replicas{copies: s, store: store, log: log, every: time.Nanosecond, meters: &replicaMeters{}}
	last := time.Time{}
	look := func(what string, taken bool) {
		t.Helper()
		if err := r.look(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		list, err := s.store.List(t.Context())
		if err != nil || len(list) == 0 || list[0].Taken.After(last) != taken {
			t.Errorf("%s: the snapshots are %+v, %v", what, list, err)
		}
		last = list[0].Taken
	}
	look("nobody has been at work", true)
	look("nothing is new", false)
	claim := func(worker string) {
		t.Helper()
		e := events.Claimed(fmt.Sprint(worker, x.tail()), log.Now(), workflow.Claimed{Worker: worker})
		if _, err := log.Claim(t.Context(), e, store.Position().Claim); err != nil {
			t.Fatal(err)
		}
		fold()
	}
	claim("another")
	look("another worker is at work", false)
	claim(store.Position().Worker)
	look("this worker is at work", true)
	r.every = time.Hour
	claim(store.Position().Worker)
	look("the last one is young", false)
}
