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

// ErrGuard means that the log does not hold what the fold has applied, and that
// continuing would skip events. An operator has to decide which of the two is
// right.
var ErrGuard = errors.New("the log and the database do not belong together")

// guard compares the fold's position with the log, and returns the sequence
// after which to follow. A log that lost its tail uses the same sequences
// again; a follower that compares only numbers would skip events without
// notice. So guard reads the entry itself, and if it differs, the fold goes
// back to the newest entry that the log still holds.
func (l *Log) guard(ctx context.Context, f Fold) (jetstream.Stream, uint64, error) {
	pos, err := f.Position(context.WithoutCancel(ctx))
	if err != nil {
		return nil, 0, final{fmt.Errorf("read the position: %w", err)}
	}
	stream, err := l.stream(ctx)
	if err != nil {
		return nil, 0, err
	}
	info := stream.CachedInfo()
	if lost := info.State.Lost; lost != nil && len(lost.Msgs) > 0 {
		l.log.Error("the server says that the log is damaged and entries are lost; restore the stream's store if a backup has them",
			"entries", len(lost.Msgs), "first", lost.Msgs[0])
	}
	if err := l.loadQuarantine(ctx); err != nil {
		return nil, 0, err
	}
	fault, err := l.compare(ctx, stream, pos)
	if err != nil {
		return nil, 0, err
	}
	if fault != "" {
		if pos, err = l.rewind(ctx, stream, f, pos, fault); err != nil {
			return nil, 0, err
		}
	}
	if err := begins(stream, pos.Sequence); err != nil {
		erased := missing{log: l, upTo: pos.Sequence}
		_, explained, unread := erased.look(ctx, pos.Sequence+1, info.State.FirstSeq-1)
		if unread != nil || explained {
			return stream, pos.Sequence, unread
		}
		return nil, 0, err
	}
	return stream, pos.Sequence, nil
}

// compare returns how the log differs from the position; "" if it does not.
func (l *Log) compare(ctx context.Context, stream jetstream.Stream, pos Position) (fault string, err error) {
	info := stream.CachedInfo()
	last, recreated := info.State.LastSeq, !sameInstant(info.Created, pos.Stream)
	switch {
	case pos.Sequence == 0:
		return "", nil
	case pos.Sequence > last && recreated:
		return fmt.Sprintf("the stream was created again and ends at entry %d", last), nil
	case pos.Sequence > last:
		return fmt.Sprintf("the log lost its tail and ends at entry %d", last), nil
	}
	found, same, err := l.entryIs(ctx, stream, pos.Sequence, pos.Time, pos.Source, pos.ID)
	switch {
	case err != nil:
		return "", fmt.Errorf("read entry %d back: %w", pos.Sequence, err)
	case same:
		if recreated {
			l.log.Warn("the stream was created again, and holds what the database has applied; going on",
				"position", pos.Sequence, "created", info.Created)
		}
		return "", nil
	case !found && !recreated:
		// The entry was purged, alone or with those before it. The stream is
		// the same, and a stream does not use a sequence twice.
		l.log.Debug("the entry at the position was purged; going on", "position", pos.Sequence)
		return "", nil
	case recreated:
		return "the stream was created again and holds other entries", nil
	}
	return "the log lost its tail and has used its sequences again", nil
}

func (l *Log) rewind(ctx context.Context, stream jetstream.Stream, f Fold, pos Position, fault string) (Position, error) {
	last := stream.CachedInfo().State.LastSeq
	l.log.Error("the log does not hold what the database has applied; looking for the newest entry in common",
		"fault", fault, "position", pos.Sequence, "last", last)
	var unread error
	matches := func(seq uint64, at time.Time, source, id string) (bool, error) {
		if seq == 0 || seq > last {
			return false, nil
		}
		_, same, err := l.entryIs(ctx, stream, seq, at, source, id)
		unread = err
		return same, err
	}
	back, err := f.Rewind(ctx, last, matches)
	switch {
	case ctx.Err() != nil:
		return Position{}, ctx.Err()
	case unread != nil:
		return Position{}, fmt.Errorf("look for the newest entry in common: %w", unread)
	case errors.Is(err, workflow.ErrConflict):
		return Position{}, final{fmt.Errorf("%w: %s, and no entry that the database has applied is on it: if the URL is another server's, correct it; if the right stream was removed, keep a copy of this one (nats stream backup) and restore the right one in its place (nats stream restore DIR); only if this log is the right one, run countersign rebuild --from-log, which keeps the old database as a file",
			ErrGuard, fault)}
	case err != nil:
		return Position{}, final{fmt.Errorf("go back to the newest entry in common: %w", err)}
	}
	l.log.Warn("folding again from the newest entry in common", "position", back.Sequence, "was", pos.Sequence)
	return back, nil
}

// entryIs reports whether the stream has an entry at seq, and whether it has
// this time and identity. The identity may have been read before the entry was
// put into quarantine. Times are compared to the millisecond, which is the
// precision of a database.
func (l *Log) entryIs(ctx context.Context, stream jetstream.Stream, seq uint64, at time.Time, source, id string) (found, same bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	msg, err := stream.GetMsg(ctx, seq)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return false, false, nil
	case err != nil:
		return false, false, err
	}
	m := rawMessage(msg)
	for _, e := range []workflow.Entry{l.decode(m), events.Decode(m)} {
		same = same || sameInstant(msg.Time, at) && e.Source == source && e.ID == id
	}
	return true, same, nil
}

func sameInstant(a, b time.Time) bool { return a.UnixMilli() == b.UnixMilli() }

// watchEvery is how often the stream is checked while it is followed: NATS does
// not notify us of changes to it.
const watchEvery = 2 * time.Second

// errReplaced means that the stream was removed and created again.
var errReplaced = errors.New("the stream was created again while it was followed")

// watch checks the stream until ctx ends. It fails if the stream was removed or
// created again, or has got settings that could lose events.
func (l *Log) watch(ctx context.Context, created time.Time) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		if ctx.Err() != nil { // both channels may be ready
			return nil
		}
		stream, err := l.stream(ctx)
		switch {
		case err == nil && !sameInstant(stream.CachedInfo().Created, created):
			return errReplaced
		case hopeless(err), errors.Is(err, jetstream.ErrStreamNotFound):
			return err
		}
	}
}

// begins fails if the log does not have the entry after a sequence any more:
// the entries up to its first one are gone, and must not be skipped.
func begins(stream jetstream.Stream, after uint64) error {
	first := stream.CachedInfo().State.FirstSeq
	if first <= after+1 {
		return nil
	}
	return final{fmt.Errorf("%w: the log begins at entry %d, the database ends at %d, and the entries between were purged: start from a snapshot of the database that reaches to %d or further (countersign snapshot list)",
		ErrGuard, first, after, first-1)}
}
