package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
	"countersign/internal/test/proxytest"
	"countersign/workflow"
)

func TestLogFollow_ResumesWhereItStopped(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	log := eventstest.Log(t)
	const n = 1000
	if _, err := log.AppendOnce(t.Context(), dueEvents(0, n)); err != nil {
		t.Fatal(err)
	}
	var f fold
	for f.sequence() < n { // each run ends where it likes
		stopAt := f.sequence() + 1 + random.Uint64N(400)
		stop := follow(t, log, &f)
		eventstest.Wait(t, "entries applied", func() bool { return f.sequence() >= min(stopAt, n) })
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.history) != n {
		t.Fatalf("applied %d entries, want %d", len(f.history), n)
	}
	for i, p := range f.history {
		if p.Sequence != uint64(i+1) {
			t.Fatalf("entry %d came in place of %d", p.Sequence, i+1)
		}
	}
	if f.batches > n/2 {
		t.Errorf("%d entries came in %d batches", n, f.batches)
	}
}

func TestLogFollow_GoesOnAfterBrokerRestarts(t *testing.T) {
	broker := eventstest.Server(t)
	log := eventstest.Open(t, eventstest.Connect(t, broker), 1)
	var f fold
	follow(t, log, &f)
	for round := range 3 {
		appendAll(t, log, 20*round, 20*round+20)
		broker.Restart()
	}
	appendAll(t, log, 60, 61)
	eventstest.Wait(t, "all entries applied", func() bool { return len(f.seen()) == 61 })
	if diff := cmp.Diff(createdIDs(0, 61), f.seen()); diff != "" {
		t.Errorf("entries came otherwise than appended (-want +got):\n%s", diff)
	}
}

