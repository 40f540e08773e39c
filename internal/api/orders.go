package api

import (
	"crypto/rand"
	"errors"
	"net/http"
	"slices"

	"countersign/db"
	"countersign/events"
	"countersign/workflow"
)

// deletable are the statuses in which an order can be deleted.
var deletable = []workflow.OrderStatus{
	workflow.OrderReceived, workflow.OrderPendingVerification, workflow.OrderVerified, workflow.OrderPendingLOA,
}

func (h *handler) listOrders(r *request) (answer, error) {
	q, filters := r.orderFilter(workflow.OrderStatuses)
	if r.route.generation == v2 {
		sms, get := r.params.filters("SmsCapability")
		if q.SMS = r.params.boolean("SmsCapability", codeRequest); get("SmsCapability") != "" {
			filters = append(filters, sms...)
		}
	}
	g := r.params.paging(r.route.generation.orders, "HR", filters)
	if err := r.params.err(); err != nil {
		return answer{}, err
	}
	q.Account, q.After, q.Before, q.Limit = r.account, g.after, g.before, g.size+1
	orders, err := h.Orders.Orders(r.ctx, q)
	if errors.Is(err, workflow.ErrNotFound) {
		return answer{}, errToken
	}
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, listed(h, g, orders,
		func(o workflow.HostedOrder) workflow.SID { return o.SID },
		func(o workflow.HostedOrder) any { return h.order(r.route.generation, o) })}, nil
}

func (h *handler) fetchOrder(r *request) (answer, error) {
	o, err := h.Orders.Order(r.ctx, r.account, r.sid)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, h.order(r.route.generation, o)}, nil
}

func (h *handler) createOrder(r *request) (answer, error) {
	b, err := r.params.orderCreated(r.route.generation, r.account)
	if err != nil {
		return answer{}, err
	}
	find := func(sid workflow.SID) error {
		_, err := h.Orders.Order(r.ctx, r.account, sid)
		return err
	}
	sid, id, err := h.identity(r, "HR", b, find)
	if err != nil {
		return answer{}, err
	}
	e := events.OrderCreated("", id, r.account, sid, b)
	if find(sid) != nil { // not a request with an Idempotency-Key that was sent before
		if err := h.fits(r, e, b.OrderContent); err != nil {
			return answer{}, err
		}
	}
	if err := h.append(r, e); err != nil {
		return answer{}, err
	}
	o, err := h.Orders.Order(r.ctx, r.account, sid)
	if err != nil {
		return answer{}, keyUsed(err)
	}
	return answer{http.StatusCreated, h.order(r.route.generation, o)}, nil
}

// fits reports why an order cannot be created: a value is invalid, the account does
// not have the address, or another of its orders has the number or the unique name.
func (h *handler) fits(r *request, e events.Event, c workflow.OrderContent) error {
	var p *workflow.Problem
	if errors.As(e.By(workflow.WriterAPI).Validate(), &p) {
		return r.invalid(p)
	}
	if err := h.knowsAddress(r, c.AddressSID); err != nil {
		return err
	}
	same, err := h.Orders.Orders(r.ctx, db.OrderQuery{Account: r.account, PhoneNumber: events.Ungrouped(c.PhoneNumber), Limit: maxPageSize})
	if err != nil {
		return err
	}
	hosted := func(o workflow.HostedOrder) bool { return o.Status != workflow.OrderFailed }
	if i := slices.IndexFunc(same, hosted); i >= 0 {
		return bad(codeNotHostable, "PhoneNumber cannot be hosted: order %s of this account has that number", same[i].SID)
	}
	return h.uniquelyNamed(r, c.UniqueName)
}

// uniquelyNamed reports whether another order of the account has a unique name.
func (h *handler) uniquelyNamed(r *request, name string) error {
	if name == "" {
		return nil
	}
	same, err := h.Orders.Orders(r.ctx, db.OrderQuery{Account: r.account, UniqueName: name, Limit: 2})
	if err != nil {
		return err
	}
	for _, o := range same {
		if o.SID != r.sid {
			return bad(codeUniqueName, "UniqueName is not valid: order %s of this account has that name", o.SID)
		}
	}
	return nil
}

