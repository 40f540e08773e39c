package db_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"countersign/workflow"
)

const code = "480213"

// ask asks for a verification by call of the nth order.
func (d *desk) ask(n int) *workflow.Entry {
	return d.w.order(n, "verify", workflow.Verify{Method: workflow.VerifyByCall, Code: code})
}

// give gives a code for the nth order back.
func (d *desk) give(n int, code string) *workflow.Entry {
	return d.w.order(n, "verified", workflow.VerificationReported{Code: code})
}

// is checks how far the verification of the nth order has come.
func (d *desk) is(what string, n int, status workflow.OrderStatus, attempts int) {
	d.t.Helper()
	d.fold()
	o, err := d.s.Order(d.t.Context(), account, hr(n))
	if err != nil || o.Own != status || o.Status != status || o.Verification.Attempts != attempts {
		d.t.Errorf("%s: %s (%s), %d attempts, %v; want %s, %d", what, o.Own, o.Status, o.Verification.Attempts, err, status, attempts)
	}
}

func (d *desk) refused(what string, e *workflow.Entry, code workflow.Code) {
	d.t.Helper()
	d.fold()
	if p, err := d.s.RefusalAt(d.t.Context(), e.Sequence); err != nil || p == nil || p.Code != code {
		d.t.Errorf("%s: %+v, %v; want %s", what, p, err, code)
	}
}

func TestStoreApply_NumberIsVerified(t *testing.T) {
	d := newDesk(t)
	d.w.order(1, "created", orderContent(1))
	d.w.order(2, "created", orderContent(2))
	d.content()
	d.refused("a code that nobody asked for", d.give(1, code), workflow.CodeStatus)
	asked := d.ask(1)
	d.is("asked for", 1, workflow.OrderPendingVerification, 0)
	due, err := d.s.DueEvents(t.Context(), d.now(), d.now(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	var calls []workflow.Verification
	for _, e := range due {
		if b, ok := e.Body.(workflow.Verification); ok && e.What == fmt.Sprintf("order.%s.verification.%d", hr(1), asked.Sequence) {
			calls = append(calls, b)
		}
	}
	if len(calls) != 1 || calls[0].Code != code || calls[0].PhoneNumber != "+14155550001" || calls[0].Until != asked.Time.Truncate(time.Millisecond).Add(10*time.Minute) {
		t.Errorf("the telephony service is asked to make %+v", calls)
	}
	d.give(1, code)
	d.is("the code", 1, workflow.OrderVerified, 0)
	d.w.order(1, "updated", workflow.OrderUpdated{PhoneNumber: new("+14155550009")})
	d.is("another number", 1, workflow.OrderReceived, 0)
	d.w.order(2, "verify", workflow.Verify{Method: workflow.VerifyByBill})
	d.w.order(2, "verified", workflow.VerificationReported{Result: "verified"})
	d.is("by bill", 2, workflow.OrderVerified, 0)
}

func TestStoreApply_VerificationEndsAfterThreeWrongCodes(t *testing.T) {
	d := newDesk(t)
	w := &d.w
	w.order(1, "created", orderContent(1))
	d.ask(1)
	d.give(1, "000000")
	d.is("a wrong code", 1, workflow.OrderPendingVerification, 1)
	w.order(1, "verified", workflow.VerificationReported{CallSID: "CA1"})
	d.is("a call", 1, workflow.OrderPendingVerification, 1)
	forged := w.order(1, "verified", workflow.VerificationReported{Result: "verified"})
	w.entries[forged.Sequence-1].Subject = strings.Replace(forged.Subject, "._.order", "._.by.api.order", 1)
	d.is("a result by the REST API", 1, workflow.OrderPendingVerification, 1)
	late := d.give(1, code)
	w.entries[late.Sequence-1].Time = late.Time.Add(workflow.CodeLifetime + time.Second)
	d.is("an expired code", 1, workflow.OrderPendingVerification, 2)
	d.give(1, "111111")
	d.is("the third wrong code", 1, workflow.OrderActionRequired, 3)
	d.refused("asked for after that", d.ask(1), workflow.CodeVerification)
}
