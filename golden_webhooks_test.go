package countersign_test

import (
	"fmt"

	"countersign/internal/eventlog"
	"countersign/workflow"
)

func goldenWH(n int) workflow.SID { return workflow.SID(fmt.Sprintf("WH%032x", n)) }

// webhooks has deliveries to two webhooks delivered, failed, given up and redriven, a
// webhook disabled, enabled and deleted, and a worker that dies with a claim.
func (r *recorder) webhooks() {
	set := func(n int, status workflow.WebhookStatus, secrets ...int) {
		b := workflow.WebhookSet{SID: goldenWH(n), AccountSID: goldenAccount, Status: status, Secrets: secrets}
		if status != workflow.WebhookDeleted {
			b.URL = fmt.Sprintf("https://example.com/hooks/%d", n)
		}
		if status == workflow.WebhookDisabled {
			b.Reason = "the receiver answered 410 Gone"
		}
		r.event(eventlog.WebhookSet(fmt.Sprintf("%s.set.after.%d", b.SID, len(r.log)), r.now, b))
	}
	r.stand(1, workflow.Signing) // nobody is told
	set(1, workflow.WebhookEnabled, 1)
	set(2, workflow.WebhookEnabled, 1)
	for n, s := range workflow.Statuses {
		r.stand(10+n, s)
	}
	r.deliver(1, workflow.DeliveryOutcome{Result: workflow.DeliveryDone, Code: 204})
	r.deliver(2, workflow.DeliveryOutcome{Result: workflow.DeliveryFailed, Code: 503, Reply: "503 Service Unavailable", RetryAfterMs: 60_000})
	r.deliver(1, workflow.DeliveryOutcome{Result: workflow.DeliveryReleased})
	r.deliver(1, workflow.DeliveryOutcome{}) // the worker dies
	set(1, workflow.WebhookEnabled, 2, 1)
	for range 12 {
		r.now = r.now.AddDate(0, 0, 1)
		r.deliver(2, workflow.DeliveryOutcome{Result: workflow.DeliveryFailed, Reply: "no answer within 10s"})
	}
	set(1, workflow.WebhookDisabled, 2, 1)
	r.stand(20, workflow.Canceled) // the second alone is told
	dead, err := r.store.Deliveries(r.t.Context(), "", workflow.DeliveryDead, 5)
	if err != nil {
		r.t.Fatal(err)
	}
	var ids []workflow.DeliveryID
	for _, x := range dead {
		ids = append(ids, x.ID)
	}
	r.event(eventlog.DeliveriesRedriven("redriven-1", r.now, workflow.DeliveriesRedriven{Deliveries: ids}))
	set(1, workflow.WebhookEnabled, 2)
	r.stand(21, workflow.Signed)
	r.deliver(1, workflow.DeliveryOutcome{Result: workflow.DeliveryDone, Code: 200})
	set(3, workflow.WebhookEnabled, 1)
	r.stand(22, workflow.Signing)
	set(3, workflow.WebhookDeleted)
}

// deliver claims what is due to a webhook, and settles it with the outcome; without a
// result the worker dies.
func (r *recorder) deliver(n int, o workflow.DeliveryOutcome) {
	r.t.Helper()
	due, err := r.store.DueDeliveries(r.t.Context(), string(goldenWH(n)), r.now, 6)
	if err != nil {
		r.t.Fatal(err)
	}
	done := workflow.DeliveriesSettled{Worker: "worker-1"}
	done.Claim = r.event(eventlog.DeliveriesClaimed(fmt.Sprint("deliveries-", len(r.log)+1), r.now, workflow.DeliveriesClaimed{Worker: "worker-1", Deliveries: due}))
	for _, id := range due {
		o.Delivery = id
		done.Outcomes = append(done.Outcomes, o)
	}
	if o.Result != "" {
		r.event(eventlog.DeliveriesSettled(fmt.Sprint("delivered-", len(r.log)+1), r.now, done))
	}
}
