package db

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"countersign/db/internal/sqlc"
	"countersign/workflow"
)

// lookBeside finds out whether the store has orders or addresses with events of
// their own. As long as it has none, no batch looks for them.
func (s *Store) lookBeside(ctx context.Context) error {
	known, err := s.wq.OrdersKnown(ctx)
	if err != nil {
		return fmt.Errorf("look for orders: %w", err)
	}
	s.beside.Store(known != 0)
	return nil
}

// loadApart reads which documents the entries are about that name none: the
// live documents that list their orders, and those that wait for their
// addresses.
func (b *batch) loadApart(ctx context.Context, entries []workflow.Entry) (documents []workflow.SID, err error) {
	var orders, addresses ordered[workflow.SID]
	for _, e := range entries {
		if e.Document == "" && e.Order != "" {
			orders.add(e.Order)
		}
		if e.Address != "" {
			addresses.add(e.Address)
		}
	}
	if len(orders.list) > 0 {
		rows, err := b.q.Holders(ctx, encode(orders.list))
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			b.holders[r.Key] = workflow.Holder{Document: r.DocumentSID, Account: r.AccountSID}
			documents = append(documents, r.DocumentSID)
		}
	}
	if len(addresses.list) > 0 {
		waiting, err := b.q.WaitingFor(ctx, encode(addresses.list))
		if err != nil {
			return nil, err
		}
		documents = append(documents, waiting...)
	}
	return documents, nil
}

