package workflow

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// deliverAt carries a delivery through its tries, with a clock of the test's own: up
// says whether the receiver answers at a time. It returns the delivery, when each
// try was, and whether it was delivered.
func deliverAt(x Delivery, start time.Time, up func(time.Time) bool) (_ Delivery, tries []time.Time, delivered bool) {
	now := start
	for claim := uint64(1); !delivered && !x.State.Done(); claim++ {
		x, _ = x.Claimed(claim)
		tries = append(tries, now)
		o := DeliveryOutcome{Delivery: x.ID, Result: DeliveryFailed, Code: 503}
		if up(now) {
			o.Result = DeliveryDone
		}
		x, delivered, _ = x.Settled(claim, o, now, true)
		now = x.Due
	}
	return x, tries, delivered
}

func TestDeliverySettled_ReceiverThatIsDownForADayGetsIt(t *testing.T) {
	start := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)
	_, tries, delivered := deliverAt(Delivery{ID: "x", State: DeliveryPending}, start, func(now time.Time) bool { return now.Sub(start) >= 24*time.Hour })
	if !delivered || len(tries) < 5 {
		t.Errorf("delivered %t after the tries at %v", delivered, tries)
	}
	if last := tries[len(tries)-1].Sub(start); last > 36*time.Hour {
		t.Errorf("delivered %s after it became pending", last)
	}
}

func TestDeliverySettled_DeadLetterAfterThreeDays(t *testing.T) {
	start := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)
	x, tries, delivered := deliverAt(Delivery{ID: "x", State: DeliveryPending}, start, func(time.Time) bool { return false })
	if delivered || x.State != DeliveryDead || x.Code != 503 {
		t.Errorf("it ends as %+v", x)
	}
	if last := tries[len(tries)-1].Sub(start); last < 72*time.Hour || last > 80*time.Hour {
		t.Errorf("the last try is after %s, want a little more than three days", last)
	}
	for i := 2; i < len(tries); i++ {
		if tries[i].Sub(tries[i-1]) < tries[i-1].Sub(tries[i-2]) {
			t.Errorf("the wait before try %d is shorter than the one before", i+1)
		}
	}
}

func TestDeliverySettled_OnlyTheLastClaimCounts(t *testing.T) {
	now := time.Unix(1000, 0)
	x, _ := Delivery{ID: "x", State: DeliveryPending}.Claimed(1)
	x, ok := x.Claimed(2) // the first claim was left without an outcome
	if !ok || x.Claim != 2 {
		t.Fatalf("claimed again: %+v", x)
	}
	for _, result := range DeliveryResults {
		if after, _, counts := x.Settled(1, DeliveryOutcome{Result: result}, now, true); counts || after != x {
			t.Errorf("%s by the claim that was lost counts", result)
		}
	}
	if _, delivered, counts := x.Settled(2, DeliveryOutcome{Result: DeliveryDone}, now, true); !delivered || !counts {
		t.Error("the last claim does not count")
	}
}

