package recovery

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/db"
	"countersign/events"
	"countersign/internal/config"
	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

const account workflow.SID = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// say appends events as upstream services do, and returns the last sequence.
func say(t *testing.T, nc *nats.Conn, list ...events.Event) (last uint64) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if last, err = events.Publish(t.Context(), js, e); err != nil {
			t.Fatal(err)
		}
	}
	return last
}

// created are n new documents.
func created(n int) (list []events.Event) {
	for i := range n {
		list = append(list, events.Created("/test", fmt.Sprint("created-", i), account, workflow.SID(fmt.Sprintf("PX%032x", i)), workflow.Created{
			AddressSID: "AD00000000000000000000000000000001", Email: "owner@example.com", HostedNumberOrderSIDs: []workflow.SID{workflow.SID(fmt.Sprintf("HR%032x", i))},
		}))
	}
	return list
}

// openDB opens a new database that has applied the log up to the entry to.
func openDB(t *testing.T, log *eventlog.Log, dir string, to uint64) *db.Store {
	t.Helper()
	store, err := db.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if err := FoldTo(t.Context(), log, store, to, nil); err != nil {
		t.Fatal(err)
	}
	return store
}

// newSnapshots are the snapshots on a server, with copies made in dir.
func newSnapshots(t *testing.T, nc *nats.Conn, dir string, keep int) *Snapshots {
	t.Helper()
	s, err := NewSnapshots(config.Config{DataDir: dir, Replicas: 1, SnapshotKeep: keep}, nc, eventstest.Logger())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The worker at work takes a snapshot if the last one is old enough and the log
// has gone on since, and nobody else does.
func TestReplicasLook_SnapshotIsTakenOfWhatIsNew(t *testing.T) {
	nc, dir := eventstest.Connect(t, eventstest.Server(t)), t.TempDir()
	log := eventstest.Open(t, nc, 1)
	store := openDB(t, log, dir, say(t, nc, created(3)...))
	s := newSnapshots(t, nc, dir, 10)
	r := &Replicas{Snapshots: s, Store: store, Log: log, Every: time.Nanosecond, Meters: &ReplicaMeters{}}
	last := time.Time{}
	look := func(what string, taken bool) {
		t.Helper()
		if err := r.look(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		list, err := s.List(t.Context())
		if err != nil || len(list) == 0 || list[0].Taken.After(last) != taken {
			t.Errorf("%s: the snapshots are %+v, %v", what, list, err)
		}
		last = list[0].Taken
	}
	look("nobody has been at work", true)
	look("nothing is new", false)
	claim := func(worker string) {
		t.Helper()
		e := eventlog.Claimed(fmt.Sprint(worker, store.Position().Sequence), log.Now(), workflow.Claimed{Worker: worker})
		at, err := log.Claim(t.Context(), e, store.Position().Claim)
		if err == nil {
			err = FoldTo(t.Context(), log, store, at, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	claim("another")
	look("another worker is at work", false)
	claim(store.Position().Worker)
	look("this worker is at work", true)
	r.Every = time.Hour
	claim(store.Position().Worker)
	look("the last one is young", false)
}

// Snapshots from before and after an erasure are in the store. Those that may
// hold what was erased go as soon as a newer one does not.
func TestSnapshotsPrune_SnapshotsFromBeforeErasureGo(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	say(t, nc, created(10)...)
	gone := workflow.SID(fmt.Sprintf("PX%032x", 1))
	erased, err := log.AppendErased(t.Context(), eventlog.Erased(log.Now(), workflow.Erased{
		DocumentSID: gone, AccountSID: account, Status: workflow.Failed, Round: 1, Entries: []workflow.ErasedEntry{},
	}), 0)
	if err != nil {
		t.Fatal(err)
	}
	s := newSnapshots(t, nc, t.TempDir(), 3)
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
				if _, err := s.store.Put(t.Context(), eventlog.Snapshot{Position: eventlog.Position{Sequence: at}}, strings.NewReader("a copy")); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.prune(t.Context()); err != nil {
				t.Fatal(err)
			}
			list, err := s.List(t.Context())
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
}

// The databases are compared at the position of the one that is further.
func TestSameAt_FoldsBothToTheLargerPosition(t *testing.T) {
	nc, behind, ahead, other := eventstest.Connect(t, eventstest.Server(t)), t.TempDir(), t.TempDir(), t.TempDir()
	log := eventstest.Open(t, nc, 1)
	at := say(t, nc, created(4)...)
	for dir, to := range map[string]uint64{behind: 2, ahead: at} {
		if err := openDB(t, log, dir, to).Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, pair := range [][2]string{{behind, ahead}, {ahead, behind}} {
		same, to, err := sameAt(t.Context(), log, pair[0], pair[1])
		if err != nil || !same || to != at {
			t.Errorf("%v: the same: %t at %d, %v", pair, same, to, err)
		}
	}
	wrong, err := db.Open(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	p := openDB(t, log, t.TempDir(), at).Position()
	if err := wrong.Apply(t.Context(), p.Stream, []workflow.Entry{{Sequence: at, Time: p.Time, Source: p.Source, ID: p.ID, Body: workflow.Resend{Round: 1}}}); err != nil {
		t.Fatal(err)
	}
	if err := wrong.Close(); err != nil {
		t.Fatal(err)
	}
	if same, _, err := sameAt(t.Context(), log, ahead, other); err != nil || same {
		t.Errorf("another database: the same: %t, %v", same, err)
	}
}
