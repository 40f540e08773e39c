package eventlog

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"countersign/events"
	"countersign/workflow"
)

// AppendRedriven appends a message of Redrive, and returns its sequence. If it
// fails with workflow.ErrUnavailable the message may be on the log or not, and
// appending it again is safe.
func AppendRedriven(ctx context.Context, nc *nats.Conn, m *nats.Msg) (uint64, error) {
	l, err := writer(nc)
	if err != nil {
		return 0, err
	}
	ack, _, err := l.publish(ctx, m)
	if err != nil {
		return 0, fmt.Errorf("append %s: %w", m.Subject, err)
	}
	return ack.Sequence, nil
}

// AppendDiscarded appends a discarded event, unless it is on the log. It
// returns the sequence of the new event, 0 if it was on the log already.
func AppendDiscarded(ctx context.Context, nc *nats.Conn, account, document workflow.SID, at time.Time, b workflow.Discarded) (uint64, error) {
	l, err := writer(nc)
	if err != nil {
		return 0, err
	}
	return l.AppendOnce(ctx, []events.Event{Discarded(account, document, at, b)})
}

// writer returns a log for appending only. It does not create the stream.
func writer(nc *nats.Conn) (*Log, error) {
	broker, err := connected(nc)
	if err != nil {
		return nil, err
	}
	return &Log{broker: broker, log: slog.New(slog.DiscardHandler)}, nil
}