func TestLogFollow_LargeMessagesMakeShortBatches(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	const n = 40
	for i := range n { // a publisher that keeps to nothing but NATS's limit
		m := nats.NewMsg(events.Prefix + string(acct) + "." + string(docSID(i)) + ".created")
		m.Data = []byte(strings.Repeat("x", 1<<20-1024))
		if _, err := manager(t, nc).PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	// Applying takes longer than reading.
	f := fold{onApply: func() (err error) {
		for range 100 {
			_, err = log.Tail(t.Context())
		}
		return err
	}}
	stop := follow(t, log, &f)
	eventstest.Wait(t, "all entries applied", func() bool { return f.sequence() == n })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if f.largest > 8 {
		t.Errorf("a batch had %d MiB, want 8 at most", f.largest)
	}
}

func TestLogFollow_ReadsOneBatchAhead(t *testing.T) {
	log := eventstest.Log(t)
	const n = 6000
	for from := 0; from < n; from += 500 {
		if _, err := log.AppendOnce(t.Context(), dueEvents(from, from+500)); err != nil {
			t.Fatal(err)
		}
	}
	// Applying takes longer than reading.
	f := fold{onApply: func() (err error) {
		for range 500 {
			_, err = log.Tail(t.Context())
		}
		return err
	}}
	stop := follow(t, log, &f)
	eventstest.Wait(t, "all entries applied", func() bool { return f.sequence() == n })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if f.largest > 2048 {
		t.Errorf("a batch had %d entries, want 2,048 at most", f.largest)
	}
}

func TestLogFollow_SkipsPurgedEntries(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	appendAll(t, log, 0, 10)
	for _, n := range []int{3, 4, 8} {
		if err := authdocs(t, nc).Purge(t.Context(), jetstream.WithPurgeSubject(fmt.Sprintf("authdocs.v1.*.%s.>", docSID(n)))); err != nil {
			t.Fatal(err)
		}
	}
	var f fold
	follow(t, log, &f)
	eventstest.Wait(t, "all entries applied", func() bool { return f.sequence() == 10 })
	want := append(append(createdIDs(0, 3), createdIDs(5, 8)...), createdIDs(9, 10)...)
	if diff := cmp.Diff(want, f.seen()); diff != "" {
		t.Errorf("other entries were applied (-want +got):\n%s", diff)
	}
}

func TestLogFollow_GoesOnAfterConsumerIsDeleted(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	var f fold
	follow(t, log, &f)
	for n := range 3 {
		appendAll(t, log, n, n+1)
		eventstest.Wait(t, "an entry applied", func() bool { return len(f.seen()) == n+1 })
		stream := authdocs(t, nc)
		for name := range stream.ConsumerNames(t.Context()).Name() {
			if err := stream.DeleteConsumer(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
	}
	appendAll(t, log, 3, 4)
	eventstest.Wait(t, "all entries applied", func() bool { return len(f.seen()) == 4 })
}

func TestLogFollow_RereadsEntriesLostInTransit(t *testing.T) {
	// The reply of a message says where it stands on the stream:
	// $JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.…
	proxied := proxytest.Filter(t, eventstest.Server(t).URL(), losing(func(line string) bool {
		_, position, ours := strings.Cut(line, " $JS.ACK."+events.StreamName+".")
		at := strings.Split(position, ".")
		return ours && at[2] == "5"
	}))
	log := eventstest.Open(t, eventstest.Connect(t, proxied), 1)
	appendAll(t, log, 0, 10)
	var f fold
	follow(t, log, &f)
	eventstest.Wait(t, "all entries applied", func() bool { return f.sequence() == 10 })
	if diff := cmp.Diff(createdIDs(0, 10), f.seen()); diff != "" {
		t.Errorf("other entries were applied (-want +got):\n%s", diff)
	}
}

func TestLogFollow_Ends(t *testing.T) {
	t.Run("with the error of Apply, and applies nothing more", func(t *testing.T) {
		log := eventstest.Log(t)
		appendAll(t, log, 0, 3)
		full := errors.New("the disk is full")
		f := fold{onApply: func() error { return full }}
		if err := followToItsEnd(t, log, &f); !errors.Is(err, full) {
			t.Errorf("got %v, want %v", err, full)
		}
		if got := f.seen(); len(got) != 0 {
			t.Errorf("applied %v", got)
		}
	})
	t.Run("with the batch in hand applied", func(t *testing.T) {
		log := eventstest.Log(t)
		appendAll(t, log, 0, 1)
		applying, goOn := make(chan bool), make(chan bool)
		f := fold{onApply: func() error { applying <- true; <-goOn; return nil }}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- log.Follow(ctx, &f) }()
		<-applying
		cancel()
		goOn <- true
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if got := f.sequence(); got != 1 {
			t.Errorf("the position is %d, want 1", got)
		}
	})
	t.Run("without an error if the fold gives up because of the end", func(t *testing.T) {
		log := eventstest.Log(t)
		appendAll(t, log, 0, 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f := fold{onApply: func() error { cancel(); return fmt.Errorf("wait for the lock: %w", ctx.Err()) }}
		if err := log.Follow(ctx, &f); err != nil {
			t.Error(err)
		}
		if got := f.sequence(); got != 0 {
			t.Errorf("the position is %d, want 0", got)
		}
	})
	t.Run("when the stream is made unsafe", func(t *testing.T) {
		broker := eventstest.Server(t)
		nc := eventstest.Connect(t, broker)
		log := eventstest.Open(t, nc, 1)
		config := authdocs(t, nc).CachedInfo().Config
		config.MaxMsgs = 5
		if _, err := manager(t, nc).UpdateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
		var unsafe *eventlog.UnsafeStreamError
		if err := followToItsEnd(t, log, &fold{}); !errors.As(err, &unsafe) {
			t.Errorf("got %v, want an UnsafeStreamError", err)
		}
	})
	t.Run("when the connection is closed", func(t *testing.T) {
		nc := eventstest.Connect(t, eventstest.Server(t))
		log := eventstest.Open(t, nc, 1)
		appendAll(t, log, 0, 1)
		f := fold{onApply: func() error { nc.Close(); return nil }}
		if err := followToItsEnd(t, log, &f); !errors.Is(err, nats.ErrConnectionClosed) {
			t.Errorf("got %v, want %v", err, nats.ErrConnectionClosed)
		}
	})
}

// counter is a Fold that only counts, and always begins at the beginning.
type counter struct {
	want uint64
	done chan bool
}

func (*counter) Position(context.Context) (eventlog.Position, error) { return eventlog.Position{}, nil }

func (c *counter) Apply(_ context.Context, b eventlog.Batch) error {
	if b.Entries[len(b.Entries)-1].Sequence == c.want {
		close(c.done)
	}
	return nil
}

func (*counter) Rewind(context.Context, uint64, func(uint64, time.Time, string, string) (bool, error)) (eventlog.Position, error) {
	return eventlog.Position{}, workflow.ErrConflict
}

func BenchmarkFollow(b *testing.B) {
	log := eventstest.Log(b)
	const n = 20_000
	for from := 0; from < n; from += 500 {
		if _, err := log.AppendOnce(b.Context(), dueEvents(from, from+500)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		f := &counter{done: make(chan bool), want: n}
		stop := follow(b, log, f)
		<-f.done
		if err := stop(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
