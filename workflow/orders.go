package workflow

import "fmt"

// Orders returns the orders that the document is to authorize: the union of
// its sids and its references, sids first, each once.
func (c Created) Orders() []OrderRef {
	return union(c.HostedNumberOrderSIDs, c.HostedNumberOrders)
}

// Orders returns the new list of orders, and whether the event has one.
func (u Updated) Orders() ([]OrderRef, bool) {
	if u.HostedNumberOrderSIDs == nil && u.HostedNumberOrders == nil {
		return nil, false
	}
	var sids []SID
	var refs []OrderRef
	if u.HostedNumberOrderSIDs != nil {
		sids = *u.HostedNumberOrderSIDs
	}
	if u.HostedNumberOrders != nil {
		refs = *u.HostedNumberOrders
	}
	return union(sids, refs), true
}

func union(sids []SID, refs []OrderRef) []OrderRef {
	at := make(map[SID]int, len(sids)+len(refs))
	out := make([]OrderRef, 0, len(sids)+len(refs))
	for _, sid := range sids {
		if _, seen := at[sid]; !seen {
			at[sid] = len(out)
			out = append(out, OrderRef{SID: sid})
		}
	}
	for _, ref := range refs {
		if i, seen := at[ref.SID]; seen {
			out[i] = ref
			continue
		}
		at[ref.SID] = len(out)
		out = append(out, ref)
	}
	return out
}

// OrdersNamed lists the orders that an event would put on its document: those
// whose holders Decide must be told in Facts.
func OrdersNamed(b Body) []SID {
	var refs []OrderRef
	switch b := b.(type) {
	case Created:
		refs = b.Orders()
	case Updated:
		refs, _ = b.Orders()
	}
	sids := make([]SID, len(refs))
	for i, ref := range refs {
		sids[i] = ref.SID
	}
	return sids
}

// taken returns the problem of the first order that is on another live
// document, or nil.
func (d *decider) taken(e Entry, refs []OrderRef) *Problem {
	doc, blocked := d.state.Document.SID, d.facts.Blocked[e.Sequence]
	for _, ref := range refs {
		holder := d.facts.Holders[ref.SID]
		if ref.SID == blocked.Order {
			holder = blocked.Document
		}
		if holder != "" && holder != doc {
			p := problem(CodeOrderTaken, "data.hosted_number_order_sids",
				"order %s is on document %s; cancel that one first, or leave the order out", ref.SID, holder)
			p.Order, p.Document = ref.SID, holder
			return p
		}
	}
	return nil
}

// list makes the orders of a document from references. An order that was on it
// before keeps its status and, where none is given, its number and carrier.
func list(before []Order, refs []OrderRef) []Order {
	old := make(map[SID]Order, len(before))
	for _, o := range before {
		old[o.SID] = o
	}
	out := make([]Order, len(refs))
	for i, ref := range refs {
		o, ok := old[ref.SID]
		if !ok {
			o = Order{SID: ref.SID, Status: OrderReceived}
		}
		if ref.PhoneNumber != "" {
			o.PhoneNumber = ref.PhoneNumber
		}
		if ref.CurrentCarrier != "" {
			o.CurrentCarrier = ref.CurrentCarrier
		}
		out[i] = o
	}
	return out
}

// orderStatus applies the order service's report.
func (d *decider) orderStatus(b OrderStatusChanged) *Problem {
	doc := &d.state.Document
	i := doc.order(b.Order)
	switch {
	case i < 0:
		return problem(CodeOrderUnknown, "subject", "order %s is not on document %s", b.Order, doc.SID)
	case doc.Status.Released():
		return problem(CodeOrderUnknown, "subject", "document %s is %s and has released its orders", doc.SID, doc.Status)
	}
	o := doc.Orders[i]
	o.Status, o.FailureReason = b.Status, b.FailureReason
	if b.PhoneNumber != "" {
		o.PhoneNumber = b.PhoneNumber
	}
	tooOld := b.LetterTooOld && doc.Status == Signed && !doc.LetterStale
	if o == doc.Orders[i] && !tooOld {
		d.same = true
		return nil
	}
	orders := append([]Order(nil), doc.Orders...)
	orders[i] = o
	doc.Orders, doc.DateUpdated = orders, d.now
	d.note(b.Type(), fmt.Sprintf("%s is %s", b.Order, b.Status))
	if tooOld {
		d.stale(StaleByReport)
	} else if doc.Status == Signed {
		d.watchFreshness(d.cause.Sequence)
	}
	return nil
}

// registered notes that an order's register event stands on the log.
func (d *decider) registered(b Register) {
	doc := &d.state.Document
	i := doc.order(b.OrderSID)
	if i < 0 || doc.Status != Signed {
		d.same = true
		return
	}
	if s := doc.Orders[i].Status; s == OrderPendingLOA || s == OrderReceived {
		orders := append([]Order(nil), doc.Orders...)
		orders[i].Status = OrderCarrierProcessing
		doc.Orders, doc.DateUpdated = orders, d.now
	}
	d.note(b.Type(), string(b.OrderSID))
}
