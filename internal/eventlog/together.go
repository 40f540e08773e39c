package eventlog

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// An atomic batch costs the server about as much as ten messages that are each
// synced to disk, because it keeps the batch in a store of its own until it is
// complete, and syncs that. So events go together only if there are many, and if
// the server takes long enough for each. That depends on how it syncs and on its
// disk, so it is measured.
const (
	guess     = 16                     // events that go together while it is not known what a batch takes
	forget    = 30 * time.Second       // how long it is known what a batch takes
	patience  = 250 * time.Millisecond // the longest that an event waits for those in flight
	largeSize = 64 << 10               // bytes of an event that goes alone: for it, a batch saves nothing
)

// costs is how long the server has taken lately for an event beside others, and for
// a batch. The zero value is ready.
type costs struct {
	guess int // 0: the constant

	mu      sync.Mutex
	single  time.Duration
	batch   time.Duration // 0 if it is not known
	batched time.Time     // when a batch was last measured
}

// worth reports whether a batch of n events pays: whether it takes at most two
// thirds of the time, because times vary.
func (c *costs) worth(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.batch == 0 || time.Since(c.batched) > forget {
		return n >= cmp.Or(c.guess, guess)
	}
	return time.Duration(n)*c.single > c.batch*3/2
}

// tookSingle notes how long an event took that went alone, beside others.
func (c *costs) tookSingle(d time.Duration, beside int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d /= time.Duration(beside); c.single == 0 {
		c.single = d
	}
	c.single += (d - c.single) / 16
}

// tookBatch notes how long a batch took.
func (c *costs) tookBatch(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.batched) > forget {
		c.batch = 0
	}
	if c.batch > 0 {
		d = (c.batch + d) / 2
	}
	c.batch, c.batched = d, time.Now()
}

// together has events that are appended at the same time go in one atomic batch.
// The zero value is ready.
type together struct {
	patience time.Duration // 0: the constant
	took     costs

	mu      sync.Mutex
	flying  int      // events whose first attempt is in flight
	waiting []*place // events that go when none is in flight
}

// place is that of an event among those that wait.
type place struct {
	m     *nats.Msg
	turn  chan struct{} // closed when the event may go
	batch chan struct{} // closed when its batch is done; nil if it goes alone
	ack   *jetstream.PubAck
}

// enter counts an event as in flight and returns how many are, or it returns the
// event's place among those that wait.
func (t *together) enter(m *nats.Msg) (*place, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.Size() > largeSize || t.flying == 0 || len(t.waiting) == 0 && !t.took.worth(t.flying+1) {
		t.flying++
		return nil, t.flying
	}
	p := &place{m: m, turn: make(chan struct{})}
	t.waiting = append(t.waiting, p)
	return p, 0
}

// leave takes an event away from those that wait, and reports whether it was there.
func (t *together) leave(p *place) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiting, p)
	if i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
	return i >= 0
}

// done counts n events as no longer in flight. If that were the last, those that
// wait may go; done returns them if they go in one batch.
func (t *together) done(n int) (batch []*place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.flying -= n; t.flying > 0 || len(t.waiting) == 0 {
		return nil
	}
	msgs := make([]*nats.Msg, len(t.waiting))
	for i, p := range t.waiting {
		msgs[i] = p.m
	}
	n = atomicSize(msgs)
	going := t.waiting[:n:n]
	t.waiting, t.flying = t.waiting[n:], n
	share := t.took.worth(n)
	for _, p := range going {
		if share {
			p.batch = make(chan struct{})
		}
		close(p.turn)
	}
	if share {
		return going
	}
	return nil
}

// tryTogether makes the first attempt to publish a message, alone or in a batch
// with others. If the batch fails for whatever reason, each of its messages goes
// alone, with the same Nats-Msg-Id: so one message cannot fail the others, and
// what has landed although its answer was lost is not stored again.
func (l *Log) tryTogether(ctx context.Context, m *nats.Msg) (*jetstream.PubAck, error) {
	p, beside := l.together.enter(m)
	if p == nil {
		return l.tryCounted(ctx, m, beside)
	}
	enough := time.NewTimer(cmp.Or(l.together.patience, patience))
	defer enough.Stop()
	select {
	case <-p.turn:
	case <-ctx.Done():
	case <-enough.C:
	}
	if l.together.leave(p) {
		if err := ctx.Err(); err != nil {
			return nil, err // it was not sent
		}
		return l.try(ctx, m)
	}
	<-p.turn
	if p.batch == nil {
		return l.tryCounted(ctx, m, 0)
	}
	select {
	case <-p.batch:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p.ack != nil {
		return p.ack, nil
	}
	return l.try(ctx, m)
}

// tryCounted makes an attempt that is counted as in flight, beside so many; 0 if
// that is not known.
func (l *Log) tryCounted(ctx context.Context, m *nats.Msg, beside int) (*jetstream.PubAck, error) {
	start := time.Now()
	ack, err := l.try(ctx, m)
	if err == nil && beside > 0 {
		l.together.took.tookSingle(time.Since(start), beside)
	}
	l.landed(1)
	return ack, err
}

// landed counts n events as no longer in flight, and sends the batch that may go
// then, in the background: whoever appended one of its events may leave.
func (l *Log) landed(n int) {
	if batch := l.together.done(n); batch != nil {
		go l.sendBatch(batch)
	}
}

// sendBatch makes one attempt to append events in one batch. The batch has
// consecutive sequences.
func (l *Log) sendBatch(places []*place) {
	msgs := make([]*nats.Msg, len(places))
	for i, p := range places {
		msgs[i] = p.m
	}
	start := time.Now()
	ack, err := l.tryBatch(context.Background(), msgs)
	l.together.took.tookBatch(time.Since(start))
	if err != nil {
		l.sayBatch(len(msgs), err)
	}
	for i, p := range places {
		if err == nil {
			p.ack = &jetstream.PubAck{Stream: ack.Stream, Sequence: ack.Sequence - uint64(len(places)-1-i)}
		}
		close(p.batch)
	}
	l.landed(len(places))
}
