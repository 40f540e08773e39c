package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"countersign/db/internal/sqlc"
	"countersign/workflow"
)

// PageQuery asks for one page of an account's documents.
type PageQuery struct {
	Account workflow.SID
	Status  workflow.Status // empty matches all
	Email   string          // exact; empty matches all
	After   workflow.SID    // the page behind this document; empty for the first page
	Before  workflow.SID    // the page that ends in front of this document; goes before After
	Limit   int             // maximum number of documents
}

// Listed is what a list shows of a document.
type Listed struct {
	SID                      workflow.SID
	Status                   workflow.Status
	AddressSID               workflow.SID
	Email                    string
	CCEmails                 []string
	DateCreated, DateUpdated time.Time
}

// Page lists documents of an account, the newest first. A page stays what it
// is while documents arrive, and costs the same wherever it lies. It fails
// with workflow.ErrNotFound if After or Before is not a document of the
// account.
func (s *Store) Page(ctx context.Context, q PageQuery) ([]Listed, error) {
	ctx, err := short(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.page(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("list documents: %w", err)
	}
	docs := make([]Listed, len(rows))
	for i, r := range rows {
		docs[i] = Listed{
			SID: r.SID, Status: r.Status, AddressSID: r.AddressSID, Email: r.Email,
			DateCreated: fromMS(r.CreatedMS), DateUpdated: fromMS(r.UpdatedMS),
		}
		if docs[i].CCEmails, err = stringList(r.CCEmails); err != nil {
			return nil, fmt.Errorf("cc emails of %s: %w", r.SID, err)
		}
	}
	return docs, nil
}

func (s *Store) page(ctx context.Context, q PageQuery) ([]sqlc.Listed, error) {
	place := int64(math.MaxInt64)
	if anchor := cmp.Or(q.Before, q.After); anchor != "" {
		var err error
		place, err = s.rq.PlaceOf(ctx, sqlc.PlaceOfParams{SID: anchor, AccountSID: q.Account})
		if errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("%w: document %s", workflow.ErrNotFound, anchor)
		}
		if err != nil {
			return nil, err
		}
	}
	if q.Before == "" {
		return s.older(ctx, q, place)
	}
	rows, err := s.newer(ctx, q, place)
	slices.Reverse(rows)
	return rows, err
}

func (s *Store) older(ctx context.Context, q PageQuery, place int64) ([]sqlc.Listed, error) {
	most := int64(q.Limit)
	switch {
	case q.Email != "" && q.Status != "":
		return s.rq.OlderOfEmailAndStatus(ctx, sqlc.OlderOfEmailAndStatusParams{AccountSID: q.Account, Email: q.Email, Status: q.Status, Place: place, Most: most})
	case q.Email != "":
		return s.rq.OlderOfEmail(ctx, sqlc.OlderOfEmailParams{AccountSID: q.Account, Email: q.Email, Place: place, Most: most})
	case q.Status != "":
		return s.rq.OlderOfStatus(ctx, sqlc.OlderOfStatusParams{AccountSID: q.Account, Status: q.Status, Place: place, Most: most})
	}
	return s.rq.OlderDocuments(ctx, sqlc.OlderDocumentsParams{AccountSID: q.Account, Place: place, Most: most})
}

func (s *Store) newer(ctx context.Context, q PageQuery, place int64) ([]sqlc.Listed, error) {
	most := int64(q.Limit)
	switch {
	case q.Email != "" && q.Status != "":
		return s.rq.NewerOfEmailAndStatus(ctx, sqlc.NewerOfEmailAndStatusParams{AccountSID: q.Account, Email: q.Email, Status: q.Status, Place: place, Most: most})
	case q.Email != "":
		return s.rq.NewerOfEmail(ctx, sqlc.NewerOfEmailParams{AccountSID: q.Account, Email: q.Email, Place: place, Most: most})
	case q.Status != "":
		return s.rq.NewerOfStatus(ctx, sqlc.NewerOfStatusParams{AccountSID: q.Account, Status: q.Status, Place: place, Most: most})
	}
	return s.rq.NewerDocuments(ctx, sqlc.NewerDocumentsParams{AccountSID: q.Account, Place: place, Most: most})
}

// sidLength is the length of a whole sid: its kind and 32 hex digits.
const sidLength = 34

// FindSID returns the sid of the one document, created or erased, whose sid
// begins with a prefix. A whole sid is returned as it is. FindSID fails with workflow.ErrNotFound if there
// is none, and with workflow.ErrConflict, naming some, if there are several.
func (s *Store) FindSID(ctx context.Context, prefix string) (workflow.SID, error) {
	if len(prefix) == sidLength {
		return workflow.SID(prefix), nil
	}
	found, err := s.rq.SIDsBetween(ctx, sqlc.SIDsBetweenParams{Low: prefix, High: prefix + "\x7f"})
	switch {
	case err != nil:
		return "", fmt.Errorf("look for documents whose sid begins with %s: %w", prefix, err)
	case len(found) == 0:
		return "", fmt.Errorf("%w: no document has a sid that begins with %s", workflow.ErrNotFound, prefix)
	case len(found) == 1:
		return found[0], nil
	}
	some := make([]string, len(found))
	for i, sid := range found {
		some[i] = string(sid)
	}
	return "", fmt.Errorf("%w: several documents have a sid that begins with %s, such as %s; give more of it", workflow.ErrConflict, prefix, strings.Join(some, ", "))
}
