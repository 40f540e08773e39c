package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"countersign/db/internal/sqlc"
	"countersign/workflow"
)

// Met reports of each entry whether its event was met before and is still
// on the log.
func (s *Store) Met(ctx context.Context, entries []workflow.Entry) ([]bool, error) {
	keys := identities(entries)
	known, err := knownEvents(ctx, s.rq, keys)
	if err != nil {
		return nil, fmt.Errorf("look for events met before: %w", err)
	}
	met := make([]bool, len(entries))
	for i, k := range keys {
		met[i] = known[k] > 0
	}
	return met, nil
}

func identities(entries []workflow.Entry) []workflow.Identity {
	keys := make([]workflow.Identity, len(entries))
	for i, e := range entries {
		keys[i] = e.Identity()
	}
	return keys
}

// knownEvents returns the sequence at which each of the events was met first, of
// those that were met; negative if the log has lost that entry.
func knownEvents(ctx context.Context, q *sqlc.Queries, keys []workflow.Identity) (map[workflow.Identity]int64, error) {
	list := make([][3]string, len(keys))
	for i, k := range keys {
		list[i] = [3]string{string(k.Account), k.Source, k.ID}
	}
	rows, err := q.KnownEvents(ctx, encode(list))
	known := make(map[workflow.Identity]int64, len(rows))
	for _, r := range rows {
		known[workflow.Identity{Account: r.AccountSID, Source: r.Source, ID: r.EventID}] = r.Sequence
	}
	return known, err
}

// WhatBecame returns the result of an event, and the sequence at which it was
// met first. It fails with workflow.ErrNotFound if it was not met yet.
func (s *Store) WhatBecame(ctx context.Context, of workflow.Identity) (workflow.Result, uint64, error) {
	r, err := s.rq.WhatBecameOf(ctx, sqlc.WhatBecameOfParams{AccountSID: of.Account, Source: of.Source, EventID: of.ID})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", 0, fmt.Errorf("%w: event %s of %s", workflow.ErrNotFound, of.ID, of.Source)
	case err != nil:
		return "", 0, fmt.Errorf("read what became of an event: %w", err)
	}
	return workflow.Result(r.Result), uint64(max(r.Sequence, -r.Sequence)), nil
}

// AppliedTo reads the sequence of the last entry applied from the file: of a
// store that another process writes to, Position knows only how it was opened.
func (s *Store) AppliedTo(ctx context.Context) (uint64, error) {
	p, err := s.rq.GetPosition(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the position: %w", err)
	}
	return uint64(p.Sequence), nil
}

// ResultAt returns what became of the entry at a sequence. It reads the whole
// inbox, and fails with workflow.ErrNotFound if the entry was met before.
func (s *Store) ResultAt(ctx context.Context, sequence uint64) (workflow.Result, error) {
	r, err := s.rq.ResultAt(ctx, int64(sequence))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", fmt.Errorf("%w: no event was met first at entry %d", workflow.ErrNotFound, sequence)
	case err != nil:
		return "", fmt.Errorf("read what became of entry %d: %w", sequence, err)
	}
	return workflow.Result(r), nil
}
