package db_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/db"
	"countersign/workflow"
)

func wh(n int) workflow.SID { return workflow.SID(fmt.Sprintf("WH%032x", n)) }

func opened(receiver, document int) workflow.DeliveryID {
	return workflow.DeliveryID(fmt.Sprintf("%s_%s_opened_1", wh(receiver), px(document)))
}

func (w *writer) webhook(n int, status workflow.WebhookStatus) {
	w.add("", string(account)+"._.webhook."+string(wh(n))+".set", workflow.WebhookSet{
		SID: wh(n), AccountSID: account, URL: "https://example.com/hook", Status: status, Secrets: []int{1},
	})
}

// tries claims and settles deliveries.
func (w *writer) tries(result workflow.DeliveryResult, ids ...workflow.DeliveryID) {
	c := w.add("", "_.webhook.claimed", workflow.DeliveriesClaimed{Worker: "w", Deliveries: ids})
	var outcomes []workflow.DeliveryOutcome
	for _, id := range ids {
		outcomes = append(outcomes, workflow.DeliveryOutcome{Delivery: id, Result: result, Code: 200, Reply: "why"})
	}
	w.add("", "_.webhook.settled", workflow.DeliveriesSettled{Worker: "w", Claim: c.Sequence, Outcomes: outcomes})
}

// deliveries has deliveries tried, given up and redriven, and webhooks disabled,
// enabled and deleted.
func (w *writer) deliveries() {
	w.tries(workflow.DeliveryDone, opened(1, 1), opened(1, 2), opened(2, 3))
	w.tries(workflow.DeliveryFailed, opened(1, 4), opened(1, 5))
	w.tries(workflow.DeliveryReleased, opened(1, 6))
	for range 10 {
		w.tries(workflow.DeliveryFailed, opened(1, 7), opened(1, 8))
	}
	w.add("", "_.webhook.redriven", workflow.DeliveriesRedriven{Deliveries: []workflow.DeliveryID{opened(1, 7), opened(1, 9)}})
	w.add("", "_.webhook.claimed", workflow.DeliveriesClaimed{Worker: "w", Deliveries: []workflow.DeliveryID{opened(1, 9), opened(2, 9), opened(2, 10)}})
	w.webhook(2, workflow.WebhookDisabled)
	w.add("", "_.webhook.settled", workflow.DeliveriesSettled{Worker: "w", Claim: uint64(len(w.entries) - 1), Outcomes: []workflow.DeliveryOutcome{
		{Delivery: opened(2, 9), Result: workflow.DeliveryFailed}, {Delivery: opened(2, 10), Result: workflow.DeliveryDone},
	}})
	w.created(50)
	w.webhook(2, workflow.WebhookEnabled)
	w.created(51)
	w.webhook(3, workflow.WebhookEnabled)
	w.created(52)
	w.webhook(3, workflow.WebhookDeleted)
}

// due lists the deliveries to a webhook that may be claimed, however long they have
// to wait.
func due(t *testing.T, s *db.Store, n int) (ids []workflow.DeliveryID) {
	t.Helper()
	ids, err := s.DueDeliveries(t.Context(), string(wh(n)), start.Add(1000*time.Hour), 1000)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestStoreApply_DeliveriesAboutOneDocumentGoOneAfterTheOther settles the first of
// two in each way.
func TestStoreApply_DeliveriesAboutOneDocumentGoOneAfterTheOther(t *testing.T) {
	first, second := opened(1, 1), workflow.DeliveryID(fmt.Sprintf("%s_%s_canceled_1", wh(1), px(1)))
	for name, tt := range map[string]struct {
		act  func(*writer)
		want []workflow.DeliveryID
	}{
		"pending": {func(*writer) {}, []workflow.DeliveryID{first}},
		"claimed": {func(w *writer) {
			w.add("", "c", workflow.DeliveriesClaimed{Worker: "w", Deliveries: []workflow.DeliveryID{first, second}})
		}, nil},
		"failed":    {func(w *writer) { w.tries(workflow.DeliveryFailed, first) }, []workflow.DeliveryID{first}},
		"released":  {func(w *writer) { w.tries(workflow.DeliveryReleased, first) }, []workflow.DeliveryID{first}},
		"delivered": {func(w *writer) { w.tries(workflow.DeliveryDone, first) }, []workflow.DeliveryID{second}},
		"dead": {func(w *writer) {
			for range 10 {
				w.tries(workflow.DeliveryFailed, first)
			}
		}, []workflow.DeliveryID{second}},
		"disabled": {func(w *writer) { w.webhook(1, workflow.WebhookDisabled) }, nil},
		"deleted":  {func(w *writer) { w.webhook(1, workflow.WebhookDeleted) }, nil},
	} {
		w := &writer{}
		w.webhook(1, workflow.WebhookEnabled)
		w.created(1)
		w.status(1, workflow.Canceled)
		tt.act(w)
		s := open(t, t.TempDir())
		apply(t, s, w.entries...)
		got := due(t, s, 1)
		got = slices.DeleteFunc(got, func(id workflow.DeliveryID) bool { return strings.Contains(string(id), "HR") })
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q may be claimed, want %q", name, got, tt.want)
		}
	}
}

// TestStoreApply_ErasedDocumentIsToldToNobody erases a document with pending and dead
// deliveries, about itself and about its orders.
func TestStoreApply_ErasedDocumentIsToldToNobody(t *testing.T) {
	w := &writer{}
	w.webhook(1, workflow.WebhookEnabled)
	w.webhook(2, workflow.WebhookEnabled)
	w.created(1)
	w.status(1, workflow.Canceled)
	w.webhook(2, workflow.WebhookDisabled)
	w.created(2)
	s := open(t, t.TempDir())
	apply(t, s, w.entries...)
	n := len(w.entries)
	w.add(px(1), string(account)+"."+string(px(1))+".erased", workflow.Erased{DocumentSID: px(1), AccountSID: account, Status: workflow.Canceled})
	apply(t, s, w.entries[n:]...)
	left, err := s.Deliveries(t.Context(), "", "", 100)
	if err != nil || len(left) == 0 {
		t.Fatalf("%d deliveries are left, %v", len(left), err)
	}
	for _, x := range left {
		if x.Document != px(2) {
			t.Errorf("left: %+v", x)
		}
	}
}

func TestStoreApply_AccountWithoutWebhookHasNoDelivery(t *testing.T) {
	w := &writer{}
	w.add("", "AC2._.webhook.set", workflow.WebhookSet{SID: wh(1), AccountSID: "AC2", URL: "https://h", Status: workflow.WebhookEnabled, Secrets: []int{1}})
	w.created(1)
	s := open(t, t.TempDir())
	apply(t, s, w.entries...)
	if counts, err := s.CountDeliveries(t.Context()); err != nil || len(counts) != 0 {
		t.Errorf("deliveries to another account: %v, %v", counts, err)
	}
}
