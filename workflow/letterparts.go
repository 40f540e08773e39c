package workflow

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// LetterPart is something that a letter can be required to name before it is
// sent.
type LetterPart string

// The parts that can be required.
const (
	PartNumber     LetterPart = "number"     // the telephone number of each order
	PartSubscriber LetterPart = "subscriber" // whose numbers they are
	PartAddress    LetterPart = "address"    // the service address
	PartTitle      LetterPart = "title"      // contact_title
	PartPhone      LetterPart = "phone"      // contact_phone_number
)

// LetterParts lists every part that can be required.
var LetterParts = []LetterPart{PartNumber, PartSubscriber, PartAddress, PartTitle, PartPhone}

// TypeIncomplete is the CloudEvents type of the announcement that a letter has
// lacked something for too long.
const TypeIncomplete = "authorization_document.incomplete"

// Incomplete announces that a document has waited for the parking limit for
// something that its letter must name. The document waits on.
type Incomplete struct {
	Round    int          `json:"round"`     // the document's round
	WaitsFor []LetterPart `json:"waits_for"` // what is missing
	Since    time.Time    `json:"since"`     // when the document was to be sent
}

// Type implements Body.
func (Incomplete) Type() string { return TypeIncomplete }

// Waits reports whether the document will be sent as soon as its letter is
// complete.
func (d *Document) Waits() bool { return len(d.WaitsFor) > 0 }

// lacks says what the document waits for.
func (d *Document) lacks() string {
	parts := make([]string, len(d.WaitsFor))
	for i, p := range d.WaitsFor {
		parts[i] = string(p)
	}
	return "the letter lacks: " + strings.Join(parts, ", ")
}

// missing lists what is required of the document's letter and not known.
func (d *decider) missing(doc Document) (parts []LetterPart) {
	for _, p := range d.facts.Requires {
		lacks := false
		switch p {
		case PartNumber:
			lacks = slices.ContainsFunc(doc.Orders, func(o Order) bool { return o.PhoneNumber == "" })
		case PartSubscriber:
			lacks = doc.Subscriber == ""
		case PartAddress:
			lacks = doc.ServiceAddress == ServiceAddress{}
		case PartTitle:
			lacks = doc.ContactTitle == ""
		case PartPhone:
			lacks = doc.ContactPhoneNumber == ""
		}
		if lacks {
			parts = append(parts, p)
		}
	}
	return parts
}

// filled returns the document with what is known of its orders and its address
// and what it does not say itself.
func (d *decider) filled(doc Document) Document {
	orders := slices.Clone(doc.Orders)
	for i := range orders {
		if o, ok := d.order(orders[i].SID); ok && o.AccountSID == doc.AccountSID {
			orders[i] = orders[i].filled(o)
		}
	}
	doc.Orders = orders
	a, ok := d.facts.Addresses[doc.AddressSID]
	if !ok || a.AccountSID != doc.AccountSID || a.Deleted {
		return doc
	}
	if (doc.Subscriber == "" || doc.SubscriberFrom != "") && a.CustomerName != "" {
		doc.Subscriber, doc.SubscriberFrom = a.CustomerName, a.SID
	}
	if at := a.ServiceAddress(); (doc.ServiceAddress == ServiceAddress{} || doc.ServiceAddressFrom != "") && at != (ServiceAddress{}) {
		doc.ServiceAddress, doc.ServiceAddressFrom = at, a.SID
	}
	return doc
}

// filled returns the order with what its own events say and its document does
// not.
func (o Order) filled(own HostedOrder) Order {
	if (o.PhoneNumber == "" || o.NumberFromOrder) && own.PhoneNumber != "" {
		o.PhoneNumber, o.NumberFromOrder = own.PhoneNumber, true
	}
	if (o.CurrentCarrier == "" || o.CarrierFromOrder) && own.CurrentCarrier != "" {
		o.CurrentCarrier, o.CarrierFromOrder = own.CurrentCarrier, true
	}
	return o
}

// forgetAddress forgets what came from the address if the event names another
// one, or says itself what came from it.
func (d *Document) forgetAddress(b Updated) {
	if d.SubscriberFrom != "" && (b.Subscriber != nil || d.SubscriberFrom != d.AddressSID) {
		d.Subscriber, d.SubscriberFrom = "", ""
	}
	if d.ServiceAddressFrom != "" && (b.ServiceAddress != nil || d.ServiceAddressFrom != d.AddressSID) {
		d.ServiceAddress, d.ServiceAddressFrom = ServiceAddress{}, ""
	}
}