func TestDeliverySettled_Waits(t *testing.T) {
	now := time.Unix(1000, 0)
	claimed, _ := Delivery{ID: "x", State: DeliveryPending, Due: now}.Claimed(1)
	for name, tt := range map[string]struct {
		outcome DeliveryOutcome
		enabled bool
		state   DeliveryState
		due     time.Duration
	}{
		"failed":                            {DeliveryOutcome{Result: DeliveryFailed}, true, DeliveryPending, 5 * time.Second},
		"the receiver asks to wait":         {DeliveryOutcome{Result: DeliveryFailed, RetryAfterMs: 60_000}, true, DeliveryPending, time.Minute},
		"it asks for less than we wait":     {DeliveryOutcome{Result: DeliveryFailed, RetryAfterMs: 1}, true, DeliveryPending, 5 * time.Second},
		"it asks for a year":                {DeliveryOutcome{Result: DeliveryFailed, RetryAfterMs: 1 << 40}, true, DeliveryPending, 24 * time.Hour},
		"it was never begun":                {DeliveryOutcome{Result: DeliveryReleased}, true, DeliveryPending, 0},
		"its webhook was disabled meantime": {DeliveryOutcome{Result: DeliveryFailed}, false, DeliveryDead, 0},
	} {
		got, _, counts := claimed.Settled(1, tt.outcome, now, tt.enabled)
		if !counts || got.State != tt.state || got.Due.Sub(now) != tt.due {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestDecide_TellsEachWebhookOfTheDocumentAndItsOrders lets a document become opened
// and canceled.
func TestDecide_TellsEachWebhookOfTheDocumentAndItsOrders(t *testing.T) {
	const (
		account  = SID("ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
		document = SID("PXaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
		order    = SID("HRaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
		one, two = SID("WH11111111111111111111111111111111"), SID("WH22222222222222222222222222222222")
	)
	at := time.Date(2026, 11, 23, 15, 4, 5, 0, time.UTC)
	created := Entry{Sequence: 7, Time: at, Account: account, Document: document, ID: "1", Source: "/test", Body: Created{
		AddressSID: "ADaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Email: "owner@example.com", Hold: true, HostedNumberOrderSIDs: []SID{order},
	}}
	if d := Decide(State{}, created, Facts{}); len(d.Deliveries) != 0 {
		t.Errorf("without a webhook: %v", d.Deliveries)
	}
	f := Facts{Webhooks: []Webhook{
		{WebhookSet: WebhookSet{SID: one, AccountSID: account}}, {WebhookSet: WebhookSet{SID: two, AccountSID: account}},
	}}
	d := Decide(State{}, created, f)
	var ids []string
	for _, x := range d.Deliveries {
		ids = append(ids, string(x.ID))
		if x.Document != document || x.State != DeliveryWaiting {
			t.Errorf("%+v", x)
		}
	}
	var want []string
	for _, rest := range []string{"_" + string(document) + "_opened_1", "_" + string(order) + "_received_7"} {
		want = append(want, string(one)+rest, string(two)+rest)
	}
	if !slices.Equal(ids, want) {
		t.Errorf("told %q, want %q", ids, want)
	}
	var body struct {
		Type, Timestamp string
		Data            map[string]any
	}
	if err := json.Unmarshal([]byte(d.Deliveries[0].Body), &body); err != nil || body.Type != TypeBecame ||
		body.Timestamp != "2026-11-23T15:04:05Z" || body.Data["sid"] != string(document) {
		t.Errorf("body %s, %v", d.Deliveries[0].Body, err)
	}
	again := Decide(d.State, Entry{
		Sequence: 8, Time: at, Account: account, Document: document, ID: "2", Source: "/test",
		Body: OrderStatusChanged{Order: order, Status: OrderReceived},
	}, f)
	if len(again.Deliveries) != 0 {
		t.Errorf("an order that stays as it is tells %v", again.Deliveries)
	}
	other := Decide(d.State, Entry{
		Sequence: 9, Time: at, Account: account, Document: document, ID: "3", Source: "/test",
		Body: OrderStatusChanged{Order: order, Status: OrderFailed, FailureReason: "no such number"},
	}, f)
	if len(other.Deliveries) != 2 || !strings.Contains(other.Deliveries[0].Body, `"failure_reason":"no such number"`) {
		t.Errorf("an order that failed tells %v", other.Deliveries)
	}
}

func TestOrderCallback_FormAndReceiver(t *testing.T) {
	at := time.Unix(1000, 0)
	o := Order{SID: "HRaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", PhoneNumber: "+14155550101", Status: OrderVerified}
	x := OrderCallback("AC1", "", o, "https://Hooks.example.com/a?b=c", "", 17, at)
	got := fmt.Sprint(x.ID, " ", x.Receiver, " ", x.Method, " ", x.URL, " ", x.Body)
	want := "HRaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_verified_17 AC1 hooks.example.com POST https://Hooks.example.com/a?b=c " +
		"HostedNumberOrderSid=HRaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&PhoneNumber=%2B14155550101&Status=verified"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestDecide_OrderWithACallbackIsTold lets an order be created, reported, and moved by
// the document that lists it. Nobody else is told.
func TestDecide_OrderWithACallbackIsTold(t *testing.T) {
	const (
		account  = SID("ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
		document = SID("PXaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
		order    = SID("HRaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	)
	f, state, seq := Facts{Orders: map[SID]HostedOrder{}}, State{}, uint64(0)
	told := func(e Entry) (got []string) {
		t.Helper()
		seq++
		e.Sequence, e.Time, e.Account, e.ID, e.Source = seq, time.Unix(1000, 0), account, fmt.Sprint(seq), "/test"
		s := State{}
		if e.Document != "" {
			s = state
		}
		d := Decide(s, e, f)
		if e.Document != "" {
			state = d.State
		}
		for _, o := range d.Orders {
			f.Orders[o.SID] = o
		}
		for _, x := range d.Deliveries {
			got = append(got, fmt.Sprint(x.ID, " ", x.Method, " ", x.URL, " ", x.Document))
		}
		return got
	}
	const url = "https://hooks.example.com/status"
	for _, tt := range []struct {
		entry Entry
		want  string
	}{
		{Entry{Order: order, Body: OrderCreated{OrderContent{PhoneNumber: "+14155550101", StatusCallbackURL: url, StatusCallbackMethod: "GET"}}}, "_received_1 GET " + url + " "},
		{Entry{Order: order, Body: OrderUpdated{FriendlyName: new("x")}}, ""},
		{Entry{Order: order, Body: OrderStatusChanged{Order: order, Status: OrderVerified}}, "_verified_3 GET " + url + " "},
		{Entry{Order: order, Body: OrderStatusChanged{Order: order, Status: OrderVerified}}, ""},
		{Entry{Document: document, Body: Created{
			AddressSID: "ADaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Email: "owner@example.com", Hold: true, HostedNumberOrderSIDs: []SID{order},
		}}, ""},
		{Entry{Document: document, Order: order, Body: OrderStatusChanged{Order: order, Status: OrderActionRequired}}, "_action-required_6 GET " + url + " " + string(document)},
		{Entry{Order: order, Body: OrderDeleted{}}, ""},
	} {
		want := []string(nil)
		if tt.want != "" {
			want = []string{string(order) + tt.want}
		}
		if got := told(tt.entry); !slices.Equal(got, want) {
			t.Errorf("entry %d, %s: told %q, want %q", seq, tt.entry.Body.Type(), got, want)
		}
	}
}
