package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// gate is a connection to a real broker. It holds single messages back until it is
// opened, and counts what passes.
type gate struct {
	jetstream.JetStream
	nc      *nats.Conn
	open    chan struct{}
	arrived atomic.Int32 // single messages, held or not
	mu      sync.Mutex
	ids     map[string]string // Nats-Msg-Id of each message by subject, as first sent
	changed []string          // subjects of messages that were sent with another id later
	batches []int             // sizes
	after   func(error) error // changes the outcome of a batch; nil for no change
}

func newGate(t *testing.T, broker *eventstest.Broker) (*gate, *eventlog.Log) {
	t.Helper()
	nc := eventstest.Connect(t, broker)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{JetStream: js, nc: nc, open: make(chan struct{}), ids: map[string]string{}}
	return g, g.log(t, nil)
}

// log opens the log behind the gate.
func (g *gate) log(t *testing.T, newID func(*nats.Msg) string) *eventlog.Log {
	t.Helper()
	log, err := eventlog.OpenOn(t.Context(), eventlog.Broker{Conn: g.nc, JS: g, Batch: g.batch, NewID: newID}, 1, eventstest.Logger())
	if err != nil {
		t.Fatal(err)
	}
	log.SetPatience(time.Hour)
	return log
}

func (g *gate) note(m *nats.Msg) {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := m.Header.Get(jetstream.MsgIDHeader)
	if first := g.ids[m.Subject]; first == "" {
		g.ids[m.Subject] = id
	} else if first != id {
		g.changed = append(g.changed, m.Subject)
	}
}

func (g *gate) PublishMsg(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	g.note(m)
	g.arrived.Add(1)
	<-g.open
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second) // it has not begun before
	defer cancel()
	return g.JetStream.PublishMsg(ctx, m, opts...)
}

func (g *gate) batch(ctx context.Context, msgs []*nats.Msg) (*jetstreamext.BatchAck, error) {
	for _, m := range msgs {
		g.note(m)
	}
	g.mu.Lock()
	g.batches = append(g.batches, len(msgs))
	g.mu.Unlock()
	ack, err := jetstreamext.PublishMsgBatch(ctx, g.JetStream, msgs)
	if g.after != nil {
		err = g.after(err)
	}
	return ack, err
}

func waiting(log *eventlog.Log) int {
	_, n := log.Together()
	return n
}

// appended is an event that is being appended.
type appended struct {
	e      events.Event
	seq    uint64
	err    error
	cancel context.CancelFunc
}

// crowd appends n events at once, the first of them before the others: fifteen of
// them are in flight, and the others wait.
func (g *gate) crowd(t *testing.T, log *eventlog.Log, n int) (list []*appended, wait func()) {
	t.Helper()
	const alone = 15
	var group sync.WaitGroup
	for i := range n {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		a := &appended{e: createdEvent(i), cancel: cancel}
		list = append(list, a)
		group.Go(func() {
			defer cancel()
			a.seq, a.err = log.Append(ctx, a.e)
		})
		if i == alone-1 {
			eventstest.Wait(t, "the first events to be in flight", func() bool { return g.arrived.Load() == alone })
		}
	}
	eventstest.Wait(t, "the others to wait", func() bool { return waiting(log) == max(0, n-alone) })
	return list, group.Wait
}

// checkAppended fails the test unless each event is on the log once, where Append says.
func (g *gate) checkAppended(t *testing.T, list []*appended) {
	t.Helper()
	at := map[string]uint64{}
	for _, m := range stored(t, g.nc) {
		if at[m.Subject] != 0 {
			t.Errorf("%s is on the log twice", m.Subject)
		}
		at[m.Subject] = m.Sequence
	}
	for _, a := range list {
		subject, err := a.e.Subject()
		if err != nil {
			t.Fatal(err)
		}
		if a.err != nil || a.seq == 0 || at[subject] != a.seq {
			t.Errorf("%s: got sequence %d (%v), and it is at %d", subject, a.seq, a.err, at[subject])
		}
	}
}

// TestLogAppend_ManyAtOnceGoInOneBatch: events that arrive while others are in
// flight go in one batch, each with an id of its own and with its own sequence.
func TestLogAppend_ManyAtOnceGoInOneBatch(t *testing.T) {
	g, log := newGate(t, eventstest.Server(t))
	list, wait := g.crowd(t, log, 40)
	close(g.open)
	wait()
	g.checkAppended(t, list)
	if len(g.batches) != 1 || g.batches[0] != 25 {
		t.Errorf("batches of %d, want one of 25", g.batches)
	}
	seen := map[string]bool{}
	for subject, id := range g.ids {
		if id == "" || seen[id] {
			t.Errorf("%s has id %q, which is empty or another's", subject, id)
		}
		seen[id] = true
	}
}

// TestLogAppend_FewGoAtOnce: no event waits for another unless there are many.
func TestLogAppend_FewGoAtOnce(t *testing.T) {
	g, log := newGate(t, eventstest.Server(t))
	list, wait := g.crowd(t, log, 15)
	close(g.open)
	wait()
	g.checkAppended(t, list)
	if len(g.batches) != 0 {
		t.Errorf("batches of %d, want none", g.batches)
	}
}

