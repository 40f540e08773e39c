package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"countersign/db/internal/sqlc"
	"countersign/workflow"
)

// closing is an entry that closes a refused event.
type closing struct {
	by workflow.Entry
	of *workflow.SID // account of the refused event, if this batch refused it before; nil if not
}

// close takes note of an entry that closes a refused event.
func (b *batch) close(e workflow.Entry) {
	sequence, _ := e.Closes()
	if sequence == 0 {
		return
	}
	c := closing{by: e}
	if i := slices.IndexFunc(b.refusals, func(r refusal) bool { return r.verdict.Entry.Sequence == sequence }); i >= 0 {
		c.of = &b.refusals[i].verdict.Entry.Account
	}
	b.closings = append(b.closings, c)
}

// flushClosings writes which refused events the batch is done with. The first
// entry that closes an event counts. It must run before the batch's refusals are
// written: an event that is refused after the entry is not closed by it.
func (b *batch) flushClosings(ctx context.Context) error {
	for _, c := range b.closings {
		sequence, reason := c.by.Closes()
		if c.of == nil {
			of, err := b.q.RefusalAt(ctx, int64(sequence))
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			c.of = &of.AccountSID
		}
		if !c.by.MayClose(*c.of) {
			continue
		}
		p := sqlc.AddClosedParams{Sequence: int64(sequence), BySequence: int64(c.by.Sequence), Reason: reason, AtMS: ms(c.by.Time)}
		if err := b.q.AddClosed(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// RefusalFilter chooses refused events. An empty field matches all.
type RefusalFilter struct {
	Sequence uint64
	Account  workflow.SID // of the subject
	Document workflow.SID
	Code     workflow.Code
	Only     RefusalKind
	Since    time.Time // of the entry that refused it, by the log's clock
	Closed   bool      // those that are done with, too
	Limit    int       // maximum number of entries
}

// RefusalKind tells dead letters from refusals.
type RefusalKind int

// The kinds of refused events.
const (
	DeadOrRefused RefusalKind = iota
	OnlyDead
	OnlyRefused
)

// DeadLetter is a refused event with its place on the log, and what became of
// it since.
type DeadLetter struct {
	Refusal
	Subject  string
	Document workflow.SID // empty if the subject names none
	Closed   uint64       // the entry that was sent in its place or discards it; 0 while it is open
	Reason   string       // why it was discarded; empty if it was sent again
	ClosedAt time.Time
}

// DeadLetters lists refused events, the newest first.
func (s *Store) DeadLetters(ctx context.Context, f RefusalFilter) ([]DeadLetter, error) {
	rows, err := s.rq.ListRefusals(ctx, sqlc.ListRefusalsParams{
		Sequence: int64(f.Sequence), AccountSID: string(f.Account), DocumentSID: string(f.Document), Code: string(f.Code),
		Dead: [...]int64{DeadOrRefused: -1, OnlyDead: 1, OnlyRefused: 0}[f.Only], SinceMS: ms(f.Since),
		ClosedToo: int64(bit(f.Closed)), Most: int64(f.Limit),
	})
	if err != nil {
		return nil, fmt.Errorf("list refused events: %w", err)
	}
	letters := make([]DeadLetter, len(rows))
	for i, r := range rows {
		letters[i] = DeadLetter{
			Refusal: Refusal{uint64(r.Sequence), fromMS(r.AtMS), r.Dead, r.Source, r.EventID, r.Code, r.Message, r.Field},
			Subject: r.Subject, Document: r.DocumentSID, Closed: uint64(r.BySequence), Reason: r.Reason, ClosedAt: fromMS(r.ClosedMS),
		}
	}
	return letters, nil
}

// DeadLetter reads one refused event, open or not. It fails with
// workflow.ErrNotFound if the entry at the sequence was not refused.
func (s *Store) DeadLetter(ctx context.Context, sequence uint64) (DeadLetter, error) {
	letters, err := s.DeadLetters(ctx, RefusalFilter{Sequence: sequence, Closed: true, Limit: 1})
	switch {
	case err != nil:
		return DeadLetter{}, err
	case sequence == 0 || len(letters) == 0:
		return DeadLetter{}, fmt.Errorf("%w: entry %d is neither a dead letter nor refused", workflow.ErrNotFound, sequence)
	}
	return letters[0], nil
}

// Refusal returns why an event was refused or became a dead letter, nil if it was
// not. It fails with workflow.ErrNotFound if the event was not met yet.
func (s *Store) Refusal(ctx context.Context, of workflow.Identity) (*workflow.Problem, error) {
	ctx, err := short(ctx)
	if err != nil {
		return nil, err
	}
	result, sequence, err := s.WhatBecame(ctx, of)
	if err != nil || result == workflow.ResultApplied {
		return nil, err
	}
	return s.RefusalAt(ctx, sequence)
}

// RefusalAt returns why the entry at a sequence was refused or became a dead
// letter, nil if it was not.
func (s *Store) RefusalAt(ctx context.Context, sequence uint64) (*workflow.Problem, error) {
	r, err := s.rq.RefusalAt(ctx, int64(sequence))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what became of entry %d: %w", sequence, err)
	}
	return &workflow.Problem{
		Code: r.Code, Message: r.Message, Field: r.Field, Order: r.OrderSID, Document: r.OtherSID, Until: fromMS(r.UntilMS),
	}, nil
}

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
