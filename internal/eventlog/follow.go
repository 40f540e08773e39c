package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/failpoint"
	"countersign/workflow"
)

// Position is the last entry that a fold has applied. Sequence 0 is the
// position before the first entry; the other fields are empty then.
type Position struct {
	Sequence   uint64
	Time       time.Time // the entry's timestamp; to the millisecond
	ID, Source string    // the entry's identity, as Decode gives it
	Stream     time.Time // when the stream was created, as Apply was told
}

// Batch is a series of entries in the log's order, with gaps if entries were
// purged.
type Batch struct {
	Stream  time.Time        // when the stream was created
	Entries []workflow.Entry // never empty

	// Erasures are later events of erasure that explain the gaps before the
	// entries. A fold must apply them first. Then it reaches the same state as
	// a fold that applied the entries before they were removed.
	Erasures []workflow.Entry
}

// Fold is what the log is applied to.
type Fold interface {
	// Position returns the last applied entry.
	Position(ctx context.Context) (Position, error)

	// Apply applies a batch of entries and makes the last of them the position,
	// both or neither. If ctx ends, Apply must finish a batch that it has
	// begun, and give up one that it has not. After any other error Follow
	// ends.
	Apply(ctx context.Context, b Batch) error

	// Rewind is called if the log does not hold the position, because it lost
	// its tail. It walks back through the applied entries from the newest one,
	// asks matches whether the log still holds each, makes the first that
	// matches the position, and returns it. If none matches, it changes nothing
	// and fails with workflow.ErrConflict. It also ends with an error of
	// matches.
	Rewind(ctx context.Context, last uint64, matches func(seq uint64, at time.Time, source, id string) (bool, error)) (Position, error)
}

// What is read ahead while a batch is being applied is the next batch, and what the
// server has sent of a pull. All of it is in memory, so it bounds what a backlog costs.
const (
	maxBatch      = 2048
	maxBatchBytes = 8 << 20 // of payload; a batch of large messages is short
	maxPull       = 2 * maxBatch
	maxPullBytes  = 16 << 20 // must hold the largest message
)

// Follow reads the log from the fold's position and applies it to the fold, in
// order, in batches. When ctx ends, it finishes the current batch and returns
// nil. After any trouble with the connection or the servers it continues from
// the position. It returns an error if continuing would not help: Apply failed,
// the stream is unsafe (*UnsafeStreamError), the log and the fold do not belong
// together (ErrGuard), or the connection was closed.
func (l *Log) Follow(ctx context.Context, f Fold) error {
	trouble := nag{log: l.log, grace: time.Second}
	for again := (pause{}); ; {
		began := time.Now()
		applied, err := l.follow(ctx, f)
		var end final
		switch {
		case errors.As(err, &end):
			return end.error
		case ctx.Err() != nil:
			return nil
		case hopeless(err):
			return fmt.Errorf("follow the log: %w", err)
		}
		if applied || time.Since(began) > 5*time.Second {
			again, trouble = pause{}, nag{log: l.log, grace: time.Second}
		}
		l.log.Debug("starting again to follow the log", "err", err)
		trouble.warn("cannot follow the log", l.away(err))
		again.wait(ctx)
	}
}

// final is an error that ends Follow.
type final struct{ error }

func (e final) Unwrap() error { return e.error }

// unlessEnded makes an error of a fold final, unless the fold gave up because
// ctx ended.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return err
	}
	return final{err}
}

var (
	errReconnected = errors.New("the connection was lost in between")
	errSilent      = errors.New("entries went missing between the server and here")
)

// follow follows the log until something goes wrong, and reports whether it
// applied anything.
func (l *Log) follow(ctx context.Context, f Fold) (applied bool, err error) {
	// Entries that were read before a reconnect may be from a log that has lost
	// its tail since. So a run ends with the connection, and the next run
	// begins with the guard.
	connection := l.broker.Conn.Stats().Reconnects
	lost := l.broker.Conn.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	defer l.broker.Conn.RemoveStatusListener(lost)

	stream, after, err := l.guard(ctx, f)
	if err != nil {
		return false, err
	}
	msgs, err := l.consume(ctx, stream, after)
	if err != nil {
		return false, err
	}
	read, cancel := context.WithCancel(ctx)
	slot, over := make(chan batch, 1), make(chan error, 2)
	var reader sync.WaitGroup
	created, together := stream.CachedInfo().Created, gatherer{from: after, since: time.Now()}
	reader.Go(func() { over <- fmt.Errorf("read the log: %w", l.read(read, msgs, after, slot)) })
	reader.Go(func() { over <- l.watch(read, created) })
	defer func() {
		cancel()
		msgs.Stop()
		reader.Wait()
	}()

	for ctx.Err() == nil {
		var b batch
		select {
		case <-ctx.Done():
			return applied, nil
		case <-lost:
			return applied, errReconnected
		case err := <-over:
			return applied, err
		case b = <-slot:
		}
		// The run may have ended while gather waited. Then its last batch is left, so
		// that chance does not decide: select takes any channel that is ready.
		select {
		case err := <-over:
			return applied, err
		default:
		}
		if l.broker.Conn.Stats().Reconnects != connection {
			return applied, errReconnected
		}
		b.Stream = created
		failpoint.Hit("batch-received")
		first, last := b.Entries[0], b.Entries[len(b.Entries)-1]
		if err := f.Apply(ctx, b.Batch); err != nil {
			return applied, unlessEnded(ctx, fmt.Errorf("apply entries %d to %d: %w", first.Sequence, last.Sequence, err))
		}
		applied = true
		together.gather(ctx, last.Sequence, l.last.Load, l.hurried)
	}
	return applied, nil
}

