package db

import (
	"context"
	"fmt"

	"countersign/workflow"
)

// Met reports of each entry whether its event was met before and still stands
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

// Owing is what entries made the store owe, and what they were refused.
type Owing struct {
	Mails  map[workflow.MailKind]int `json:"mails"`
	Events map[string]int            `json:"events"` // by type
	Turned map[workflow.Code]int     `json:"turned_down"`
}

// OwingSince tells what the entries after a sequence made the store owe.
func (s *Store) OwingSince(ctx context.Context, sequence uint64) (o Owing, err error) {
	o = Owing{map[workflow.MailKind]int{}, map[string]int{}, map[workflow.Code]int{}}
	mails, err := s.rq.MailsSince(ctx, int64(sequence))
	for _, r := range mails {
		o.Mails[r.Kind] = int(r.N)
	}
	if err == nil {
		events, errEvents := s.rq.OwedEventsSince(ctx, int64(sequence))
		for _, r := range events {
			o.Events[r.Type] = int(r.N)
		}
		err = errEvents
	}
	if err == nil {
		turned, errTurned := s.rq.TurnedDownSince(ctx, int64(sequence))
		for _, r := range turned {
			o.Turned[r.Code] = int(r.N)
		}
		err = errTurned
	}
	if err != nil {
		return o, fmt.Errorf("read what is owed since entry %d: %w", sequence, err)
	}
	return o, nil
}
