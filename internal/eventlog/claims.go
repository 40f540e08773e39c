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

// LastClaim returns the sequence of the last entry on the claims' subject, 0 if
// there is none. The entry need not be a claim: somebody else may have had
// something stored there.
func (l *Log) LastClaim(ctx context.Context) (uint64, error) {
	return l.lastClaim(ctx, workflow.ClaimsSubject)
}

// LastDeliveryClaim is LastClaim for the claims of deliveries.
func (l *Log) LastDeliveryClaim(ctx context.Context) (uint64, error) {
	return l.lastClaim(ctx, workflow.WebhookClaimsSubject)
}

func (l *Log) lastClaim(ctx context.Context, subject string) (uint64, error) {
	stream, err := l.stream(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the last claim: %w", err)
	}
	m, err := lastOn(ctx, stream, subject)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read the last claim: %w", err)
	}
	return m.Sequence, nil
}

// Claim appends a claim, provided that the last claim on its subject is still
// the one at sequence last, and returns the claim's sequence. Later entries
// that are not claims do not count. A second call with the same event returns
// the same sequence. Claim fails with ErrLost if another claim came first, or
// if another claim followed this one while the answer was lost; with
// ErrUncertain if ctx ends before the result is known; and with
// workflow.ErrUnavailable alone if the claim is certainly not on the log.
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
			// The last entry may be this event, if the answer to the first
			// attempt was lost: for the second attempt a single server then
			// reports a wrong last sequence, and a cluster a duplicate.
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
		case other > 0, newest < last: // the second case: the log has lost its tail
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
	// ErrLost means that another claim was appended first.
	ErrLost = fmt.Errorf("another claim came first: %w", workflow.ErrConflict)

	// ErrUncertain means that a claim was sent and no answer came: it may be on
	// the log, now or in a moment. The follower of the log will see it if it
	// is.
	ErrUncertain = fmt.Errorf("whether the claim landed is not known: %w", workflow.ErrUnavailable)
)
