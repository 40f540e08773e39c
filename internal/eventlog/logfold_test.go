package eventlog_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

const acct = workflow.SID(ac)

const (
	ac     = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	px     = "PXaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hr1    = "HRaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	mine   = events.Prefix + ac + "." + px + "."
	digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)

var at = time.Date(2026, 11, 23, 15, 4, 5, 600_000_000, time.UTC)

func docSID(n int) workflow.SID { return workflow.SID(fmt.Sprintf("PX%032x", n)) }

// createdEvent is the nth event of an upstream service.
func createdEvent(n int) events.Event {
	return events.Created("/orders", fmt.Sprintf("created-%d", n), acct, docSID(n), workflow.Created{
		AddressSID: "ADaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Email: "owner@example.com",
		HostedNumberOrderSIDs: []workflow.SID{workflow.SID(fmt.Sprintf("HR%032x", n))},
	})
}

// dueEvent is the nth event that may stand on the log once.
func dueEvent(n int) events.Event {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	return eventlog.FromPending(workflow.PendingEvent{
		Account: acct, Document: docSID(n), What: "due.expiry.1", Cause: 1, At: at,
		Body: workflow.TimerDue{Timer: "expiry", Round: 1, DueAt: at},
	})
}

func dueEvents(from, to int) (es []events.Event) {
	for n := from; n < to; n++ {
		es = append(es, dueEvent(n))
	}
	return es
}

func claimEvent(worker string, n int) events.Event {
	return eventlog.Claimed(fmt.Sprintf("%s-%d", worker, n), time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), workflow.Claimed{
		Worker: worker, Mails: []workflow.MailID{workflow.MailID(fmt.Sprintf("%s.1.signature.1", docSID(n)))},
	})
}

// appendAll appends events from..to-1 and fails the test where one does not
// land.
func appendAll(t testing.TB, log *eventlog.Log, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		if _, err := log.Append(t.Context(), createdEvent(n)); err != nil {
			t.Fatal(err)
		}
	}
}

// fold is a Fold that keeps what it applied. An identity met again counts once.
type fold struct {
	mu       sync.Mutex
	position eventlog.Position
	history  []eventlog.Position // what was applied and not gone back behind
	entries  []workflow.Entry    // all that was applied
	ids      []string            // in the order in which they were first met
	batches  int
	largest  int          // entries in a batch
	onApply  func() error // called before a batch is applied
}

func (f *fold) Position(context.Context) (eventlog.Position, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.position, nil
}

func (f *fold) Apply(_ context.Context, b eventlog.Batch) error {
	if f.onApply != nil {
		if err := f.onApply(); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.batches++
	f.largest = max(f.largest, len(b.Entries))
	for _, e := range b.Entries {
		if e.Sequence <= f.position.Sequence {
			return fmt.Errorf("entry %d after %d", e.Sequence, f.position.Sequence)
		}
		f.position = eventlog.Position{Sequence: e.Sequence, Time: e.Time.Truncate(time.Millisecond), ID: e.ID, Source: e.Source, Stream: b.Stream}
		f.history = append(f.history, f.position)
		f.entries = append(f.entries, e)
		if !slices.Contains(f.ids, e.ID) {
			f.ids = append(f.ids, e.ID)
		}
	}
	return nil
}

func (f *fold) Rewind(_ context.Context, _ uint64, matches func(uint64, time.Time, string, string) (bool, error)) (eventlog.Position, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, p := range slices.Backward(f.history) {
		same, err := matches(p.Sequence, p.Time, p.Source, p.ID)
		if err != nil {
			return eventlog.Position{}, err
		}
		if same {
			f.position, f.history = p, f.history[:i+1]
			return p, nil
		}
	}
	return eventlog.Position{}, workflow.ErrConflict
}

func (f *fold) sequence() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.position.Sequence
}

// entry is the entry applied at a sequence; one without a body if there is none.
func (f *fold) entry(seq uint64) (e workflow.Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.entries {
		if x.Sequence == seq {
			e = x
		}
	}
	return e
}

func (f *fold) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.ids)
}

// follow follows in the background until the test ends or stop is called,
// which waits for it and answers with its error.
func follow(t testing.TB, log *eventlog.Log, f eventlog.Fold) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- log.Follow(ctx, f) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	return stop
}

// followToItsEnd follows until that ends by itself, and answers with the error.
// Where it does not end the error is nil.
func followToItsEnd(t testing.TB, log *eventlog.Log, f eventlog.Fold) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return log.Follow(ctx, f)
}

// createdIDs are the ids of events from..to-1.
func createdIDs(from, to int) (out []string) {
	for n := from; n < to; n++ {
		out = append(out, createdEvent(n).ID)
	}
	return out
}

// stored reads the whole stream, oldest first.
func stored(t testing.TB, nc *nats.Conn) (out []*jetstream.RawStreamMsg) {
	t.Helper()
	stream := authdocs(t, nc)
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for seq := max(info.State.FirstSeq, 1); seq <= info.State.LastSeq; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b *jetstream.RawStreamMsg) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return out
}

func authdocs(t testing.TB, nc *nats.Conn) jetstream.Stream {
	t.Helper()
	stream, err := manager(t, nc).Stream(t.Context(), events.StreamName)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func manager(t testing.TB, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}
