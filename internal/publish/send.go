package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"countersign/events"
	"countersign/internal/config"
	"countersign/internal/session"
	"countersign/internal/terminal"
)

// Options say how lines are sent.
type Options struct {
	Rate  float64           // most events per second; 0 for no limit
	Wait  time.Duration     // for acks, and for what a line comes after
	Notes *terminal.Printer // where progress is shown; nil for nowhere
}

// Run connects to the log and sends lines, and with learn it finds out their
// outcomes. It fails as session.Connect and Send do, with no list; if it fails as
// Learn does, the list is there.
func Run(ctx context.Context, cfg config.Config, logger *slog.Logger, lines []Line, o Options, learn bool) ([]Outcome, error) {
	nc, err := session.Connect(ctx, cfg, logger)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	list, err := Send(ctx, nc, lines, o)
	if err != nil {
		return nil, err
	}
	if learn {
		err = Learn(ctx, cfg.DataDir, nc, list, o.Wait)
	}
	return list, err
}

// Send sends lines in their order, and returns their places on the log once the
// log has acknowledged them all. Of their outcomes only duplicates are known by
// then: see Learn.
func Send(ctx context.Context, nc *nats.Conn, lines []Line, o Options) ([]Outcome, error) {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2*unacked))
	if err != nil {
		return nil, err
	}
	s := newSender(js, o)
	if o.Notes != nil {
		bar := terminal.NewProgress(o.Notes, len(lines), "published", "events")
		defer bar.Done()
		s.step = bar.Step
	}
	return s.all(ctx, lines)
}

// lineSender sends lines in their order.
type lineSender struct {
	js     jetstream.JetStream
	stream jetstream.Stream // the log, once it was found
	rate   float64          // see Options
	wait   time.Duration
	batch  batchFunc
	window []sentLine // lines that the log has not acknowledged
	pace   pace
	floor  uint64    // see flush
	blind  bool      // this user may not read the log, or it does not answer
	list   []Outcome // of the lines that the log has acknowledged
	step   func()    // shows progress
}

func newSender(js jetstream.JetStream, o Options) *lineSender {
	return &lineSender{js: js, rate: o.Rate, wait: o.Wait, step: func() {}, batch: func(ctx context.Context, msgs []*nats.Msg) (*jetstreamext.BatchAck, error) {
		return jetstreamext.PublishMsgBatch(ctx, js, msgs)
	}}
}

// all sends lines. See Send.
func (s *lineSender) all(ctx context.Context, lines []Line) ([]Outcome, error) {
	start := time.Now()
	for i, l := range lines {
		if s.rate > 0 {
			next := time.Duration(float64(i) / s.rate * float64(time.Second))
			if err := sleep(ctx, time.Until(start.Add(next))); err != nil {
				return nil, err
			}
		}
		if err := s.send(ctx, l); err != nil {
			return nil, err
		}
	}
	err := s.flush(ctx)
	return s.list, err
}

// onLog makes the server refuse a subject that another stream takes, such as that of an
// object store.
var onLog = jetstream.WithExpectStream(events.StreamName)

func (s *lineSender) send(ctx context.Context, l Line) error {
	if l.After != "" {
		if err := s.flush(ctx); err != nil {
			return err
		}
		if err := s.await(ctx, l.After); err != nil {
			return fmt.Errorf("line %d: %w", l.Number, err)
		}
	}
	s.window = append(s.window, sentLine{Line: l})
	if s.rate > 0 {
		s.sendOne(&s.window[len(s.window)-1])
	}
	if len(s.window) < s.pace.window() {
		return nil
	}
	return s.flush(ctx)
}

// landed notes a line's place on the log. If the log calls the line a duplicate,
// landed reads the entry there first: a Nats-Msg-Id is not secret, and somebody
// else may have used it. If the entry is another event, the line is sent again
// without the id: a second copy changes nothing. ours means that a copy on the log is
// one that this call has sent, in a batch whose answer was lost.
func (s *lineSender) landed(ctx context.Context, l Line, ack *jetstream.PubAck, ours bool) error {
	o := newOutcome(l, ack.Sequence)
	switch {
	case !ack.Duplicate:
	case s.holds(ctx, o):
		if !ours {
			o.Result = Duplicate
		}
	default:
		l.Msg.Header.Del(jetstream.MsgIDHeader)
		again, err := s.js.PublishMsg(ctx, l.Msg, onLog)
		if err != nil {
			return fmt.Errorf("line %d: %s was not acknowledged: %w", l.Number, l.Msg.Subject, err)
		}
		if !ours {
			o.Sequence = again.Sequence
		}
	}
	s.list = append(s.list, o)
	s.step()
	return nil
}

// holds reports whether the event is known to be on the log. If this user may not
// read the log, holds waits for the time-out only once.
func (s *lineSender) holds(ctx context.Context, o Outcome) bool {
	if s.blind {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	var m *jetstream.RawStreamMsg
	stream, err := s.log(ctx)
	if err == nil {
		m, err = stream.GetMsg(ctx, o.Sequence)
	}
	if err != nil {
		s.blind = !errors.Is(err, jetstream.ErrMsgNotFound)
		return false
	}
	there := &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}
	return m.Subject == o.Subject && events.Identity(there) == o.of
}

// log finds the stream, once.
func (s *lineSender) log(ctx context.Context) (jetstream.Stream, error) {
	if s.stream == nil {
		stream, err := s.js.Stream(ctx, events.StreamName)
		if err != nil {
			return nil, fmt.Errorf("look at stream %s: %w", events.StreamName, err)
		}
		s.stream = stream
	}
	return s.stream, nil
}

const (
	// lookEvery is how often the log is asked for what a line comes after.
	lookEvery = 5 * time.Millisecond
	// lookWait is how long each answer is waited for: a restart of the server
	// may lose it.
	lookWait = 2 * time.Second
)

// await waits until a subject is on the log.
func (s *lineSender) await(ctx context.Context, subject string) error {
	ctx, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	for {
		err := s.look(ctx, subject)
		if err == nil {
			return nil
		}
		if sleep(ctx, lookEvery) != nil {
			return fmt.Errorf("the line waits for %s, which is not on the log after %s: %w", subject, s.wait, err)
		}
	}
}

// look fails if a subject is not on the log, or the log does not answer.
func (s *lineSender) look(ctx context.Context, subject string) error {
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	stream, err := s.log(ctx)
	if err != nil {
		return err
	}
	_, err = stream.GetLastMsgForSubject(ctx, subject)
	return err
}
