package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"countersign/events"
)

// Lines go to the log in windows: the next one begins once the last one is
// acknowledged. The lines of a window go singly, all in flight at once, or in one
// atomic batch. If the broker syncs each message to disk, a batch takes a tenth of the
// time; if it syncs at intervals, three times as much. So both are measured.
const (
	unacked    = 256                   // lines of a window
	firstLines = 32                    // lines of the first window, by which single lines are measured
	batchFrom  = 16                    // lines that a batch needs to pay
	batchBytes = 4 << 20               // the most that a batch has
	batchGuess = 10 * time.Millisecond // what a batch is taken to take before one was sent
	batchWait  = 5 * time.Second       // how long the answer to a batch is waited for
)

// batchFunc publishes messages all or none.
type batchFunc func(ctx context.Context, msgs []*nats.Msg) (*jetstreamext.BatchAck, error)

// sentLine is a line that the log has not acknowledged yet.
type sentLine struct {
	Line
	ack jetstream.PubAckFuture // nil if the line was not sent, or not singly
	err error                  // why it was not sent
}

// pace is what lines take, in the best of the windows so far. Others use the broker
// too, so a single slow window says little.
type pace struct {
	single time.Duration // for a line that goes singly; 0 if it is not known
	batch  time.Duration // for a batch; 0 if it is not known
}

// window returns how many lines the next window has.
func (p *pace) window() int {
	if p.single == 0 {
		return firstLines
	}
	return unacked
}

// together reports whether a batch of n lines is faster than n single lines.
func (p *pace) together(n int) bool {
	return n >= batchFrom && time.Duration(n)*p.single > cmp.Or(p.batch, batchGuess)
}

// note keeps the time of a window of n lines, if it is the best.
func (p *pace) note(n int, batch bool, took time.Duration) {
	best := &p.single
	if batch {
		best = &p.batch
	} else {
		took /= time.Duration(n)
	}
	if *best == 0 || took < *best {
		*best = max(took, 1)
	}
}

// flush sends what is in the window, and waits until the log has acknowledged it.
//
// A batch is refused as a whole because of one line, and its answer can be lost. Then its
// lines go singly, with the same ids, so one line cannot fail the others. After a lost
// answer the log calls lines duplicates that this call has sent. They are told from real
// ones by their place: a batch goes only after a window without duplicates, and floor
// is the last entry of that one.
func (s *lineSender) flush(ctx context.Context) error {
	n := len(s.window)
	if n == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	start := time.Now()
	batch, lost := s.rate == 0 && s.floor > 0 && s.pace.together(n) && s.size() <= batchBytes, false
	if batch {
		ack, err := s.sendBatch(ctx)
		if err == nil {
			return s.batchLanded(ctx, ack, time.Since(start))
		}
		lost = !errors.As(err, new(*jetstream.APIError))
	}
	for i := range s.window {
		s.sendOne(&s.window[i])
	}
	err := s.acknowledged(ctx, lost)
	s.pace.note(n, batch, time.Since(start))
	return err
}

// size is what a batch of the window has, in bytes.
func (s *lineSender) size() (n int) {
	for _, l := range s.window {
		n += l.Msg.Size()
	}
	return n
}

// sendBatch publishes copies, because publishing a batch changes the headers.
func (s *lineSender) sendBatch(ctx context.Context) (*jetstreamext.BatchAck, error) {
	ctx, cancel := context.WithTimeout(ctx, batchWait)
	defer cancel()
	msgs := make([]*nats.Msg, len(s.window))
	for i, l := range s.window {
		header := maps.Clone(l.Msg.Header)
		if header == nil {
			header = nats.Header{}
		}
		header.Set(jetstream.ExpectedStreamHeader, events.StreamName)
		msgs[i] = &nats.Msg{Subject: l.Msg.Subject, Data: l.Msg.Data, Header: header}
	}
	return s.batch(ctx, msgs)
}

// batchLanded notes the places of the window's lines, which are consecutive.
func (s *lineSender) batchLanded(ctx context.Context, ack *jetstreamext.BatchAck, took time.Duration) error {
	n := len(s.window)
	s.pace.note(n, true, took)
	for i, l := range s.window {
		one := &jetstream.PubAck{Stream: ack.Stream, Sequence: ack.Sequence - uint64(n-1-i)}
		if err := s.landed(ctx, l.Line, one, false); err != nil {
			return err
		}
	}
	s.window, s.floor = s.window[:0], ack.Sequence
	return nil
}

// sendOne sends a line singly, unless it was sent.
func (s *lineSender) sendOne(l *sentLine) {
	if l.ack == nil && l.err == nil {
		l.ack, l.err = s.js.PublishMsgAsync(l.Msg, jetstream.WithStallWait(s.wait), onLog)
	}
}

// acknowledged waits until the lines of the window, which went singly, are
// acknowledged. It fails with the first error, after it has waited for the others. lost
// means that they went in a batch before whose answer was lost.
func (s *lineSender) acknowledged(ctx context.Context, lost bool) (first error) {
	floor, fresh := s.floor, true
	for _, l := range s.window {
		ack, err := s.answer(ctx, l)
		if err == nil {
			ours := lost && ack.Sequence > floor
			fresh = fresh && (ours || !ack.Duplicate)
			s.floor = max(s.floor, ack.Sequence)
			err = s.landed(ctx, l.Line, ack, ours)
		}
		if first == nil {
			first = err
		}
	}
	if !fresh {
		s.floor = 0
	}
	s.window = s.window[:0]
	return first
}

// answer waits for the answer to a line that went singly.
func (s *lineSender) answer(ctx context.Context, l sentLine) (*jetstream.PubAck, error) {
	if l.err != nil {
		return nil, fmt.Errorf("line %d: %w", l.Number, l.err)
	}
	select {
	case ack := <-l.ack.Ok():
		return ack, nil
	case err := <-l.ack.Err():
		if errors.Is(err, jetstream.ErrNoStreamResponse) {
			return nil, fmt.Errorf("line %d: no stream takes %s; start a worker, which makes the stream %s, and check that the subject begins with %s", l.Number, l.Msg.Subject, events.StreamName, events.Prefix)
		}
		return nil, fmt.Errorf("line %d: %s was not acknowledged: %w", l.Number, l.Msg.Subject, err)
	case <-ctx.Done():
		return nil, fmt.Errorf("line %d: %s was not acknowledged within %s; check that a worker runs and has made the stream", l.Number, l.Msg.Subject, s.wait)
	}
}
