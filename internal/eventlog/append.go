package eventlog

import (
	"bytes"
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

	"countersign/events"
	"countersign/workflow"
)

const (
	maxAtomic      = 500     // messages in an atomic batch; the server takes 1,000
	maxAtomicBytes = 4 << 20 // payload in an atomic batch
	inFlight       = 64      // messages in flight at a time, one by one
	muteAfter      = 10 * time.Second
)

// Append appends an event and returns its sequence, once the log has
// acknowledged it. It retries until ctx ends; then it fails with
// workflow.ErrUnavailable, and the event may be on the log or not. Two calls
// with the same event may append it twice; it counts once, because both entries
// have the same identity.
//
// If many events are appended at the same time, and the server is slow to take
// each, they go in one atomic batch. That changes nothing for any of them.
func (l *Log) Append(ctx context.Context, e events.Event) (uint64, error) {
	m, err := e.Message()
	if err != nil {
		return 0, err
	}
	ack, _, err := l.publishFirst(ctx, m, l.tryTogether)
	if err != nil {
		return 0, fmt.Errorf("append %s: %w", m.Subject, err)
	}
	return ack.Sequence, nil
}

// AppendOnce appends each event that is not on its subject yet. However many
// workers try, and however often, each event is on the log once. If something
// else is on the subject, the event is appended after it. AppendOnce returns
// the largest sequence that the log acknowledged to this call, 0 if all events
// were on the log already. If some events cannot be appended, the others are
// appended all the same, and the error names the failed ones. It retries until
// ctx ends, then it fails with workflow.ErrUnavailable, and may be called again
// with the same events.
func (l *Log) AppendOnce(ctx context.Context, es []events.Event) (last uint64, err error) {
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

// onceEach makes one message for each subject. The server stores it only if the
// subject is empty.
func onceEach(es []events.Event) (msgs []*nats.Msg, err error) {
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
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "0")
		msgs = append(msgs, m)
	}
	return msgs, errors.Join(errs...)
}

// atomicSize returns how many of the messages go into one batch, at least one.
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
	if n := len(msgs); n == 1 || !l.once.worth(n) {
		return l.appendEach(ctx, msgs)
	}
	trouble, attempt := nag{log: l.log, grace: muteAfter}, l.appends.begin()
	answered := false
	defer func() { l.appends.end(attempt, answered) }()
	for again := (pause{}); ; {
		start := time.Now()
		ack, err := l.tryBatch(ctx, msgs)
		var refusal *jetstream.APIError
		switch {
		case err == nil:
			l.once.tookBatch(time.Since(start))
			answered = true
			return ack.Sequence, nil
		case errors.As(err, &refusal):
			answered = true
			// The batch was refused as a whole: because of one message, or
			// because the server takes no batch now. Appending the messages one
			// by one works in both cases.
			l.sayBatch(len(msgs), err)
			return l.appendEach(ctx, msgs)
		}
		l.appends.failing(attempt, l.away(err))
		trouble.warn("the log does not answer; is the server up, and is there room on its disk?", l.away(err))
		if !again.wait(ctx) {
			return 0, fmt.Errorf("append %d events: %w: %w", len(msgs), workflow.ErrUnavailable, err)
		}
	}
}

// sayBatch logs that the server refused a batch, unless that is because something
// is on a subject, or was logged lately.
func (l *Log) sayBatch(events int, err error) {
	var refusal *jetstream.APIError
	if !errors.As(err, &refusal) || judge(err) == taken {
		return
	}
	if now := time.Now(); now.Unix()-l.saidBatch.Swap(now.Unix()) >= int64(foreignEvery.Seconds()) {
		l.log.Warn("the server refused an atomic batch; such events are appended one by one", "events", events, "err", err)
	}
}

// tryBatch publishes copies, because publishing a batch changes the headers of
// its messages.
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

// appendEach appends messages one by one, several of them in flight at a time.
// It tries all of them, and returns every error.
func (l *Log) appendEach(ctx context.Context, msgs []*nats.Msg) (last uint64, err error) {
	start := time.Now()
	sequences, errs := make([]uint64, len(msgs)), make([]error, len(msgs))
	var group errgroup.Group
	group.SetLimit(inFlight)
	for i, m := range msgs {
		group.Go(func() error {
			if sequences[i], errs[i] = l.appendOne(ctx, m); errs[i] != nil {
				errs[i] = fmt.Errorf("append %s: %w", m.Subject, errs[i])
			}
			return nil
		})
	}
	_ = group.Wait() // the errors are kept beside it, all of them
	if err = errors.Join(errs...); err == nil && len(msgs) > 1 {
		l.once.tookSingle(time.Since(start), len(msgs))
	}
	return slices.Max(sequences), err
}

