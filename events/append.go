package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"golang.org/x/sync/errgroup"

	"countersign/workflow"
)

var (
	// ErrLost means that another claim landed first.
	ErrLost = fmt.Errorf("another claim came first: %w", workflow.ErrConflict)

	// ErrUncertain means that a claim was sent and no answer came: it may
	// stand on the log, now or in a moment. Following the log tells.
	ErrUncertain = fmt.Errorf("whether the claim landed is not known: %w", workflow.ErrUnavailable)
)

const (
	few            = 4       // a batch takes longer than so many messages one by one
	maxAtomic      = 500     // messages in an atomic batch; the server takes 1,000
	maxAtomicBytes = 4 << 20 // payload in an atomic batch
	inFlight       = 64      // messages on their way one by one
	muteAfter      = 10 * time.Second
)

// Append appends an event and returns its sequence, once the log has
// acknowledged it. It tries until ctx ends, with the same Nats-Msg-Id, so that
// one event stands once as long as the stream's duplicate window reaches; then
// it fails with workflow.ErrUnavailable, and the event may stand or not.
func (l *Log) Append(ctx context.Context, e Event) (uint64, error) {
	m, err := e.Message()
	if err != nil {
		return 0, err
	}
	ack, _, err := l.publish(ctx, m)
	if err != nil {
		return 0, fmt.Errorf("append %s: %w", m.Subject, err)
	}
	return ack.Sequence, nil
}

// AppendOnce appends each event whose subject is still empty. One that is
// taken is no error: whoever tries, and however often, there is one. It returns
// the largest sequence that the log acknowledged to this call, 0 where all were
// taken. An event that cannot be appended does not keep the others from being
// appended; the error names them all. It tries until ctx ends, then it fails with
// workflow.ErrUnavailable, and may be called again with the same events.
func (l *Log) AppendOnce(ctx context.Context, es []Event) (last uint64, err error) {
	msgs, err := onceEach(es)
	errs := []error{err}
	for len(msgs) > 0 {
		n := atomicSize(msgs)
		seq, err := l.appendChunk(ctx, msgs[:n])
		last, errs, msgs = max(last, seq), append(errs, err), msgs[n:]
		if ctx.Err() != nil && len(msgs) > 0 {
			errs = append(errs, fmt.Errorf("append %d events: %w: %w", len(msgs), workflow.ErrUnavailable, ctx.Err()))
			break
		}
	}
	return last, errors.Join(errs...)
}

// onceEach makes one message for each subject, that lands only while its
// subject is empty.
func onceEach(es []Event) (msgs []*nats.Msg, err error) {
	subjects := make(map[string]bool, len(es))
	var errs []error
	for _, e := range es {
		m, err := e.Message()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if subjects[m.Subject] {
			continue
		}
		subjects[m.Subject] = true
		// One id met before would have a whole batch refused, and the subject
		// says the same for ever.
		m.Header.Del(jetstream.MsgIDHeader)
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "0")
		msgs = append(msgs, m)
	}
	return msgs, errors.Join(errs...)
}

// atomicSize is how many of the messages go into one batch, at least one.
func atomicSize(msgs []*nats.Msg) int {
	bytes := 0
	for i, m := range msgs {
		if bytes += m.Size(); i > 0 && (i == maxAtomic || bytes > maxAtomicBytes) {
			return i
		}
	}
	return len(msgs)
}

func (l *Log) appendChunk(ctx context.Context, msgs []*nats.Msg) (last uint64, err error) {
	if len(msgs) <= few {
		return l.appendEach(ctx, msgs)
	}
	trouble := nag{log: l.log, grace: muteAfter}
	for again := (pause{}); ; {
		ack, err := l.tryBatch(ctx, msgs)
		switch judge(err) {
		case landed:
			return ack.Sequence, nil
		case taken, refused:
			// One of them is the reason, and which is not said.
			return l.appendEach(ctx, msgs)
		}
		trouble.warn("the log does not answer; is the server up, and is there room on its disk?", err)
		if !again.wait(ctx) {
			return 0, fmt.Errorf("append %d events: %w: %w", len(msgs), workflow.ErrUnavailable, err)
		}
	}
}

// tryBatch publishes copies: the batch leaves its marks on what it is given.
func (l *Log) tryBatch(ctx context.Context, msgs []*nats.Msg) (*jetstreamext.BatchAck, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	marked := make([]*nats.Msg, len(msgs))
	for i, m := range msgs {
		marked[i] = &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{}}
		for key, values := range m.Header {
			marked[i].Header[key] = slices.Clone(values)
		}
	}
	return l.broker.Batch(ctx, marked)
}

