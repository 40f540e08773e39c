package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"countersign/db"
	"countersign/events"
	"countersign/workflow"
)

// makeRequires chooses what letters must name.
func (w *world) makeRequires() {
	if !w.besides() {
		return
	}
	if w.chance(2) {
		w.plan.requires = [][]workflow.LetterPart{
			{workflow.PartNumber}, {workflow.PartNumber, workflow.PartSubscriber}, {workflow.PartAddress},
		}[w.rng.IntN(3)]
	}
}

// besides reports whether the schedule has events of orders and addresses. If the
// order of emails is broken, what the letter waits for would decide it by chance.
func (w *world) besides() bool { return w.broken != noMailOrder }

// beside says something of the document's orders and address on their own
// subjects. It may reach the log before the document, between its events or
// after it.
func (a *author) beside(orders []workflow.SID) {
	w := a.w
	order := orders[w.rng.IntN(len(orders))]
	number := phoneNumber(w.rng.IntN(6))
	address := sid("AD", 1+w.rng.IntN(2))
	switch w.rng.IntN(8) {
	case 0, 1:
		a.add(events.OrderCreated("/numbers", a.id(), account, order, workflow.OrderCreated{OrderContent: workflow.OrderContent{
			PhoneNumber: number, CurrentCarrier: "Pacific Voice", Email: fmt.Sprintf("owner%d@example.com", a.d),
		}}))
	case 2:
		a.add(events.OrderUpdated("/numbers", a.id(), account, order, workflow.OrderUpdated{PhoneNumber: new(number)}))
	case 3:
		b := workflow.OrderStatusChanged{Status: workflow.OrderStatuses[w.rng.IntN(len(workflow.OrderStatuses))]}
		if w.chance(2) {
			b.PhoneNumber = number
		}
		a.add(events.OrderReported("/numbers", a.id(), account, order, b))
	case 4:
		a.add(events.AddressCreated("/numbers", a.id(), account, address, workflow.AddressCreated{AddressContent: workflow.AddressContent{
			CustomerName: fmt.Sprint("Customer ", a.n), Street: "1 Main Street", City: "Oakland",
		}}))
	case 5:
		a.add(events.AddressUpdated("/numbers", a.id(), account, address, workflow.AddressUpdated{CustomerName: new(fmt.Sprint("Customer ", a.n))}))
	case 6:
		a.add(events.Verify("/numbers", a.id(), account, order, workflow.Verify{Method: workflow.VerifyByCall, Code: "480213"}))
		a.add(events.VerificationReported("/numbers", a.id(), account, order, workflow.VerificationReported{Code: []string{"480213", "111111"}[w.rng.IntN(2)]}))
	case 7:
		if w.chance(4) {
			a.add(events.OrderDeleted("/numbers", a.id(), account, order, workflow.OrderDeleted{}))
			a.add(events.AddressDeleted("/numbers", a.id(), account, address, workflow.AddressDeleted{}))
		}
	}
}

// judgeLetter checks that a letter that is out names what it must, and that a
// document waits only for what is not known.
func (w *world) judgeLetter(store *db.Store, d workflow.Document) {
	lacks := map[workflow.LetterPart]bool{
		workflow.PartNumber:     slices.ContainsFunc(d.Orders, func(o workflow.Order) bool { return o.PhoneNumber == "" }),
		workflow.PartSubscriber: d.Subscriber == "",
		workflow.PartAddress:    d.ServiceAddress == workflow.ServiceAddress{},
	}
	for _, p := range w.plan.requires {
		out := d.Status == workflow.Signing || d.Status == workflow.Signed
		if waits := slices.Contains(d.WaitsFor, p); out && lacks[p] || waits != (lacks[p] && d.Waits()) {
			w.violated("I13", "%s is %s, waits for %v, and its letter lacks %v", d.SID, d.Status, d.WaitsFor, lacks)
		}
	}
	if !d.Waits() {
		return
	}
	for _, o := range d.Orders {
		known, err := store.Order(context.Background(), d.AccountSID, o.SID)
		if err != nil && !errors.Is(err, workflow.ErrNotFound) {
			must(err)
		}
		if o.PhoneNumber == "" && known.PhoneNumber != "" {
			w.violated("I13", "%s waits for the number of %s, which is %s", d.SID, o.SID, known.PhoneNumber)
		}
	}
	a, err := store.Address(context.Background(), d.AccountSID, d.AddressSID)
	if err != nil && !errors.Is(err, workflow.ErrNotFound) {
		must(err)
	}
	if lacks[workflow.PartSubscriber] && a.CustomerName != "" {
		w.violated("I13", "%s waits for its subscriber, and its address is %s's", d.SID, a.CustomerName)
	}
}

// judgeOrders checks that each order says where it is: on the live document that
// lists it, with its status there, or on none.
func (w *world) judgeOrders(store *db.Store, documents []workflow.Document) {
	orders, err := store.Orders(context.Background(), db.OrderQuery{Account: account, Limit: 1000})
	must(err)
	for _, o := range orders {
		on, status := workflow.SID(""), o.Own
		for _, d := range documents {
			if i := slices.IndexFunc(d.Orders, func(l workflow.Order) bool { return l.SID == o.SID }); i >= 0 && !d.Status.Released() {
				on, status = d.SID, d.Orders[i].Status
			}
		}
		if o.Document != on || o.Status != status {
			w.violated("I13", "order %s is %s on %q; it must be %s on %q", o.SID, o.Status, o.Document, status, on)
		}
	}
}
