package workflow

import (
	"fmt"
	"slices"
)

// Orders returns the orders that the document authorizes: the union of its sids
// and its references, sids first, each once.
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

// NamedKeys lists the keys (order sids and telephone numbers) that an event
// could put on its document d, or on the document that lists its order: Facts
// must have their holders for Decide. orders is what the log knows of the orders
// that the event names.
func NamedKeys(d Document, e Entry, orders map[SID]HostedOrder) (keys []string) {
	number := func(n string) {
		if n != "" {
			keys = append(keys, n)
		}
	}
	add := func(refs []OrderRef) {
		for _, ref := range refs {
			keys = append(keys, string(ref.SID))
			number(ref.PhoneNumber)
			number(orders[ref.SID].PhoneNumber)
		}
	}
	if e.apart() && e.Order != "" {
		keys = append(keys, string(e.Order))
		number(orders[e.Order].PhoneNumber)
	}
	switch b := e.Body.(type) {
	case OrderCreated:
		number(b.PhoneNumber)
	case OrderUpdated:
		if b.PhoneNumber != nil {
			number(*b.PhoneNumber)
		}
	case Created:
		add(b.Orders())
	case Updated:
		refs, _ := b.Orders()
		add(refs)
	case OrderStatusChanged:
		number(b.PhoneNumber)
		// An order that failed takes its number again.
		if i := d.order(b.Order); i >= 0 {
			number(d.Orders[i].PhoneNumber)
		}
	}
	return keys
}

// HeldKeys lists the keys that no other document may have while d has them: its
// orders' sids, and the telephone numbers of those orders that are under way or
// completed. A canceled or failed document has none.
func HeldKeys(d Document) (keys []string) {
	if d.Status.Released() {
		return nil
	}
	seen := make(map[string]bool, 2*len(d.Orders))
	for _, o := range d.Orders {
		keys = append(keys, string(o.SID))
		if n := d.heldNumber(o); n != "" && !seen[n] {
			seen[n] = true
			keys = append(keys, n)
		}
	}
	return keys
}

// heldNumber is the order's number unless a new letter may name it: the order
// failed, or the signed letter became too old before the order was completed.
func (d Document) heldNumber(o Order) string {
	if o.Status == OrderFailed || d.LetterStale && o.Status != OrderCompleted {
		return ""
	}
	return o.PhoneNumber
}

// Holder is a live document that has an order or a telephone number.
type Holder struct{ Document, Account SID }

// taken returns the problem of the first order of next that is on another live
// document, itself or by its number, or nil. The other document is named only
// within its account.
func (d *decider) taken(e Entry, next Document) *Problem {
	for _, o := range next.Orders {
		if h := d.holderOf(e, CodeOrderTaken, o.SID, string(o.SID)); h.Document != "" && h.Document != next.SID {
			p := problem(CodeOrderTaken, "data.hosted_number_order_sids",
				"order %s is on %s; cancel that one first, or leave the order out", o.SID, otherDocument(next, h))
			return d.refuseFor(p, o.SID, next, h)
		}
		number := next.heldNumber(o)
		if number == "" {
			continue
		}
		if h := d.holderOf(e, CodeNumberTaken, o.SID, number); h.Document != "" && h.Document != next.SID {
			field := "data.hosted_number_orders"
			if _, ok := e.Body.(OrderStatusChanged); ok {
				field = "data.phone_number"
			}
			p := problem(CodeNumberTaken, field,
				"the telephone number of order %s is on %s; cancel that one first, or leave the order out", o.SID, otherDocument(next, h))
			return d.refuseFor(p, o.SID, next, h)
		}
	}
	return nil
}

// holderOf is the other document that has the key of an order. If the document
// that blocked the event has been erased, it is that one.
func (d *decider) holderOf(e Entry, code Code, order SID, key string) Holder {
	if b := d.facts.Blocked[e.Sequence]; b.Order == order && b.Code == code {
		return b.Holder
	}
	return d.facts.Holders[key]
}

func otherDocument(d Document, h Holder) string {
	if h.Account != d.AccountSID {
		return "a document of another account"
	}
	return "document " + string(h.Document)
}

// refuseFor completes the problem of an order of next that the holder has.
func (d *decider) refuseFor(p *Problem, order SID, next Document, h Holder) *Problem {
	d.holder = h.Document
	p.Order = order
	if h.Account == next.AccountSID {
		p.Document = h.Document
	}
	return p
}

// list makes the orders of a document from references. An order that was on it
// before keeps its status and, if none is given, its number and carrier.
func (d *decider) list(before []Order, refs []OrderRef) []Order {
	old := make(map[SID]Order, len(before))
	for _, o := range before {
		old[o.SID] = o
	}
	out := make([]Order, len(refs))
	for i, ref := range refs {
		o, ok := old[ref.SID]
		if !ok {
			o = Order{SID: ref.SID, Status: d.ownStatus(ref.SID)}
		}
		if ref.PhoneNumber != "" {
			o.PhoneNumber, o.NumberFromOrder = ref.PhoneNumber, false
		}
		if ref.CurrentCarrier != "" {
			o.CurrentCarrier, o.CarrierFromOrder = ref.CurrentCarrier, false
		}
		out[i] = o
	}
	return out
}

// orderStatus applies the order service's report.
func (d *decider) orderStatus(e Entry, b OrderStatusChanged) *Problem {
	if e.apart() {
		return d.reportOrder(e, b)
	}
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
		o.PhoneNumber, o.NumberFromOrder = b.PhoneNumber, false
	}
	changed, p := d.report(e, i, o, b)
	d.same = !changed
	return p
}

// report puts what is reported of an order on the document that lists it at i,
// and says whether that changes the document.
func (d *decider) report(e Entry, i int, o Order, b OrderStatusChanged) (changed bool, _ *Problem) {
	doc := &d.state.Document
	next := *doc
	next.Orders = slices.Clone(doc.Orders)
	next.Orders[i] = o
	if p := d.taken(e, next); p != nil {
		return false, p
	}
	tooOld := b.LetterTooOld && doc.Status == Signed && !doc.LetterStale
	if o == doc.Orders[i] && !tooOld {
		return false, nil
	}
	d.note(b.Type(), fmt.Sprintf("%s is %s", o.SID, o.Status))
	d.relist(i, o)
	if tooOld {
		d.stale(StaleByReport)
	} else if doc.Status == Signed {
		d.watchFreshness(d.cause.Sequence)
	}
	return true, nil
}

// registered notes that the register event of an order is on the log.
func (d *decider) registered(_ Entry, b Register) {
	doc := &d.state.Document
	i := doc.order(b.OrderSID)
	if i < 0 || doc.Status != Signed {
		d.same = true
		return
	}
	if doc.Orders[i].Status.before(OrderCarrierProcessing) {
		orders := append([]Order(nil), doc.Orders...)
		orders[i].Status = OrderCarrierProcessing
		doc.Orders, doc.DateUpdated = orders, d.now
	}
	d.note(b.Type(), string(b.OrderSID))
}
