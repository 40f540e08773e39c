package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/workflow"
)

// quarantineSubject begins the subjects of the events that name the entries which
// make the program crash.
const quarantineSubject = events.Prefix + events.Nobody + ".quarantined."

// Quarantine appends the event that says that the entry at b.Sequence makes the
// program crash. From then on Follow delivers the entry as a dead letter. at is
// the entry's timestamp: if another entry has this sequence now, nothing is
// appended. It reports whether the entry is in quarantine. It retries until ctx
// ends, and then fails with workflow.ErrUnavailable.
func (l *Log) Quarantine(ctx context.Context, at time.Time, b workflow.Quarantined) (bool, error) {
	for again := (pause{}); ; {
		stands, err := l.standsAt(ctx, b.Sequence, at)
		switch {
		case err == nil && !stands:
			return false, nil
		case err == nil:
			if _, err := l.AppendOnce(ctx, []events.Event{Quarantined(l.Now(), b)}); err != nil {
				return false, fmt.Errorf("quarantine entry %d: %w", b.Sequence, err)
			}
			return true, nil
		}
		if !again.wait(ctx) {
			return false, fmt.Errorf("quarantine entry %d: %w: %w", b.Sequence, workflow.ErrUnavailable, err)
		}
	}
}

func (l *Log) standsAt(ctx context.Context, seq uint64, at time.Time) (bool, error) {
	stream, err := l.stream(ctx)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	msg, err := stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return err == nil && sameInstant(msg.Time, at), err
}

// loadQuarantine reads which entries are in quarantine. The events that say so
// come after the entries, so they are looked up by subject before the log is
// followed. Only entries that decode as such an event count: a subject alone
// proves nothing.
func (l *Log) loadQuarantine(ctx context.Context) error {
	set := map[uint64]bool{}
	err := read(ctx, l.broker.JS, events.StreamName, Range{Subject: quarantineSubject + ">"}, func(m events.Message) error {
		if q, ok := events.Decode(m).Body.(workflow.Quarantined); ok {
			set[q.Sequence] = true
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list what is in quarantine: %w", err)
	}
	l.quarantine.Store(&set)
	return nil
}

// decode reads a message as events.Decode does; a message in quarantine becomes
// a dead letter.
func (l *Log) decode(m events.Message) workflow.Entry {
	if set := l.quarantine.Load(); set == nil || !(*set)[m.Sequence] {
		return events.Decode(m)
	}
	return events.DecodeQuarantined(m)
}
