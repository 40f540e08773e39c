package countersign_test

import (
	"fmt"
	"strings"
	"time"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

func goldenAD(n int) workflow.SID { return workflow.SID(fmt.Sprintf("AD%032x", n)) }

// orders has orders and addresses with events of their own, before, between and
// after documents that wait for them.
func (r *recorder) orders() {
	r.event(eventlog.RulesActivated("rules-1", r.now, workflow.RulesActivated{
		Version: 1, ParkingLimitSeconds: 3600, LetterRequires: []workflow.LetterPart{workflow.PartNumber, workflow.PartSubscriber, workflow.PartAddress},
	}))
	r.order(1, workflow.OrderCreated{OrderContent: workflow.OrderContent{
		PhoneNumber: "+14155550101", CurrentCarrier: "Pacific Voice", FriendlyName: "Front desk", UniqueName: "desk", Email: "owner@example.com",
		CCEmails: []string{"ops@example.com"}, Capabilities: workflow.Capabilities{SMS: true}, StatusCallbackURL: "https://portal.example.com/orders",
	}})
	r.address(1, workflow.AddressCreated{AddressContent: workflow.AddressContent{
		CustomerName: "Bayview Law LLP", Street: "1 Market Street", StreetSecondary: "Suite 5", City: "San Francisco", Region: "CA", PostalCode: "94105", ISOCountry: "US",
	}})
	r.says(1, r.at(1, 1, 2)) // lacks the number of order 2
	r.settle()
	r.order(2, workflow.OrderStatusChanged{Order: goldenHR(2), Status: workflow.OrderVerified, PhoneNumber: "+14155550102"})
	r.settle()
	r.order(2, workflow.OrderUpdated{UniqueName: new("x")}) // not created
	r.order(2, workflow.OrderCreated{OrderContent: workflow.OrderContent{CurrentCarrier: "Atlantic Voice"}})
	r.order(1, workflow.OrderUpdated{PhoneNumber: new("+14155550103")}) // another round
	r.settle()
	r.says(2, r.at(2, 3)) // lacks all
	r.settle()
	r.now = r.now.Add(2 * time.Hour)
	r.settle() // announced
	r.address(2, workflow.AddressCreated{AddressContent: workflow.AddressContent{CustomerName: "Okafor Auto", City: "Oakland", ISOCountry: "US"}})
	r.order(3, workflow.OrderCreated{OrderContent: workflow.OrderContent{PhoneNumber: "+14155550103"}}) // on document 1
	r.order(3, workflow.OrderCreated{OrderContent: workflow.OrderContent{PhoneNumber: "+14155550105"}})
	r.settle()
	r.address(2, workflow.AddressUpdated{City: new("Berkeley")}) // after it was sent
	r.status(1, workflow.Signed)
	r.status(2, workflow.Canceled)
	r.settle()
	r.order(1, workflow.OrderStatusChanged{Order: goldenHR(1), Status: workflow.OrderCompleted})
	r.says(1, workflow.OrderStatusChanged{Order: goldenHR(2), Status: workflow.OrderTesting})
	r.verifies()
	r.order(3, workflow.OrderDeleted{Reason: "not needed"})
	r.order(3, workflow.OrderUpdated{UniqueName: new("x")})
	r.address(2, workflow.AddressDeleted{})
	r.address(3, workflow.AddressUpdated{City: new("x")})
	r.settle()
}

// verifies has the number of order 3 verified, and that of order 4 not.
func (r *recorder) verifies() {
	r.order(3, workflow.Verify{Method: workflow.VerifyByCall, Code: "480213"})
	r.settle()
	r.order(3, workflow.VerificationReported{Code: "111111"})
	r.order(3, workflow.VerificationReported{Code: "480213", CallSID: "CA" + strings.Repeat("0", 32)})
	r.order(4, workflow.OrderCreated{OrderContent: workflow.OrderContent{PhoneNumber: "+14155550106"}})
	r.order(4, workflow.Verify{Method: workflow.VerifyByBill})
	for range 3 {
		r.order(4, workflow.VerificationReported{Result: "failed"})
	}
	r.order(4, workflow.Verify{Method: workflow.VerifyByBill})
	r.settle()
}

// at is the content of a document that names an address and orders, and nothing
// of what they stand for.
func (r *recorder) at(address int, orders ...int) workflow.Created {
	c := r.content(0)
	c.AddressSID, c.HostedNumberOrderSIDs = goldenAD(address), nil
	for _, n := range orders {
		c.HostedNumberOrderSIDs = append(c.HostedNumberOrderSIDs, goldenHR(n))
	}
	return c
}

// order appends an event of the nth order.
func (r *recorder) order(n int, b workflow.Body) {
	r.t.Helper()
	what := map[string]string{
		workflow.TypeOrderCreated: "created", workflow.TypeOrderUpdated: "updated", workflow.TypeOrderDeleted: "deleted", workflow.TypeOrderStatusChanged: "status",
		workflow.TypeVerify: "verify", workflow.TypeVerified: "verified",
	}[b.Type()]
	r.apart("order."+string(goldenHR(n))+"."+what, b)
}

// address appends an event of the nth address.
func (r *recorder) address(n int, b workflow.Body) {
	r.t.Helper()
	_, what, _ := strings.Cut(b.Type(), ".")
	r.apart("address."+string(goldenAD(n))+"."+what, b)
}

func (r *recorder) apart(what string, b workflow.Body) {
	r.t.Helper()
	r.event(events.Event{Source: "/orders", ID: fmt.Sprint("o", len(r.log)+1), Account: goldenAccount, Document: events.Nobody, What: what, Body: b})
}
