package db

import (
	"context"
	"fmt"
	"math"
	"time"

	"countersign/db/internal/sqlc"
	"countersign/workflow"
)

// rewindPage is how many applied entries are compared with the log at a time.
const rewindPage = 500

// Rewind puts the position back to the newest applied entry that is still
// on the log, for a log that has lost its tail: matches says whether an entry
// does. What was applied stays applied; the events that the log lost are owed
// again, and entries met again change nothing. Those that were refused, or
// wait, are forgotten: they have changed nothing, and another entry may stand in
// the place by which they are known. It fails with workflow.ErrConflict if no
// entry matches.
func (s *Store) Rewind(ctx context.Context, below uint64, matches func(seq uint64, at time.Time, source, id string) (bool, error)) (p Position, err error) {
	err = patiently(ctx, s.path, s.tell, func() error {
		p, err = s.rewind(ctx, below, matches)
		return err
	})
	return p, err
}

func (s *Store) rewind(ctx context.Context, below uint64, matches func(seq uint64, at time.Time, source, id string) (bool, error)) (Position, error) {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.lately = nil
	next := int64(math.MaxInt64)
	if below < math.MaxInt64 {
		next = int64(below) + 1
	}
	for {
		page, err := s.rq.AppliedBefore(ctx, sqlc.AppliedBeforeParams{Below: next, Most: rewindPage})
		if err != nil {
			return Position{}, fmt.Errorf("read applied entries: %w", err)
		}
		for _, r := range page {
			ok, err := matches(uint64(r.Sequence), fromNS(r.EntryNs), r.Source, r.EventID)
			if err != nil {
				return Position{}, err
			}
			if ok {
				return s.rewindTo(ctx, r)
			}
			next = r.Sequence
		}
		if len(page) < rewindPage {
			return Position{}, fmt.Errorf("%w: none of the entries applied here is on this log", workflow.ErrConflict)
		}
	}
}

func (s *Store) rewindTo(ctx context.Context, r sqlc.AppliedBeforeRow) (Position, error) {
	p := s.Position()
	p.Sequence, p.Time, p.Source, p.ID = uint64(r.Sequence), fromNS(r.EntryNs), r.Source, r.EventID
	p.Claim, p.HookClaim = 0, 0 // read back from the log
	err := s.tx(ctx, func(q *sqlc.Queries) error {
		for _, forget := range []func(context.Context, int64) error{
			q.TakeRefusalsAfter, q.LoseRefusalsAfter, q.LoseClosedAfter, q.LoseParkedAfter, q.LoseAnswersAfter, q.LoseIdleInboxAfter,
		} {
			if err := forget(ctx, r.Sequence); err != nil {
				return err
			}
		}
		if _, err := q.LoseInboxAfter(ctx, r.Sequence); err != nil {
			return err
		}
		if _, err := q.LoseOutboxEventsAfter(ctx, r.Sequence); err != nil {
			return err
		}
		b := batch{q: q, pos: p}
		return b.flushPosition(ctx)
	})
	if err != nil {
		return p, explain(s.path, fmt.Errorf("rewind to entry %d: %w", r.Sequence, err))
	}
	s.announce(p, 0, 0, work{true, true, true}, nil)
	return p, nil
}