// whoWaits lists the documents that wait, by the addresses that the entries are
// about.
func (b *batch) whoWaits(entries []workflow.Entry) map[workflow.SID][]workflow.SID {
	waiting := make(map[workflow.SID][]workflow.SID)
	for _, e := range entries {
		if e.Address != "" {
			waiting[e.Address] = nil
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	for sid, s := range b.states {
		if _, asked := waiting[s.Document.AddressSID]; asked && s.Document.Waits() {
			waiting[s.Document.AddressSID] = append(waiting[s.Document.AddressSID], sid)
		}
	}
	return waiting
}

// documentOf returns the document that an entry is about: the one that its
// subject names, or else the live document of the same account that lists its
// order. It is empty if there is none.
func (b *batch) documentOf(e workflow.Entry) workflow.SID {
	if e.Document != "" || e.Order == "" {
		return e.Document
	}
	h, ok := b.holders[string(e.Order)]
	if s := b.states[h.Document]; !ok || h.Account != e.Account || s == nil || s.Erased != 0 || s.Document.Status == workflow.Unseen {
		return ""
	}
	return h.Document
}

// tellWaiting lets the documents that wait for an address look again.
func (b *batch) tellWaiting(e workflow.Entry) {
	if e.Address == "" {
		return
	}
	waiting := slices.Clone(b.waiting[e.Address])
	slices.Sort(waiting) // all replicas in the same order
	for _, sid := range slices.Compact(waiting) {
		d := b.states[sid].Document
		if d.Waits() && d.AddressSID == e.Address && d.AccountSID == e.Account {
			b.about(sid, e)
		}
	}
}

// keepWaiting takes note of a document that waits, or does no longer.
func (b *batch) keepWaiting(before, after workflow.Document) {
	if slices.Equal(before.WaitsFor, after.WaitsFor) && before.AddressSID == after.AddressSID {
		return
	}
	for _, p := range before.WaitsFor {
		b.count(tally{tallyWaiting, string(p), ""}, -1)
	}
	for _, p := range after.WaitsFor {
		b.count(tally{tallyWaiting, string(p), ""}, 1)
	}
	if _, asked := b.waiting[after.AddressSID]; asked && after.Waits() {
		b.waiting[after.AddressSID] = append(b.waiting[after.AddressSID], after.SID)
	}
}

// loadOrders reads the orders and addresses that the entries and their documents
// name.
func (b *batch) loadOrders(ctx context.Context, entries []workflow.Entry) error {
	b.orders, b.addresses = make(map[workflow.SID]workflow.HostedOrder), make(map[workflow.SID]workflow.Address)
	if !b.beside.Load() {
		return nil // the log has named none so far
	}
	orders, addresses := b.named(entries)
	if len(orders) > 0 {
		rows, err := b.q.LoadOrders(ctx, encode(orders))
		if err != nil {
			return err
		}
		for _, r := range rows {
			o, err := hostedOrder(r)
			if err != nil {
				return err
			}
			b.orders[o.SID] = o
		}
	}
	if len(addresses) > 0 {
		rows, err := b.q.LoadAddresses(ctx, encode(addresses))
		if err != nil {
			return err
		}
		for _, r := range rows {
			a, err := address(r)
			if err != nil {
				return err
			}
			b.addresses[a.SID] = a
		}
	}
	return nil
}

// named lists the orders and addresses that the entries, their documents and
// events parked for these name.
func (b *batch) named(entries []workflow.Entry) (orders, addresses []workflow.SID) {
	var o, a ordered[workflow.SID]
	event := func(e workflow.Entry) {
		if e.Order != "" {
			o.add(e.Order)
		}
		if e.Address != "" {
			a.add(e.Address)
		}
		refs, address := []workflow.OrderRef(nil), workflow.SID("")
		switch body := e.Body.(type) {
		case workflow.Created:
			refs, address = body.Orders(), body.AddressSID
		case workflow.Updated:
			refs, _ = body.Orders()
			if body.AddressSID != nil {
				address = *body.AddressSID
			}
		}
		for _, ref := range refs {
			o.add(ref.SID)
		}
		if address != "" {
			a.add(address)
		}
	}
	for _, e := range entries {
		event(e)
	}
	for _, sid := range b.touched {
		s := b.state(sid)
		for _, order := range s.Document.Orders {
			o.add(order.SID)
		}
		if s.Document.AddressSID != "" {
			a.add(s.Document.AddressSID)
		}
		for _, p := range s.Parked {
			event(p.Entry)
		}
	}
	return o.list, a.list
}

// keepOrders keeps the orders and the address that a decision changed.
func (b *batch) keepOrders(d workflow.Decision) {
	for _, o := range d.Orders {
		b.orders[o.SID] = o
		b.ordersNew.add(o.SID)
	}
	if a := d.Address; a != nil {
		b.addresses[a.SID] = *a
		b.ordersNew.add(a.SID)
	}
}

// flushOrders writes the orders and addresses that are others now.
func (b *batch) flushOrders(ctx context.Context) error {
	if len(b.ordersNew.list) > 0 {
		b.beside.Store(true)
	}
	for _, sid := range b.ordersNew.list {
		err := error(nil)
		if o, ok := b.orders[sid]; ok {
			err = b.q.PutOrder(ctx, orderRow(o))
		} else {
			a := b.addresses[sid]
			err = b.q.PutAddress(ctx, sqlc.PutAddressParams{
				SID: a.SID, AccountSID: a.AccountSID, Listed: !a.Deleted, CustomerName: a.CustomerName, FriendlyName: a.FriendlyName,
				IsoCountry: a.ISOCountry, Emergency: a.EmergencyEnabled, Data: encode(a),
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func orderRow(o workflow.HostedOrder) sqlc.PutOrderParams {
	return sqlc.PutOrderParams{
		SID: o.SID, AccountSID: o.AccountSID, Listed: o.Listed(), Status: o.Status, PhoneNumber: o.PhoneNumber, FriendlyName: o.FriendlyName,
		UniqueName: o.UniqueName, IncomingPhoneNumberSID: o.IncomingPhoneNumberSID, Data: encode(o),
	}
}

func hostedOrder(data string) (o workflow.HostedOrder, err error) {
	if err = json.Unmarshal([]byte(data), &o); err != nil {
		err = fmt.Errorf("read an order: %w", err)
	}
	return o, err
}

func address(data string) (a workflow.Address, err error) {
	if err = json.Unmarshal([]byte(data), &a); err != nil {
		err = fmt.Errorf("read an address: %w", err)
	}
	return a, err
}

// Order reads an order of an account. It fails with workflow.ErrNotFound if the
// account has none with that sid: none was created, or it was deleted.
func (s *Store) Order(ctx context.Context, account, sid workflow.SID) (workflow.HostedOrder, error) {
	r, err := s.rq.GetOrder(ctx, sqlc.GetOrderParams{SID: sid, AccountSID: account})
	if err != nil {
		return workflow.HostedOrder{}, notFound(err, "order", sid)
	}
	return hostedOrder(r)
}

// Address reads an address of an account. It fails with workflow.ErrNotFound if
// the account has none with that sid: none was created, or it was deleted.
func (s *Store) Address(ctx context.Context, account, sid workflow.SID) (workflow.Address, error) {
	r, err := s.rq.GetAddress(ctx, sqlc.GetAddressParams{SID: sid, AccountSID: account})
	if err != nil {
		return workflow.Address{}, notFound(err, "address", sid)
	}
	return address(r)
}

func notFound(err error, what string, sid workflow.SID) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: %s %s", workflow.ErrNotFound, what, sid)
	}
	return fmt.Errorf("read %s %s: %w", what, sid, err)
}

// DependentOrders reads the orders of a document, in the document's sequence. Of
// an order that its account has not created, it is what the document says.
func (s *Store) DependentOrders(ctx context.Context, d workflow.Document) ([]workflow.HostedOrder, error) {
	sids := make([]workflow.SID, len(d.Orders))
	for i, o := range d.Orders {
		sids[i] = o.SID
	}
	rows, err := s.rq.LoadOrders(ctx, encode(sids))
	if err != nil {
		return nil, fmt.Errorf("read the orders of %s: %w", d.SID, err)
	}
	known := make(map[workflow.SID]workflow.HostedOrder, len(rows))
	for _, r := range rows {
		o, err := hostedOrder(r)
		if err != nil {
			return nil, err
		}
		if o.AccountSID == d.AccountSID && o.Listed() {
			known[o.SID] = o
		}
	}
	orders := make([]workflow.HostedOrder, len(d.Orders))
	for i, listed := range d.Orders {
		o, ok := known[listed.SID]
		if !ok {
			o = workflow.HostedOrder{
				SID: listed.SID, AccountSID: d.AccountSID, Document: d.SID, Status: listed.Status, Reason: listed.FailureReason,
				DateCreated: d.DateCreated, DateUpdated: d.DateUpdated,
				OrderContent: workflow.OrderContent{
					AddressSID: d.AddressSID, Email: d.Email, CCEmails: d.CCEmails, ContactTitle: d.ContactTitle, ContactPhoneNumber: d.ContactPhoneNumber,
				},
			}
		}
		o.PhoneNumber, o.CurrentCarrier = cmp.Or(o.PhoneNumber, listed.PhoneNumber), cmp.Or(o.CurrentCarrier, listed.CurrentCarrier)
		orders[i] = o
	}
	return orders, nil
}