// appendOne appends a message unless the same event is on its subject, and
// returns its sequence, 0 if the event was there. The server compares the last
// sequence on the subject, so that of two workers only one appends.
func (l *Log) appendOne(ctx context.Context, m *nats.Msg) (uint64, error) {
	for again := (pause{}); ; {
		ack, _, err := l.publish(ctx, m)
		if err == nil {
			return ack.Sequence, nil
		} else if judge(err) != taken {
			return 0, err
		}
		own, newest, err := l.standing(ctx, m.Subject, 0, sameEvent(m))
		switch {
		case err != nil:
			return 0, fmt.Errorf("%w: look at what is on the subject: %w", workflow.ErrUnavailable, err)
		case own > 0:
			return 0, nil
		}
		if expected := strconv.FormatUint(newest, 10); m.Header.Get(jetstream.ExpectedLastSubjSeqHeader) != expected {
			l.sayForeign(m.Subject, newest)
			m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, expected)
		} else if !again.wait(ctx) {
			return 0, fmt.Errorf("%w: %w", workflow.ErrUnavailable, ctx.Err())
		}
	}
}

// publish sends a message until the log gives a final answer or ctx ends; then
// the error is workflow.ErrUnavailable. unsure means that an attempt got no
// answer, and that the message may be on the log whatever the answers to the
// other attempts were.
//
// Each message has a random Nats-Msg-Id, so that repeated attempts are stored
// once. If the log reports a duplicate, publish reads the entry that it names.
// If that is another message, somebody has used the id, and publish sends the
// message with a new id.
func (l *Log) publish(ctx context.Context, m *nats.Msg) (ack *jetstream.PubAck, unsure bool, err error) {
	return l.publishFirst(ctx, m, l.try)
}

// publishFirst is publish with another first attempt.
func (l *Log) publishFirst(ctx context.Context, m *nats.Msg, try func(context.Context, *nats.Msg) (*jetstream.PubAck, error)) (ack *jetstream.PubAck, unsure bool, err error) {
	trouble, attempt := nag{log: l.log, grace: muteAfter}, l.appends.begin()
	answered := false
	defer func() { l.appends.end(attempt, answered) }()
	m.Header.Set(jetstream.MsgIDHeader, l.newID(m))
	for again := (pause{}); ; {
		ack, err := try(ctx, m)
		try = l.try
		if err == nil && ack.Duplicate {
			ours, unread := l.holds(ctx, ack.Sequence, m)
			switch {
			case unread != nil:
				err = unread
			case !ours:
				l.log.Warn("another program has used the Nats-Msg-Id of an event; the event is appended with a new one", "subject", m.Subject, "sequence", ack.Sequence)
				m.Header.Set(jetstream.MsgIDHeader, l.newID(m))
				l.takenIDs.Add(1)
				continue
			}
		}
		switch judge(err) {
		case landed:
			answered = true
			return ack, unsure, nil
		case taken, refused:
			var refusal *jetstream.APIError
			answered = errors.As(err, &refusal)
			return nil, unsure, err
		case unanswered:
			unsure = true
		}
		l.appends.failing(attempt, l.away(err))
		trouble.warn("the log does not answer; is the server up, and is there room on its disk?", l.away(err))
		if !again.wait(ctx) {
			return nil, unsure, fmt.Errorf("%w: %w", workflow.ErrUnavailable, l.away(err))
		}
	}
}

// errUnread means that this message or another one with its Nats-Msg-Id is on
// the log, and that the entry could not be read to find out which.
var errUnread = errors.New("the entry that the log calls a duplicate cannot be read")

// holds reports whether the entry at a sequence is the message.
func (l *Log) holds(ctx context.Context, sequence uint64, m *nats.Msg) (bool, error) {
	stream, err := l.handle(ctx)
	if err != nil {
		return false, errUnread
	}
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	there, err := stream.GetMsg(ctx, sequence)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return false, nil
	case err != nil:
		return false, errUnread
	}
	return there.Subject == m.Subject && bytes.Equal(there.Data, m.Data), nil
}

func (l *Log) try(ctx context.Context, m *nats.Msg) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	return l.broker.JS.PublishMsg(ctx, m)
}

// answer is the result of an attempt to publish.
type answer int

const (
	landed     answer = iota
	taken             // the last entry on the subject is not the expected one
	refused           // retrying cannot help
	later             // it is not on the log; retry
	unanswered        // it may be on the log
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
			// Another message on this subject is in flight, or the server or
			// its limits for the account do not allow it at the moment.
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