const (
	gatherRate  = 500                    // entries a second from which on gather waits
	gatherSpan  = 100 * time.Millisecond // over which they are counted, or longer
	gatherMost  = 256                    // entries that are enough for the next batch
	gatherStep  = 4 * time.Millisecond   // in which another entry must come
	gatherSteps = 5
)

// gatherer lets entries for the next batch come in. Under load that makes few
// large transactions of many small ones, for half the processor time. A log on
// which little happens is followed without delay, however many entries one
// document has at a time.
type gatherer struct {
	from  uint64    // the last entry when the count began
	since time.Time // when that was
	busy  bool      // the last count was over gatherRate
}

// gather waits after a batch that ended at last, if entries come fast; newest
// tells the last entry that is known. It waits for 20 ms at most, and returns
// earlier once there are enough entries, or none has come for 4 ms. It does not
// wait while hurried reports that a client waits.
func (g *gatherer) gather(ctx context.Context, last uint64, newest func() uint64, hurried func() bool) {
	if span := time.Since(g.since); span >= gatherSpan {
		g.busy = float64(last-g.from) >= gatherRate*span.Seconds()
		g.from, g.since = last, time.Now()
	}
	if !g.busy {
		return
	}
	step := time.NewTicker(gatherStep)
	defer step.Stop()
	for seen, i := newest(), 0; i < gatherSteps && seen < last+gatherMost && !hurried(); i++ {
		select {
		case <-step.C:
		case <-ctx.Done():
			return
		}
		now := newest()
		if now == seen {
			return
		}
		seen = now
	}
}

// Hurry has Follow apply entries as they come, in place of gathering them, until
// done is called: a client waits for them.
func (l *Log) Hurry() (done func()) {
	l.hurries.Add(1)
	return func() { l.hurries.Add(-1) }
}

func (l *Log) hurried() bool { return l.hurries.Load() > 0 }

// consume has the server send the entries after a sequence. It works like an
// ordered consumer of nats.go, with one difference: that consumer restarts
// itself, and we must run the guard before.
func (l *Log) consume(ctx context.Context, stream jetstream.Stream, after uint64) (jetstream.MessagesContext, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       after + 1,
		AckPolicy:         jetstream.AckNonePolicy,
		Replicas:          1,
		MemoryStorage:     true,
		InactiveThreshold: 30 * time.Second, // the server removes consumers that a run has left behind
	})
	if err != nil {
		return nil, fmt.Errorf("have entries after %d sent: %w", after, err)
	}
	msgs, err := consumer.Messages(
		jetstream.PullMaxMessagesWithBytesLimit(maxPull, maxPullBytes),
		jetstream.PullHeartbeat(500*time.Millisecond),
		jetstream.PullExpiry(2*time.Second),
		jetstream.WithMessagesErrOnMissingHeartbeat(true),
	)
	if err != nil {
		return nil, fmt.Errorf("have entries after %d sent: %w", after, err)
	}
	return msgs, nil
}

// batch is a batch on its way to the fold.
type batch struct {
	Batch
	bytes int
}

// read decodes messages into batches while the batch before is being applied.
// It returns when ctx ends, or when messages are missing.
func (l *Log) read(ctx context.Context, msgs jetstream.MessagesContext, after uint64, slot chan batch) error {
	holes, removed := nag{log: l.log}, missing{log: l, upTo: after}
	for n := uint64(1); ; n++ {
		msg, err := msgs.Next() // fails when follow stops msgs
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		// The consumer numbers what it sends: a gap in these numbers means that
		// a message got lost. A gap in the stream's sequences means that an
		// entry was purged.
		if meta.Sequence.Consumer != n || meta.Sequence.Stream <= after {
			return errSilent
		}
		var ahead []workflow.Entry
		if seq := meta.Sequence.Stream; seq > after+1 {
			var explained bool
			if ahead, explained, err = removed.look(ctx, after+1, seq-1); err != nil {
				return err
			}
			if !explained {
				if stream, err := l.stream(ctx); err != nil {
					return err
				} else if err := begins(stream, after); err != nil {
					return err
				}
				holes.warn("the log has a hole; entries were purged, or the server lost them", fmt.Errorf("entries %d to %d are missing", after+1, seq-1))
			}
		}
		after = meta.Sequence.Stream
		l.saw(after, meta.Timestamp)
		e := l.decode(events.Message{
			Sequence: after, Time: meta.Timestamp.UTC(),
			Subject: msg.Subject(), Header: msg.Headers(), Data: msg.Data(),
		})
		l.foreign.met(e, l.log)
		if err := put(ctx, slot, ahead, e, len(msg.Data())); err != nil {
			return err
		}
	}
}

// put adds an entry to the batch that waits in the slot, or begins a batch. It
// waits only while that batch is full. Nothing else sends to the slot.
func put(ctx context.Context, slot chan batch, ahead []workflow.Entry, e workflow.Entry, size int) error {
	select {
	case b := <-slot:
		if len(b.Entries) < maxBatch && b.bytes+size <= maxBatchBytes {
			b.Erasures, b.Entries, b.bytes = append(b.Erasures, ahead...), append(b.Entries, e), b.bytes+size
			slot <- b
			return nil
		}
		slot <- b
	default:
	}
	select {
	case slot <- batch{Batch{Erasures: ahead, Entries: []workflow.Entry{e}}, size}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
