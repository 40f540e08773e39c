package db_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/db"
	"countersign/workflow"
)

// desk applies entries to a store, and does what the store says is pending, as
// workers do.
type desk struct {
	t *testing.T
	s *db.Store
	w writer
}

func newDesk(t *testing.T, requires ...workflow.LetterPart) *desk {
	t.Helper()
	d := &desk{t: t, s: open(t, t.TempDir())}
	d.w.add("", "_.rules.activated", workflow.RulesActivated{Version: 1, ParkingLimitSeconds: 3600, LetterRequires: requires})
	d.fold()
	return d
}

// fold applies what was written since.
func (d *desk) fold() {
	d.t.Helper()
	apply(d.t, d.s, d.w.entries[d.s.Position().Sequence:]...)
}

func (d *desk) now() time.Time {
	return start.Add(time.Duration(len(d.w.entries)+1) * 1234567 * time.Nanosecond)
}

// settle appends pending events, sends emails, and signs what is out, until
// nothing is pending.
func (d *desk) settle(sign bool) {
	d.t.Helper()
	for range 100 {
		d.fold()
		events, err := d.s.DueEvents(d.t.Context(), d.now(), d.now(), 0, 1000)
		if err != nil {
			d.t.Fatal(err)
		}
		for _, o := range events {
			d.w.add(o.Document, strings.TrimPrefix(o.Subject(), workflow.SubjectPrefix), o.Body)
			e := &d.w.entries[len(d.w.entries)-1]
			e.Account, e.Source, e.ID = o.Account, workflow.Source, strings.TrimPrefix(o.Subject(), workflow.SubjectPrefix)
		}
		mails, err := d.s.DueMails(d.t.Context(), d.now(), nil, 20)
		if err != nil {
			d.t.Fatal(err)
		}
		for _, m := range mails {
			d.w.mails(workflow.Accepted, m.ID)
		}
		if len(events)+len(mails) > 0 {
			continue
		}
		if doc, err := d.s.Document(d.t.Context(), px(1)); err == nil && doc.Status == workflow.Signing && sign {
			d.w.status(1, workflow.Signed)
			continue
		}
		return
	}
	d.t.Fatal("it never rests")
}

func (d *desk) document() workflow.Document {
	d.t.Helper()
	doc, err := d.s.Document(d.t.Context(), px(1))
	if err != nil {
		d.t.Fatal(err)
	}
	return doc
}

// content is a document that says nothing about its numbers, its subscriber and
// its address.
func (d *desk) content() {
	d.w.add(px(1), string(account)+"."+string(px(1))+".created", workflow.Created{
		AddressSID: ad(1), Email: "owner@example.com", CCEmails: []string{"cc@example.com"}, HostedNumberOrderSIDs: []workflow.SID{hr(1), hr(2)},
	})
}

// TestStoreApply_LetterIsCompletedInAnyOrder: the events of a document, of its
// orders and of its address end alike in every order: the letter names all that
// is known, each recipient gets one email of a kind, and each order is
// registered once.
func TestStoreApply_LetterIsCompletedInAnyOrder(t *testing.T) {
	steps := []func(*desk){
		(*desk).content,
		func(d *desk) { d.w.order(1, "created", orderContent(1)) },
		func(d *desk) {
			d.w.order(2, "status", workflow.OrderStatusChanged{Order: hr(2), Status: workflow.OrderVerified, PhoneNumber: "+14155550002"})
		},
		func(d *desk) { d.w.address(1, "created", addressContent(1)) },
		func(d *desk) {
			d.w.add(px(1), string(account)+"."+string(px(1))+".updated", workflow.Updated{ContactTitle: new("Owner")})
		},
	}
	var first string
	rng := rand.New(rand.NewPCG(1, 14))
	tried := 0
	permutations(len(steps), func(order []int) {
		tried++
		d := newDesk(t, workflow.LetterParts[:4]...)
		for i, n := range order {
			steps[n](d)
			if rng.IntN(2) == 0 || i == len(order)-1 {
				d.settle(false)
			}
			if rng.IntN(3) == 0 { // the same event again
				again := d.w.entries[rng.IntN(len(d.w.entries))]
				d.w.add(again.Document, again.Subject, again.Body)
				e := &d.w.entries[len(d.w.entries)-1]
				again.Sequence, again.Time = e.Sequence, e.Time
				*e = again
			}
		}
		d.settle(true)
		if got := d.end(); first == "" {
			first = got
		} else if diff := cmp.Diff(first, got); diff != "" {
			t.Fatalf("order %v (-first +this)\n%s", order, diff)
		}
	})
	if tried != 120 || !strings.Contains(first, "+14155550001 +14155550002 subscriber Customer 1") || strings.Count(first, "register") != 2 {
		t.Errorf("%d orders were tried, and ended as\n%s", tried, first)
	}
}