// updateOrder changes an order: it appends the new content, then what verifies the
// number. If one is refused, those before it have happened.
func (h *handler) updateOrder(r *request) (answer, error) {
	before, err := h.Orders.Order(r.ctx, r.account, r.sid)
	if err != nil {
		return answer{}, err
	}
	b, err := r.params.orderUpdated(r.route.generation, before)
	if err != nil {
		return answer{}, err
	}
	step, err := h.verification(r, before, &b)
	if err != nil {
		return answer{}, err
	}
	if err := h.uniquelyNamed(r, value(b.UniqueName)); err != nil {
		return answer{}, err
	}
	var es []events.Event
	if b != (workflow.OrderUpdated{}) {
		es = append(es, events.OrderUpdated("", "update."+rand.Text(), r.account, r.sid, b))
	}
	if err := h.append(r, append(es, step...)...); err != nil {
		return answer{}, err
	}
	after, err := h.Orders.Order(r.ctx, r.account, r.sid)
	switch {
	case err != nil:
		return answer{}, err
	case r.appended > 0 && after.Verification.Wrong == r.appended:
		return answer{}, bad(codeWrongCode, "VerificationCode is wrong, or older than %d minutes; %d of %d attempts are left",
			int(workflow.CodeLifetime.Minutes()), workflow.MaxAttempts-after.Verification.Attempts, workflow.MaxAttempts)
	}
	return answer{http.StatusOK, h.order(r.route.generation, after)}, nil
}

// removeOrder is the DELETE of both generations: nothing of the order is kept.
func (h *handler) removeOrder(r *request) (answer, error) {
	o, err := h.Orders.Order(r.ctx, r.account, r.sid)
	if err != nil {
		return answer{}, err
	}
	if !slices.Contains(deletable, o.Status) {
		return answer{}, bad(codeOrderMove, "The order cannot be deleted: it is %s. An order can be deleted in one of %q", o.Status, deletable)
	}
	err = h.append(r, events.OrderDeleted("", "delete."+rand.Text(), r.account, r.sid, workflow.OrderDeleted{Reason: "deleted through the API"}))
	return answer{status: http.StatusNoContent}, err
}

// knows fails if a document names an order or an address that the account has not
// created, and the API accepts only what is known.
func (h *handler) knows(r *request, orders []workflow.SID, address workflow.SID) error {
	if !h.OnlyKnown {
		return nil
	}
	if err := h.knowsOrders(r, orders); err != nil {
		return err
	}
	return h.knowsAddress(r, address)
}

// knowsOrders fails unless the account has created all the orders.
func (h *handler) knowsOrders(r *request, sids []workflow.SID) error {
	if len(sids) == 0 {
		return nil
	}
	d := workflow.Document{AccountSID: r.account, Orders: make([]workflow.Order, len(sids))}
	for i, sid := range sids {
		d.Orders[i].SID = sid
	}
	read, err := h.Orders.DependentOrders(r.ctx, d)
	if err != nil {
		return err
	}
	for _, o := range read {
		if o.Listed() {
			continue
		}
		switch _, err := h.Orders.Order(r.ctx, r.account, o.SID); {
		case errors.Is(err, workflow.ErrNotFound):
			return bad(codeOrderSIDs, "HostedNumberOrderSids is not valid: this account has no order %s; create it first", o.SID)
		case err != nil:
			return err
		}
	}
	return nil
}

// knowsAddress fails unless the account has created the address, if there is one.
func (h *handler) knowsAddress(r *request, sid workflow.SID) error {
	if sid == "" {
		return nil
	}
	_, err := h.Addresses.Address(r.ctx, r.account, sid)
	if errors.Is(err, workflow.ErrNotFound) {
		return bad(codeAddress, "AddressSid is not valid: this account has no address %s; create it first", sid)
	}
	return err
}

// value returns what p points at, or nothing.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