// TestLogAppend_BatchFallsApart: whatever fails a batch, each of its events is
// appended once.
func TestLogAppend_BatchFallsApart(t *testing.T) {
	for name, test := range map[string]struct {
		after  func(error) error
		stolen bool // somebody has used the Nats-Msg-Id of one event
	}{
		"refused because of one event's id": {stolen: true},
		"landed, and its answer lost":       {after: func(error) error { return context.DeadlineExceeded }},
		"landed, and called refused":        {after: func(error) error { return &jetstream.APIError{Code: 429, ErrorCode: 10210} }},
	} {
		t.Run(name, func(t *testing.T) {
			g, log := newGate(t, eventstest.Server(t))
			g.after = test.after
			if test.stolen {
				js := g.JetStream
				if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: events.Prefix + "somebody", Header: nats.Header{jetstream.MsgIDHeader: {"stolen"}}}); err != nil {
					t.Fatal(err)
				}
				victim, err := createdEvent(20).Subject()
				if err != nil {
					t.Fatal(err)
				}
				var ids atomic.Int32
				log = g.log(t, func(m *nats.Msg) string {
					if n := ids.Add(1); m.Subject != victim || m.Header.Get(jetstream.MsgIDHeader) != "" {
						return fmt.Sprint("id-", n)
					}
					return "stolen"
				})
			}
			list, wait := g.crowd(t, log, 40)
			close(g.open)
			wait()
			g.checkAppended(t, list)
			if len(g.batches) == 0 {
				t.Error("there was no batch")
			}
			if want := map[bool]int{true: 1}[test.stolen]; len(g.changed) != want {
				t.Errorf("%q got another id, want %d of them", g.changed, want)
			}
		})
	}
}

// TestLogAppend_ClientLeaves: an event whose caller leaves while it waits does not
// keep the others from the log, and is not on it.
func TestLogAppend_ClientLeaves(t *testing.T) {
	g, log := newGate(t, eventstest.Server(t))
	list, wait := g.crowd(t, log, 40)
	gone := list[20]
	gone.cancel()
	eventstest.Wait(t, "the event to leave", func() bool { return waiting(log) < 25 })
	close(g.open)
	wait()
	if !errors.Is(gone.err, workflow.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", gone.err)
	}
	g.checkAppended(t, append(list[:20:20], list[21:]...))
	if n := len(stored(t, g.nc)); n != 39 {
		t.Errorf("%d entries, want 39", n)
	}
}

// TestLogAppend_OthersThatHangDoNotHoldItUp: an event waits for those in flight only
// for a while.
func TestLogAppend_OthersThatHangDoNotHoldItUp(t *testing.T) {
	g, log := newGate(t, eventstest.Server(t))
	log.SetPatience(time.Millisecond)
	var list []*appended
	var group sync.WaitGroup
	for i := range 40 {
		a := &appended{e: createdEvent(i)}
		list = append(list, a)
		group.Go(func() { a.seq, a.err = log.Append(t.Context(), a.e) })
	}
	eventstest.Wait(t, "the others to go alone", func() bool { return g.arrived.Load() == 40 })
	close(g.open)
	group.Wait()
	g.checkAppended(t, list)
}

// TestLogAppend_LargeEventsGoAlone: a large event waits for no batch. If the server
// does not take it, it fails by itself.
func TestLogAppend_LargeEventsGoAlone(t *testing.T) {
	g, log := newGate(t, eventstest.Server(t))
	list, wait := g.crowd(t, log, 30)
	refused := make(chan error, 1)
	go func() {
		_, err := log.Append(t.Context(), tooLarge())
		refused <- err
	}()
	eventstest.Wait(t, "the large event to be in flight", func() bool { return g.arrived.Load() == 16 })
	close(g.open)
	if err := <-refused; !errors.Is(err, nats.ErrMaxPayload) {
		t.Errorf("got %v, want %v", err, nats.ErrMaxPayload)
	}
	wait()
	g.checkAppended(t, list)
}

// TestLogAppend_BatchWithoutBroker: if the broker goes away with a batch in flight,
// all of its events fail as one would, and nothing is left behind.
func TestLogAppend_BatchWithoutBroker(t *testing.T) {
	broker := eventstest.Server(t)
	g, log := newGate(t, broker)
	list, wait := g.crowd(t, log, 40)
	broker.Stop()
	close(g.open)
	eventstest.Wait(t, "the batch to fail", func() bool { return waiting(log) == 0 })
	for _, a := range list {
		a.cancel()
	}
	wait()
	for _, a := range list {
		if !errors.Is(a.err, workflow.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", a.err)
		}
	}
	eventstest.Wait(t, "the batch to end", func() bool { flying, _ := log.Together(); return flying == 0 })
	broker.Start()
	if _, err := log.Append(t.Context(), createdEvent(99)); err != nil {
		t.Errorf("after the broker has come back: %v", err)
	}
	var subjects []string
	for _, m := range stored(t, eventstest.Connect(t, broker)) {
		subjects = append(subjects, m.Subject)
	}
	if want, _ := createdEvent(99).Subject(); strings.Join(subjects, " ") != want {
		t.Errorf("on the log: %q, want %s alone", subjects, want)
	}
}

// TestLogAppendOnce_FewEventsGoOneByOne: until it is known what a batch takes, few
// events do not go in one, because a server that seldom syncs takes it slowly.
func TestLogAppendOnce_FewEventsGoOneByOne(t *testing.T) {
	g, log := newGate(t, eventstest.Server(t))
	close(g.open)
	for _, c := range []struct{ from, n, batches int }{{0, 15, 0}, {100, 16, 1}} {
		if _, err := log.AppendOnce(t.Context(), dueEvents(c.from, c.from+c.n)); err != nil {
			t.Fatal(err)
		}
		if len(g.batches) != c.batches {
			t.Errorf("%d events: the batches are of %v events, want %d batches", c.n, g.batches, c.batches)
		}
	}
}
