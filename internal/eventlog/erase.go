package eventlog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/workflow"
)

const erasures = events.Prefix + "*.*.erased" // the subjects of all events of erasure

// Erasures lists the events of erasure that are on the log after a sequence.
func (l *Log) Erasures(ctx context.Context, after uint64) (list []workflow.Entry, err error) {
	err = read(ctx, l.broker.JS, events.StreamName, Range{From: after + 1, Subject: erasures}, func(m events.Message) error {
		if e := events.Decode(m); e.Body.Type() == workflow.TypeErased {
			list = append(list, e)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the erasures: %w", err)
	}
	return list, nil
}

// ErasedUpTo is the sequence of the last event of erasure, 0 if there is none.
func (l *Log) ErasedUpTo(ctx context.Context) (uint64, error) {
	return erasedUpTo(ctx, l.broker.JS)
}

// ErasedUpTo is the sequence of the last event of erasure on the log, 0 if
// there is none: an older snapshot may hold what was erased.
func (s *Snapshots) ErasedUpTo(ctx context.Context) (uint64, error) {
	return erasedUpTo(ctx, s.js)
}

func erasedUpTo(ctx context.Context, js jetstream.JetStream) (uint64, error) {
	stream, err := js.Stream(ctx, events.StreamName)
	if err != nil {
		return 0, fmt.Errorf("look for the last erasure: %w", err)
	}
	last, _, err := lastThat(ctx, js, stream, erasures, 0, sameType(workflow.TypeErased))
	if err != nil {
		return 0, fmt.Errorf("look for the last erasure: %w", err)
	}
	return last, nil
}

// Standing has what is on the log about one document.
type Standing struct {
	Entries  []workflow.ErasedEntry // all but the events of erasure, oldest first
	Erasures []workflow.Entry       // oldest first
}

// Standing lists what is on the log about a document, under any account.
func (l *Log) Standing(ctx context.Context, sid workflow.SID) (s Standing, err error) {
	err = read(ctx, l.broker.JS, events.StreamName, Range{Subject: events.Prefix + "*." + string(sid) + ".>"}, func(m events.Message) error {
		e := events.Decode(m)
		if e.Body.Type() == workflow.TypeErased {
			s.Erasures = append(s.Erasures, e)
			return nil
		}
		sum := sha256.Sum256(m.Data)
		s.Entries = append(s.Entries, workflow.ErasedEntry{Sequence: m.Sequence, Type: e.Body.Type(), SHA256: hex.EncodeToString(sum[:])})
		return nil
	})
	if err != nil {
		return s, fmt.Errorf("read the entries about %s: %w", sid, err)
	}
	return s, nil
}

// AppendErased appends an event of erasure, provided that the last event of
// erasure of its document is still at sequence last, 0 for none. It fails with
// ErrLost if another came first.
func (l *Log) AppendErased(ctx context.Context, e events.Event, last uint64) (uint64, error) {
	seq, err := l.appendBehind(ctx, e, last)
	if err != nil {
		return 0, fmt.Errorf("append the erasure of %s: %w", e.Document, err)
	}
	return seq, nil
}

// Remove removes entries from the log and has the server overwrite their bytes
// on its disks. An entry that has been removed before is no error. Only entries
// that an event of erasure lists may be removed.
func (l *Log) Remove(ctx context.Context, sequences []uint64) error {
	stream, err := l.stream(ctx)
	if err != nil {
		return err
	}
	for _, seq := range sequences {
		if err := removeOne(ctx, stream, seq); err != nil {
			return fmt.Errorf("remove entry %d from the log: %w", seq, err)
		}
	}
	return nil
}

func removeOne(ctx context.Context, stream jetstream.Stream, seq uint64) error {
	ctx, cancel := context.WithTimeout(ctx, 2*answerWait)
	defer cancel()
	err := stream.SecureDeleteMsg(ctx, seq)
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == codeNoMessage || api.ErrorCode == codeDeleteFailed) {
		if _, lost := stream.GetMsg(ctx, seq); errors.Is(lost, jetstream.ErrMsgNotFound) {
			return nil
		}
	}
	return err
}

// API error codes of nats-server for a message that is not there.
const (
	codeNoMessage    jetstream.ErrorCode = 10037
	codeDeleteFailed jetstream.ErrorCode = 10057
)

// missing knows which entries are missing on the log because a document was
// erased.
type missing struct {
	log     *Log
	upTo    uint64   // erasures up to here are known
	removed []uint64 // the entries that they list, sorted
}

// look looks for the erasures that explain a gap. It returns those that are new
// to it, and whether they explain the whole gap.
func (m *missing) look(ctx context.Context, first, last uint64) (news []workflow.Entry, explained bool, err error) {
	if m.explain(first, last) {
		return nil, true, nil
	}
	news, err = m.log.Erasures(ctx, max(m.upTo, last))
	if err != nil {
		return nil, false, err
	}
	for _, e := range news {
		m.upTo = e.Sequence
		for _, x := range e.Body.(workflow.Erased).Entries {
			m.removed = append(m.removed, x.Sequence)
		}
	}
	slices.Sort(m.removed)
	return news, m.explain(first, last), nil
}

// explain reports whether erasures explain all of a gap, and forgets removed
// entries before it.
func (m *missing) explain(first, last uint64) bool {
	from, _ := slices.BinarySearch(m.removed, first)
	m.removed = slices.Compact(m.removed[from:])
	n, _ := slices.BinarySearch(m.removed, last+1)
	return uint64(n) == last-first+1
}
