package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/workflow"
)

// Range says which messages of a stream to read. At most one of From and Since
// may be set; if neither is, reading starts at the beginning.
type Range struct {
	From    uint64    // sequence
	Since   time.Time // the stream's own timestamps
	Subject string    // subject, perhaps with wildcards; empty for all
	Bare    bool      // without payloads
}

// Read calls f with each message that is on a stream now, oldest first. It ends
// with the first error of f.
func Read(ctx context.Context, nc *nats.Conn, stream string, r Range, f func(events.Message) error) error {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(answerWait))
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream, err)
	}
	return read(ctx, js, stream, r, f)
}

func read(ctx context.Context, js jetstream.JetStream, stream string, r Range, f func(events.Message) error) error {
	c := jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckNonePolicy, FilterSubject: r.Subject, HeadersOnly: r.Bare,
		Replicas: 1, MemoryStorage: true, InactiveThreshold: 30 * time.Second,
	}
	switch {
	case r.From > 0:
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.From
	case !r.Since.IsZero():
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.Since
	}
	consumer, err := consume(ctx, js, stream, c)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream, err)
	}
	left := consumer.CachedInfo().NumPending
	if left == 0 {
		return nil
	}
	msgs, err := consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(maxPull, maxPullBytes),
		jetstream.PullHeartbeat(500*time.Millisecond), jetstream.PullExpiry(2*time.Second), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream, err)
	}
	defer msgs.Stop()
	for n := uint64(1); n <= left; n++ {
		m, err := message(ctx, msgs, n)
		if err != nil {
			return fmt.Errorf("read stream %s: %w", stream, err)
		}
		if err := f(m); err != nil {
			return err
		}
	}
	return nil
}

// electionWait is longer than servers take to elect a leader.
const electionWait = 20 * time.Second

// consume creates a consumer. If there is no leader, the request gets no
// answer, so it is repeated.
func consume(ctx context.Context, js jetstream.JetStream, stream string, c jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	for began := time.Now(); ; {
		ask, cancel := context.WithTimeout(ctx, answerWait)
		consumer, err := js.CreateConsumer(ask, stream, c)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil || time.Since(began) > electionWait {
			return consumer, err
		}
	}
}

// message waits for the n-th message that a consumer sends.
func message(ctx context.Context, msgs jetstream.MessagesContext, n uint64) (m events.Message, err error) {
	msg, err := msgs.Next(jetstream.NextContext(ctx))
	if err != nil {
		return m, err
	}
	meta, err := msg.Metadata()
	if err != nil {
		return m, err
	}
	if meta.Sequence.Consumer != n {
		return m, errSilent
	}
	return events.Message{
		Sequence: meta.Sequence.Stream, Time: meta.Timestamp.UTC(), Subject: msg.Subject(), Header: msg.Headers(), Data: msg.Data(),
	}, nil
}

// ReadEntry reads one message from the log. It does not create the stream. It
// fails with workflow.ErrNotFound if none is at the sequence, and with
// workflow.ErrUnavailable if the log does not answer before ctx ends.
func ReadEntry(ctx context.Context, nc *nats.Conn, sequence uint64) (events.Message, error) {
	msg, err := rawEntry(ctx, nc, sequence)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return events.Message{}, fmt.Errorf("%w: there is no entry %d on the log any more", workflow.ErrNotFound, sequence)
	case err != nil:
		return events.Message{}, fmt.Errorf("read entry %d: %w: %w", sequence, workflow.ErrUnavailable, err)
	}
	return rawMessage(msg), nil
}

func rawEntry(ctx context.Context, nc *nats.Conn, sequence uint64) (*jetstream.RawStreamMsg, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	stream, err := js.Stream(ctx, events.StreamName)
	if err != nil {
		return nil, err
	}
	return stream.GetMsg(ctx, sequence)
}

func rawMessage(m *jetstream.RawStreamMsg) events.Message {
	return events.Message{Sequence: m.Sequence, Time: m.Time.UTC(), Subject: m.Subject, Header: m.Header, Data: m.Data}
}

func lastOn(ctx context.Context, stream jetstream.Stream, subject string) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	return stream.GetLastMsgForSubject(ctx, subject)
}

// lastThat looks at the entries on a subject as standing does, without
// retrying.
func lastThat(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, subject string, after uint64, matches func(events.Message) bool) (own, newest uint64, err error) {
	last, err := lastOn(ctx, stream, subject)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, 0, nil
	case err != nil:
		return 0, 0, err
	}
	if newest = last.Sequence; newest <= after {
		return 0, newest, nil
	}
	if matches(rawMessage(last)) {
		return newest, newest, nil
	}
	err = read(ctx, js, events.StreamName, Range{From: after + 1, Subject: subject}, func(m events.Message) error {
		if newest = max(newest, m.Sequence); matches(m) {
			own = m.Sequence
		}
		return nil
	})
	return own, newest, err
}
