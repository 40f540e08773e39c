package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
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
	lines, err := s.page(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("list documents: %w", err)
	}
	docs := make([]Listed, len(lines))
	for i, line := range lines {
		if docs[i], err = listed(line); err != nil {
			return nil, fmt.Errorf("list documents: read %s: %w", docs[i].SID, err)
		}
	}
	return docs, nil
}

// listed reads a line of the view listed.
func listed(line string) (d Listed, err error) {
	var columns [6]string // those before the cc emails
	for i := range columns {
		columns[i], line, _ = strings.Cut(line, "\x1f")
	}
	d.SID, d.Status, d.AddressSID, d.Email = workflow.SID(columns[0]), workflow.Status(columns[1]), workflow.SID(columns[2]), columns[3]
	created, err := strconv.ParseInt(columns[4], 10, 64)
	if err != nil {
		return d, err
	}
	updated, err := strconv.ParseInt(columns[5], 10, 64)
	if err != nil {
		return d, err
	}
	d.DateCreated, d.DateUpdated = fromMS(created), fromMS(updated)
	d.CCEmails, err = stringList(line)
	return d, err
}

func (s *Store) page(ctx context.Context, q PageQuery) ([]string, error) {
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

func (s *Store) older(ctx context.Context, q PageQuery, place int64) ([]string, error) {
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

func (s *Store) newer(ctx context.Context, q PageQuery, place int64) ([]string, error) {
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

// OrderQuery asks for one page of an account's orders. Filters are exact; an
// empty one matches all.
type OrderQuery struct {
	Account      workflow.SID
	Status       workflow.OrderStatus
	PhoneNumber  string
	FriendlyName string
	UniqueName   string
	IncomingSID  workflow.SID
	SMS          *bool        // whether the number is used for text messages; nil matches all
	After        workflow.SID // the page behind this order; empty for the first page
	Before       workflow.SID // the page that ends in front of this order; goes before After
	Limit        int          // maximum number of orders
}

// Orders lists orders of an account, the newest first, as Page does with
// documents. It fails with workflow.ErrNotFound if After or Before is not an
// order of the account.
func (s *Store) Orders(ctx context.Context, q OrderQuery) ([]workflow.HostedOrder, error) {
	l := list{table: "hosted_number_orders", account: q.Account, limit: q.Limit}
	l.where("phone_number", q.PhoneNumber)
	l.where("unique_name", q.UniqueName)
	l.where("incoming_phone_number_sid", string(q.IncomingSID))
	l.where("friendly_name", q.FriendlyName)
	l.where("status", string(q.Status))
	if q.SMS != nil {
		l.residual("coalesce(json_extract(data, '$.capabilities.sms'), 0)", bit(*q.SMS))
	}
	rows, err := s.listed(ctx, l, q.After, q.Before, func(ctx context.Context, sid workflow.SID) (int64, error) {
		return s.rq.PlaceOfOrder(ctx, sqlc.PlaceOfOrderParams{SID: sid, AccountSID: q.Account})
	})
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	return each(rows, hostedOrder)
}

// AddressQuery asks for one page of an account's addresses. Filters are exact;
// an empty one matches all.
type AddressQuery struct {
	Account      workflow.SID
	CustomerName string
	FriendlyName string
	ISOCountry   string
	Emergency    *bool        // nil matches all
	After        workflow.SID // the page behind this address; empty for the first page
	Before       workflow.SID // the page that ends in front of this address; goes before After
	Limit        int          // maximum number of addresses
}

// Addresses lists addresses of an account, the newest first, as Page does with
// documents. It fails with workflow.ErrNotFound if After or Before is not an
// address of the account.
func (s *Store) Addresses(ctx context.Context, q AddressQuery) ([]workflow.Address, error) {
	l := list{table: "addresses", account: q.Account, limit: q.Limit}
	l.where("customer_name", q.CustomerName)
	l.where("friendly_name", q.FriendlyName)
	if q.ISOCountry != "" {
		l.residual("iso_country", q.ISOCountry)
	}
	if q.Emergency != nil {
		l.residual("emergency", bit(*q.Emergency))
	}
	rows, err := s.listed(ctx, l, q.After, q.Before, func(ctx context.Context, sid workflow.SID) (int64, error) {
		return s.rq.PlaceOfAddress(ctx, sqlc.PlaceOfAddressParams{SID: sid, AccountSID: q.Account})
	})
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	return each(rows, address)
}

// list is a query for one page of a table with the columns account_sid, listed,
// place and data.
type list struct {
	table   string
	account workflow.SID
	limit   int
	filters string
	args    []any
}

// where filters by a column that has an index with account_sid and place, unless
// the value is empty. The first filter is the one whose index is used.
func (l *list) where(column, value string) {
	switch {
	case value == "":
	case len(l.args) == 0:
		l.filters, l.args = " AND "+column+" = ?", append(l.args, value)
	default:
		l.residual(column, value)
	}
}

// residual filters what an index has found. The plus keeps SQLite from choosing
// an index of the column.
func (l *list) residual(column string, value any) {
	l.filters, l.args = l.filters+" AND +"+column+" = ?", append(l.args, value)
}

// listed reads one page. placeOf returns the place of the row that a page is
// behind or in front of.
func (s *Store) listed(ctx context.Context, l list, after, before workflow.SID, placeOf func(context.Context, workflow.SID) (int64, error)) ([]string, error) {
	place := int64(math.MaxInt64)
	if anchor := cmp.Or(before, after); anchor != "" {
		var err error
		if place, err = placeOf(ctx, anchor); err != nil {
			return nil, notFound(err, "the row", anchor)
		}
	}
	side := " AND place < ? ORDER BY place DESC LIMIT ?"
	if before != "" {
		side = " AND place > ? ORDER BY place ASC LIMIT ?"
	}
	query := "SELECT data FROM " + l.table + " WHERE listed = 1 AND account_sid = ?" + l.filters + side
	rows, err := s.read.QueryContext(ctx, query, append(append([]any{l.account}, l.args...), place, l.limit)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []string
	for rows.Next() {
		var data string
		if err := rows.Scan(&data); err != nil {
			return nil, err
		}
		page = append(page, data)
	}
	if before != "" {
		slices.Reverse(page)
	}
	return page, rows.Err()
}