// end is where the document, its emails, its events and its orders are.
func (d *desk) end() string {
	d.t.Helper()
	life, err := d.s.Life(d.t.Context(), px(1))
	if err != nil {
		d.t.Fatal(err)
	}
	doc := life.Document
	lines := []string{fmt.Sprintf("%s round %d, %s %s subscriber %s at %v, waits for %v", doc.Status, doc.Round, doc.Orders[0].PhoneNumber, doc.Orders[1].PhoneNumber,
		doc.Subscriber, doc.ServiceAddress, doc.WaitsFor)}
	for _, m := range life.Mails {
		lines = append(lines, fmt.Sprintf("mail %s %s", m.ID, m.State))
	}
	for _, e := range life.Events {
		if _, ok := e.Body.(workflow.Register); ok {
			lines = append(lines, fmt.Sprintf("%s %+v", e.State, e.What))
		}
	}
	orders, err := d.s.DependentOrders(d.t.Context(), *doc)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, o := range orders {
		lines = append(lines, fmt.Sprintf("%s is %s with %s on %s", o.SID, o.Status, o.PhoneNumber, o.Document))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func permutations(n int, f func([]int)) {
	var rec func([]int)
	rec = func(order []int) {
		if len(order) == n {
			f(order)
			return
		}
		for i := range n {
			if !slices.Contains(order, i) {
				rec(append(slices.Clone(order), i))
			}
		}
	}
	rec(nil)
}

func TestStoreApply_DocumentSaysWhatItWaitsFor(t *testing.T) {
	d := newDesk(t, workflow.PartNumber, workflow.PartSubscriber)
	d.content()
	d.settle(false)
	if doc := d.document(); doc.Status != workflow.Opened || doc.Hold || fmt.Sprint(doc.WaitsFor) != "[number subscriber]" {
		t.Errorf("%s, held %t, waits for %v", doc.Status, doc.Hold, doc.WaitsFor)
	}
	counts := func() map[workflow.LetterPart]int {
		c, err := d.s.Counts(t.Context(), d.now())
		if err != nil {
			t.Fatal(err)
		}
		return c.Waiting
	}
	if diff := cmp.Diff(map[workflow.LetterPart]int{workflow.PartNumber: 1, workflow.PartSubscriber: 1}, counts()); diff != "" {
		t.Errorf("counted (-want +got)\n%s", diff)
	}
	d.w.order(1, "created", orderContent(1))
	d.w.order(2, "created", orderContent(2))
	d.settle(false)
	if doc := d.document(); doc.Status != workflow.Opened || fmt.Sprint(doc.WaitsFor) != "[subscriber]" {
		t.Errorf("with its numbers: %s, waits for %v", doc.Status, doc.WaitsFor)
	}
	d.w.address(1, "created", addressContent(1))
	d.settle(false)
	doc := d.document()
	if doc.Status != workflow.Signing || doc.Waits() || doc.Subscriber != "Customer 1" || doc.SubscriberFrom != ad(1) || doc.Orders[1].CurrentCarrier != "Pacific Voice" {
		t.Errorf("with its subscriber: %+v", doc)
	}
	if diff := cmp.Diff(map[workflow.LetterPart]int{workflow.PartNumber: 0, workflow.PartSubscriber: 0}, counts()); diff != "" {
		t.Errorf("counted at the end (-want +got)\n%s", diff)
	}
	o, err := d.s.Order(t.Context(), account, hr(2))
	if err != nil || o.Document != px(1) || o.Status != workflow.OrderPendingLOA || o.Own != workflow.OrderReceived {
		t.Errorf("order %+v, %v", o, err)
	}
}

func TestStoreApply_WhatIsMissingForLongIsAnnounced(t *testing.T) {
	d := newDesk(t, workflow.PartNumber)
	d.content()
	d.settle(false)
	timers, err := d.s.DueEvents(t.Context(), start.Add(2*time.Hour), start.Add(2*time.Hour), 0, 10)
	if err != nil || len(timers) != 1 {
		t.Fatalf("%+v, %v; want the timer", timers, err)
	}
	o := timers[0]
	d.w.add(o.Document, strings.TrimPrefix(o.Subject(), workflow.SubjectPrefix), o.Body)
	e := &d.w.entries[len(d.w.entries)-1]
	e.Source, e.ID, e.Time = workflow.Source, o.What, o.Due
	d.fold()
	life, err := d.s.Life(t.Context(), px(1))
	if err != nil {
		t.Fatal(err)
	}
	var announced []workflow.Body
	for _, e := range life.Events {
		if _, ok := e.Body.(workflow.Incomplete); ok {
			announced = append(announced, e.Body)
		}
	}
	if fmt.Sprintf("%d %s %v", len(announced), life.Document.Status, life.Document.WaitsFor) != "1 opened [number]" {
		t.Errorf("announced %+v; %s, waits for %v", announced, life.Document.Status, life.Document.WaitsFor)
	}
}

func TestStoreApply_OtherNumberIsANewRound(t *testing.T) {
	d := newDesk(t, workflow.PartNumber)
	d.w.order(1, "created", orderContent(1))
	d.w.order(2, "created", orderContent(2))
	d.content()
	d.settle(false)
	d.w.order(1, "updated", workflow.OrderUpdated{CurrentCarrier: new("Other Carrier")})
	d.settle(false)
	if doc := d.document(); doc.Round != 1 || doc.Orders[0].CurrentCarrier != "Pacific Voice" {
		t.Errorf("another carrier: round %d, carrier %s; what was sent is fixed", doc.Round, doc.Orders[0].CurrentCarrier)
	}
	d.w.order(1, "updated", workflow.OrderUpdated{PhoneNumber: new("+14155550009")})
	d.settle(false)
	doc := d.document()
	if doc.Round != 2 || doc.Status != workflow.Signing || doc.Orders[0].PhoneNumber != "+14155550009" || doc.Orders[0].CurrentCarrier != "Other Carrier" {
		t.Errorf("another number: %s, round %d, %+v", doc.Status, doc.Round, doc.Orders[0])
	}
	life, err := d.s.Life(t.Context(), px(1))
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, m := range life.Mails {
		if m.Kind == workflow.MailSignature && m.State == workflow.MailAccepted {
			asked++
		}
	}
	if asked != 2 {
		t.Errorf("the signer was asked %d times, want once a round", asked)
	}
	d.settle(true)
	d.w.order(1, "updated", workflow.OrderUpdated{PhoneNumber: new("+14155550008")})
	d.settle(true)
	if doc := d.document(); doc.Round != 2 || doc.Orders[0].PhoneNumber != "+14155550009" {
		t.Errorf("after it was signed: round %d, %s", doc.Round, doc.Orders[0].PhoneNumber)
	}
}

func TestStoreApply_NumberOfAnotherDocumentIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name, other workflow.SID
		document    workflow.SID
	}{{"the account's", account, px(2)}, {"another account's", other, ""}} {
		t.Run(string(tt.name), func(t *testing.T) {
			d := newDesk(t)
			d.w.add(px(2), string(tt.other)+"."+string(px(2))+".created", workflow.Created{
				AddressSID: ad(1), Email: "x@example.com", HostedNumberOrders: []workflow.OrderRef{{SID: hr(7), PhoneNumber: "+14155550001"}},
			})
			d.w.entries[len(d.w.entries)-1].Account = tt.other
			d.content()
			e := d.w.order(1, "created", orderContent(1))
			d.w.order(2, "created", orderContent(2))
			f := d.w.order(2, "status", workflow.OrderStatusChanged{Order: hr(2), Status: workflow.OrderTesting, PhoneNumber: "+14155550001"})
			d.fold()
			for _, e := range []*workflow.Entry{e, f} {
				p, err := d.s.RefusalAt(t.Context(), e.Sequence)
				if err != nil || p == nil || p.Code != workflow.CodeNumberTaken || p.Document != tt.document || strings.Contains(p.Message, string(px(2))) != (tt.document != "") {
					t.Errorf("entry %d: %+v, %v", e.Sequence, p, err)
				}
			}
			if doc := d.document(); doc.Orders[0].PhoneNumber != "" || doc.Orders[1].PhoneNumber != "+14155550002" {
				t.Errorf("the document has %+v", doc.Orders)
			}
		})
	}
}

