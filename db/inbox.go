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
	keys := make([][3]string, len(entries))
	for i, e := range entries {
		keys[i] = [3]string{string(e.Account), e.Source, e.ID}
	}
	rows, err := s.rq.KnownEvents(ctx, encode(keys))
	if err != nil {
		return nil, fmt.Errorf("look for events met before: %w", err)
	}
	known := make(map[[3]string]bool, len(rows))
	for _, r := range rows {
		known[[3]string{string(r.AccountSID), r.Source, r.EventID}] = r.Sequence > 0
	}
	met := make([]bool, len(entries))
	for i, k := range keys {
		met[i] = known[k]
	}
	return met, nil
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