// proceed sends a document that waits, once its letter lacks nothing more.
func (d *decider) proceed() {
	doc := &d.state.Document
	if !doc.Waits() {
		return
	}
	next := d.filled(*doc)
	next.WaitsFor = d.missing(next)
	if next.Same(*doc) {
		return
	}
	next.DateUpdated = d.now
	*doc, d.changed = next, true
	if doc.Waits() {
		d.note("waiting", doc.lacks())
		return
	}
	d.note("complete", fmt.Sprintf("round %d will be sent", doc.Round))
	d.stop(TimerWaiting)
	d.askAt(d.nextAsk(true))
}

// incomplete announces that the document has waited for long.
func (d *decider) incomplete() {
	doc := &d.state.Document
	b := Incomplete{Round: doc.Round, WaitsFor: doc.WaitsFor, Since: d.now.Add(-d.facts.ParkingLimit)}
	d.note(b.Type(), doc.lacks())
	d.owe(fmt.Sprintf("incomplete.%d", doc.Round), b, d.now)
}

// relist puts an order on the document at i. If the letter that is out names
// another number, a new round begins, because the signer must see what is signed.
func (d *decider) relist(i int, o Order) {
	doc := &d.state.Document
	renumbered := doc.out() && doc.Orders[i].PhoneNumber != "" && doc.Orders[i].PhoneNumber != o.PhoneNumber
	if renumbered {
		status := doc.Orders[i].Status
		d.reopen()
		if o.Status == status {
			o.Status = doc.Orders[i].Status
		}
	}
	orders := slices.Clone(doc.Orders)
	orders[i] = o
	doc.Orders, doc.DateUpdated = orders, d.now
	if renumbered {
		d.send()
	}
}

// before reports whether an order reaches status s before it reaches other.
// OrderFailed and OrderActionRequired have no place in the sequence.
func (s OrderStatus) before(other OrderStatus) bool {
	sequence := OrderStatuses[:slices.Index(OrderStatuses, OrderFailed)]
	i, j := slices.Index(sequence, s), slices.Index(sequence, other)
	return i >= 0 && j >= 0 && i < j
}

// ownStatus is the status of an order that is on no live document.
func (d *decider) ownStatus(sid SID) OrderStatus {
	account := d.cause.Account
	if d.state.Document.AccountSID != "" {
		account = d.state.Document.AccountSID
	}
	if o, ok := d.order(sid); ok && o.AccountSID == account && o.Own != "" {
		return o.Own
	}
	return OrderReceived
}

// returnOrders takes the orders back to where they were before the letter went
// out.
func (d *decider) returnOrders() {
	doc := &d.state.Document
	orders := slices.Clone(doc.Orders)
	for i := range orders {
		if orders[i].Status == OrderPendingLOA {
			orders[i].Status = d.ownStatus(orders[i].SID)
		}
	}
	doc.Orders = orders
}

// mirror keeps in the orders that have events of their own which live document
// lists them, and with which status.
func (d *decider) mirror(before Document) {
	doc := d.state.Document
	if before.Status == doc.Status && slices.Equal(before.Orders, doc.Orders) {
		return
	}
	for _, list := range [][]Order{before.Orders, doc.Orders} {
		for _, listed := range list {
			o, ok := d.order(listed.SID)
			if !ok || o.AccountSID != doc.AccountSID {
				continue
			}
			next := o
			if next.lie(doc); !next.same(o) {
				next.DateMoved = d.now
				if next.Document == "" {
					next.DateMoved = time.Time{}
				}
				d.keepOrder(next)
			}
		}
	}
}

// lie sets the order's status by a document: the one that lists it, or one that
// has listed it. After that, nothing of the document is left.
func (o *HostedOrder) lie(doc Document) {
	i := doc.order(o.SID)
	switch {
	case i >= 0 && !doc.Status.Released():
		o.Document, o.Status, o.Reason = doc.SID, doc.Orders[i].Status, doc.Orders[i].FailureReason
	case o.Document == doc.SID:
		o.Document, o.Status, o.Reason, o.DateMoved = "", o.Own, o.OwnReason, time.Time{}
	}
}

// Free returns an order of the erased document as it is without the document.
func (b Erased) Free(o HostedOrder) HostedOrder {
	if b.Status == Signed {
		o.Own, o.OwnReason = OrderFailed, ""
		if slices.Contains(b.Completed, o.SID) {
			o.Own = OrderCompleted
		}
	}
	if o.Document == b.DocumentSID || o.Document == "" {
		o.Document, o.Status, o.Reason, o.DateMoved = "", o.Own, o.OwnReason, time.Time{}
	}
	return o
}