func TestStoreApply_OrderIsFreeWhenItsDocumentEnds(t *testing.T) {
	d := newDesk(t, workflow.PartNumber)
	d.w.order(1, "created", orderContent(1))
	d.w.order(2, "created", orderContent(2))
	d.w.order(2, "status", workflow.OrderStatusChanged{Order: hr(2), Status: workflow.OrderVerified})
	d.content()
	d.settle(false)
	d.w.status(1, workflow.Canceled)
	d.settle(false)
	for n, status := range map[int]workflow.OrderStatus{1: workflow.OrderReceived, 2: workflow.OrderVerified} {
		if o, err := d.s.Order(t.Context(), account, hr(n)); err != nil || o.Document != "" || o.Status != status {
			t.Errorf("order %d: %s on %q, %v; want %s on none", n, o.Status, o.Document, err, status)
		}
	}
}

// TestStoreApply_ErasedDocumentLeavesItsOrdersAlike: a database that met a document
// before it was erased, and one that read the log after, hold the same of its
// orders.
func TestStoreApply_ErasedDocumentLeavesItsOrdersAlike(t *testing.T) {
	for _, signed := range []bool{true, false} {
		t.Run(fmt.Sprint("signed ", signed), func(t *testing.T) {
			d := newDesk(t, workflow.PartNumber)
			d.w.order(1, "created", orderContent(1))
			d.content()
			d.w.order(2, "created", orderContent(2))
			d.settle(signed)
			final := workflow.Canceled
			if signed {
				final = workflow.Signed
				for n, s := range []workflow.OrderStatus{workflow.OrderCompleted, workflow.OrderFailed} {
					d.w.add(px(1), fmt.Sprintf("%s.%s.order.%s.status", account, px(1), hr(n+1)), workflow.OrderStatusChanged{Order: hr(n + 1), Status: s, FailureReason: "x"})
				}
			} else {
				d.w.status(1, workflow.Canceled)
			}
			taken := d.w.order(3, "created", orderContent(1)) // while the number is on the document
			d.settle(signed)
			body := workflow.Erased{DocumentSID: px(1), AccountSID: account, Status: final, Round: 1, OrderSIDs: []workflow.SID{hr(1), hr(2)}}
			if signed {
				body.Completed = []workflow.SID{hr(1)}
			}
			blocked, err := d.s.BlockedBy(t.Context(), px(1))
			if err != nil || signed != (len(blocked) == 1) || signed && blocked[0].Sequence != taken.Sequence {
				t.Fatalf("blocked %+v, %v", blocked, err)
			}
			body.Blocked = blocked
			left := &writer{}
			for _, e := range d.w.entries {
				mine := e.Document == px(1)
				if c, ok := e.Body.(workflow.Claimed); ok {
					mine = c.Mails[0].Document() == px(1)
				}
				if mine {
					body.Entries = append(body.Entries, workflow.ErasedEntry{Sequence: e.Sequence, Type: e.Body.Type()})
				}
				if e.Document != px(1) {
					left.entries = append(left.entries, e)
				}
			}
			erasure := d.w.add(px(1), fmt.Sprintf("%s.%s.erased", account, px(1)), body)
			d.fold()
			after := open(t, t.TempDir())
			if err := after.Foresee(t.Context(), []workflow.Entry{erasure}); err != nil {
				t.Fatal(err)
			}
			apply(t, after, append(left.entries, erasure)...)
			if diff := cmp.Diff(ordersOf(dump(t, d.s)), ordersOf(dump(t, after))); diff != "" {
				t.Errorf("(-met +read after)\n%s", diff)
			}
		})
	}
}

// ordersOf is what a dump says of orders, and what became of events.
func ordersOf(dump string) []string {
	return slices.DeleteFunc(strings.Split(dump, "\n"), func(line string) bool {
		return !strings.HasPrefix(line, `["hosted_number_orders"`) && !strings.HasPrefix(line, `["refusals"`)
	})
}
