package eventlog_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
)

func TestLogFollow_LogThatLostItsTailIsFoldedFromLastCommonEntry(t *testing.T) {
	for name, test := range map[string]struct {
		after int      // so many other events are published on the older log
		want  []string // what the fold has met in the end
	}{
		"the same sequences are used again":   {5, append(createdIDs(0, 15), createdIDs(100, 105)...)},
		"the log has grown past the position": {9, append(createdIDs(0, 15), createdIDs(100, 109)...)},
		"the log is shorter than before":      {2, append(createdIDs(0, 15), createdIDs(100, 102)...)},
		"the log has nothing new":             {0, createdIDs(0, 15)},
	} {
		t.Run(name, func(t *testing.T) {
			broker := eventstest.Server(t)
			log := eventstest.Open(t, eventstest.Connect(t, broker), 1)
			var f fold
			follow(t, log, &f)
			appendAll(t, log, 0, 10)
			older := backup(t, broker)
			appendAll(t, log, 10, 15)
			eventstest.Wait(t, "all entries applied", func() bool { return f.sequence() == 15 })

			restore(t, broker, older)
			appendAll(t, log, 100, 100+test.after)
			eventstest.Wait(t, "the log's end applied", func() bool { // the sequence alone may be that of before
				return f.sequence() == uint64(10+test.after) && len(f.seen()) >= len(test.want)
			})
			if diff := cmp.Diff(test.want, f.seen()); diff != "" {
				t.Errorf("other entries were applied (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLogFollow_DropsEntriesReadBeforeReconnect restores an older log while a batch is
// applied: the next batch was read from the newer log, and must be dropped.
func TestLogFollow_DropsEntriesReadBeforeReconnect(t *testing.T) {
	for range 4 { // without the guard it is a matter of chance
		broker := eventstest.Server(t)
		log := eventstest.Open(t, eventstest.Connect(t, broker), 1)
		appendAll(t, log, 0, 1)
		older := backup(t, broker)
		applying, goOn := make(chan bool), make(chan bool)
		var once sync.Once
		f := fold{onApply: func() error {
			once.Do(func() { applying <- true; <-goOn })
			return nil
		}}
		follow(t, log, &f)
		<-applying
		appendAll(t, log, 1, 10)
		eventstest.Wait(t, "the rest read", func() bool { return log.Stats().Last == 10 })
		before := log.Stats().Reconnects
		restore(t, broker, older)
		eventstest.Wait(t, "the connection found", func() bool { return log.Stats().Reconnects > before })
		appendAll(t, log, 100, 105)
		goOn <- true
		eventstest.Wait(t, "the log's end applied", func() bool { return f.sequence() >= 6 })
		if diff := cmp.Diff(append(createdIDs(0, 1), createdIDs(100, 105)...), f.seen()); diff != "" {
			t.Fatalf("other entries were applied (-want +got):\n%s", diff)
		}
	}
}

func TestLogFollow_ChecksLogWhenWorkerStarts(t *testing.T) {
	broker := eventstest.Server(t)
	nc := eventstest.Connect(t, broker)
	log := eventstest.Open(t, nc, 1)
	var f fold
	stop := follow(t, log, &f)
	appendAll(t, log, 0, 10)
	older := backup(t, broker)
	appendAll(t, log, 10, 15)
	eventstest.Wait(t, "all entries applied", func() bool { return f.sequence() == 15 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	restore(t, broker, older)
	appendAll(t, log, 100, 120)
	follow(t, log, &f)
	eventstest.Wait(t, "the log's end applied", func() bool { return f.sequence() == 30 })
	if diff := cmp.Diff(append(createdIDs(0, 15), createdIDs(100, 120)...), f.seen()); diff != "" {
		t.Errorf("other entries were applied (-want +got):\n%s", diff)
	}
}

func TestLogFollow_RefusesNewStreamOfSameName(t *testing.T) {
	for name, n := range map[string]int{"empty": 0, "shorter": 3, "longer": 8} {
		t.Run(name, func(t *testing.T) {
			nc := eventstest.Connect(t, eventstest.Server(t))
			log := eventstest.Open(t, nc, 1)
			var f fold
			stop := follow(t, log, &f)
			appendAll(t, log, 0, 5)
			eventstest.Wait(t, "all entries applied", func() bool { return f.sequence() == 5 })
			if err := stop(); err != nil {
				t.Fatal(err)
			}

			if err := manager(t, nc).DeleteStream(t.Context(), events.StreamName); err != nil {
				t.Fatal(err)
			}
			log = eventstest.Open(t, nc, 1)
			appendAll(t, log, 100, 100+n)
			err := followToItsEnd(t, log, &f)
			if !errors.Is(err, eventlog.ErrGuard) || !strings.Contains(err.Error(), "created again") || !strings.Contains(err.Error(), "rebuild --from-log") {
				t.Errorf("got %v, want ErrGuard and what to do", err)
			}
			if diff := cmp.Diff(createdIDs(0, 5), f.seen()); diff != "" {
				t.Errorf("other entries were applied (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLogFollow_GoesOnAfterStreamIsRestored(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	appendAll(t, log, 0, 5)
	var f fold
	stop := follow(t, log, &f)
	eventstest.Wait(t, "all entries applied", func() bool { return f.sequence() == 5 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	f.position.Stream = f.position.Stream.Add(-1 << 40) // as after a restore that created the stream again

	appendAll(t, log, 5, 6)
	follow(t, log, &f)
	eventstest.Wait(t, "the new entry applied", func() bool { return f.sequence() == 6 })
	if !f.position.Stream.Equal(authdocs(t, nc).CachedInfo().Created) {
		t.Errorf("the stream's time of creation is not the fold's: %s", f.position.Stream)
	}
}

func TestLogFollow_EntriesPurgedBeforeItStarts(t *testing.T) {
	for name, test := range map[string]struct {
		applied int // before the purge
		keep    uint64
		refused bool
	}{
		"by a worker that knows none":       {0, 7, true},
		"by a worker that is behind":        {3, 7, true},
		"right after the position":          {6, 7, false},
		"the position itself":               {7, 8, false},
		"all of them, by one that is ready": {10, 11, false},
	} {
		t.Run(name, func(t *testing.T) {
			nc := eventstest.Connect(t, eventstest.Server(t))
			log := eventstest.Open(t, nc, 1)
			appendAll(t, log, 0, test.applied)
			var f fold
			stop := follow(t, log, &f)
			eventstest.Wait(t, "the first entries applied", func() bool { return f.sequence() == uint64(test.applied) })
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			appendAll(t, log, test.applied, 10)
			if err := authdocs(t, nc).Purge(t.Context(), jetstream.WithPurgeSequence(test.keep)); err != nil {
				t.Fatal(err)
			}
			if test.refused {
				if err := followToItsEnd(t, log, &f); !errors.Is(err, eventlog.ErrGuard) || !strings.Contains(err.Error(), "snapshot") {
					t.Errorf("got %v, want ErrGuard and a word about a snapshot", err)
				}
				return
			}
			appendAll(t, log, 10, 11)
			follow(t, log, &f)
			eventstest.Wait(t, "the rest applied", func() bool { return f.sequence() == 11 })
			if got := f.seen(); !slices.Equal(got, createdIDs(0, 11)) {
				t.Errorf("applied %v", got)
			}
		})
	}
}

// TestLogFollow_EntryAtPositionIsPurged starts a worker whose last applied entry was
// purged by its subject: the entry cannot be read back, and the worker goes on.
func TestLogFollow_EntryAtPositionIsPurged(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	appendAll(t, log, 0, 5)
	var f fold
	stop := follow(t, log, &f)
	eventstest.Wait(t, "all entries applied", func() bool { return f.sequence() == 5 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	appendAll(t, log, 5, 7)
	if err := authdocs(t, nc).DeleteMsg(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	follow(t, log, &f)
	eventstest.Wait(t, "the rest applied", func() bool { return f.sequence() == 7 })
	if got := f.seen(); !slices.Equal(got, createdIDs(0, 7)) {
		t.Errorf("applied %v", got)
	}
}

// backup stops the broker, copies its store, and starts it again.
func backup(t *testing.T, broker *eventstest.Broker) (dir string) {
	t.Helper()
	dir = t.TempDir() + "/store"
	broker.Stop()
	if err := os.CopyFS(dir, os.DirFS(broker.StoreDir())); err != nil {
		t.Fatal(err)
	}
	broker.Start()
	return dir
}

// restore puts a copy of the store in the place of the store.
func restore(t *testing.T, broker *eventstest.Broker, dir string) {
	t.Helper()
	broker.Stop()
	if err := os.RemoveAll(broker.StoreDir()); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(broker.StoreDir(), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	broker.Start()
}