// appendEach appends messages one by one, several of them on their way at a
// time. It tries them all, and answers with every error.
func (l *Log) appendEach(ctx context.Context, msgs []*nats.Msg) (last uint64, err error) {
	sequences, errs := make([]uint64, len(msgs)), make([]error, len(msgs))
	var group errgroup.Group
	group.SetLimit(inFlight)
	for i, m := range msgs {
		group.Go(func() error {
			ack, _, err := l.publish(ctx, m)
			switch {
			case err == nil:
				sequences[i] = ack.Sequence
			case judge(err) != taken:
				errs[i] = fmt.Errorf("append %s: %w", m.Subject, err)
			}
			return nil
		})
	}
	_ = group.Wait() // the errors are kept beside it, all of them
	return slices.Max(sequences), errors.Join(errs...)
}

// Claim appends a claim, provided that the last entry on its subject is still
// the one at sequence last, and returns the claim's sequence. Calling it again
// with the same event answers the same. It fails with ErrLost where another
// claim came first, or came after this one while its answer was lost; with
// ErrUncertain where ctx ends before it is known; and with
// workflow.ErrUnavailable alone where the claim surely does not stand. The
// event's id must be the claim's own: a claim of other mails under an id that
// was used before is lost.
func (l *Log) Claim(ctx context.Context, e Event, last uint64) (uint64, error) {
	m, err := e.Message()
	if err != nil {
		return 0, err
	}
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(last, 10))
	ack, unsure, err := l.publish(ctx, m)
	switch {
	case err == nil && !ack.Duplicate:
		return ack.Sequence, nil
	case err == nil, judge(err) == taken:
		// What stands there may be this very claim, whose answer was lost: sent
		// again, a single server calls it taken and a cluster a duplicate.
		return l.ownClaim(ctx, m)
	case unsure:
		return 0, fmt.Errorf("claim: %w: %w", ErrUncertain, err)
	}
	return 0, fmt.Errorf("claim: %w", err)
}

// ownClaim reads the last claim back and returns its sequence if it is this
// one.
func (l *Log) ownClaim(ctx context.Context, m *nats.Msg) (uint64, error) {
	for again := (pause{}); ; {
		msg, err := l.lastOn(ctx, m.Subject)
		id := m.Header.Get(jetstream.MsgIDHeader)
		switch {
		case err == nil && msg.Header.Get(jetstream.MsgIDHeader) == id && string(msg.Data) == string(m.Data):
			return msg.Sequence, nil
		case err == nil, errors.Is(err, jetstream.ErrMsgNotFound):
			return 0, ErrLost
		case !again.wait(ctx):
			return 0, fmt.Errorf("read the last claim back: %w: %w", ErrUncertain, err)
		}
	}
}

func (l *Log) lastOn(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	stream, err := l.stream(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	return stream.GetLastMsgForSubject(ctx, subject)
}

// publish sends a message until the log has answered for good, or ctx ends;
// then the error is workflow.ErrUnavailable. unsure means that an attempt went
// unanswered, and may have landed whatever became of the others.
func (l *Log) publish(ctx context.Context, m *nats.Msg) (ack *jetstream.PubAck, unsure bool, err error) {
	trouble := nag{log: l.log, grace: muteAfter}
	for again := (pause{}); ; {
		ack, err := l.try(ctx, m)
		switch judge(err) {
		case landed:
			return ack, unsure, nil
		case taken, refused:
			return nil, unsure, err
		case unanswered:
			unsure = true
		}
		trouble.warn("the log does not answer; is the server up, and is there room on its disk?", err)
		if !again.wait(ctx) {
			return nil, unsure, fmt.Errorf("%w: %w", workflow.ErrUnavailable, away(err))
		}
	}
}

func (l *Log) try(ctx context.Context, m *nats.Msg) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	return l.broker.JS.PublishMsg(ctx, m)
}

// answer is what an attempt to publish came to.
type answer int

const (
	landed     answer = iota
	taken             // the subject's last entry is not the expected one
	refused           // and always will be
	later             // it did not land, and may next time
	unanswered        // it may have landed
)

func judge(err error) answer {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return landed
	case errors.As(err, &api):
		switch {
		case api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
			return taken
		case api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant, api.ErrorCode == codeDuplicateInProcess,
			api.ErrorCode == codeAccountFull, api.Code >= 429:
			// Another message on this subject is on its way, or the server, or
			// the room that it gives the account, is not up to it at the moment.
			return later
		}
		return refused
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrReconnectBufExceeded):
		return later
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		return refused
	}
	return unanswered
}
