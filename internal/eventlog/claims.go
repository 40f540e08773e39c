package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/workflow"
)

// LastClaim returns the sequence of the last entry on the claims' subject, 0
// before the first. It may be somebody else's, and no claim: whoever compares
// sequences must know it all the same.
func (l *Log) LastClaim(ctx context.Context) (uint64, error) {
	stream, err := l.stream(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the last claim: %w", err)
	}
	m, err := lastOn(ctx, stream, workflow.ClaimsSubject)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read the last claim: %w", err)
	}
	return m.Sequence, nil
}

// Claim appends a claim, provided that the last claim on its subject is still
// the one at sequence last, and returns the claim's sequence. Entries behind it
// that are not claims do not count. Calling it again with the same event
// returns the same. It fails with ErrLost if another claim came first, or came
// after this one while its answer was lost; with ErrUncertain if ctx ends
// before it is known; and with workflow.ErrUnavailable alone if the claim is
// surely not on the log.
func (l *Log) Claim(ctx context.Context, e events.Event, last uint64) (uint64, error) {
	seq, err := l.appendBehind(ctx, e, last)
	if err != nil {
		return 0, fmt.Errorf("claim: %w", err)
	}
	return seq, nil
}

// appendBehind appends an event of Countersign's own, provided that the last
// event of its type on its subject is still the one at sequence last, 0 for
// none. It fails as Claim does.
func (l *Log) appendBehind(ctx context.Context, e events.Event, last uint64) (uint64, error) {
	m, err := e.Message()
	if err != nil {
		return 0, err
	}
	competes := sameType(e.Body.Type())
	unsure, expected := false, last
	for again := (pause{}); ; {
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(expected, 10))
		ack, maybe, err := l.publish(ctx, m)
		unsure = unsure || maybe
		switch {
		case err == nil && !ack.Duplicate:
			return ack.Sequence, nil
		case err == nil, judge(err) == taken:
			// What is there may be this very event, whose answer was lost: sent
			// again, a single server calls it taken and a cluster a duplicate.
		case unsure:
			return 0, fmt.Errorf("%w: %w", ErrUncertain, err)
		default:
			return 0, err
		}
		newestOwn := uint64(0)
		other, newest, err := l.standing(ctx, m.Subject, last, func(there events.Message) bool {
			if bytes.Equal(there.Data, m.Data) {
				newestOwn = there.Sequence
			}
			return competes(there)
		})
		switch {
		case err != nil:
			return 0, fmt.Errorf("%w: look at what is on the subject: %w", ErrUncertain, err)
		case other > 0 && other == newestOwn:
			return other, nil
		case other > 0, newest < last: // or the log has lost its tail
			return 0, ErrLost
		}
		if newest != expected {
			l.sayForeign(m.Subject, newest)
			expected = newest
		} else if !again.wait(ctx) {
			return 0, fmt.Errorf("%w: %w", ErrUncertain, ctx.Err())
		}
	}
}

var (
	// ErrLost means that another claim landed first.
	ErrLost = fmt.Errorf("another claim came first: %w", workflow.ErrConflict)

	// ErrUncertain means that a claim was sent and no answer came: it may
	// be on the log, now or in a moment. Following the log tells.
	ErrUncertain = fmt.Errorf("whether the claim landed is not known: %w", workflow.ErrUnavailable)
)
