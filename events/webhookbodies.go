package events

import (
	"slices"

	"countersign/workflow"
)

func (r *reader) webhookSet(b workflow.WebhookSet, to *topic) {
	r.agree("data.webhook_sid", b.SID == to.webhook)
	r.agree("data.account_sid", b.AccountSID == to.account)
	if !slices.Contains(workflow.WebhookStatuses, b.Status) {
		r.fail(workflow.CodeInvalid, "data.status", "want one of %q, got %s", workflow.WebhookStatuses, quote(string(b.Status)))
	}
	if b.Status != workflow.WebhookDeleted {
		r.present("data.url", b.URL)
	}
	if b.Status == workflow.WebhookEnabled && len(b.Secrets) == 0 {
		r.fail(workflow.CodeInvalid, "data.secret_versions", "missing")
	}
}

func (r *reader) deliveriesClaimed(b workflow.DeliveriesClaimed, _ *topic) {
	r.present("data.worker", b.Worker)
	r.deliveries("data.deliveries", b.Deliveries)
}

func (r *reader) deliveriesSettled(b workflow.DeliveriesSettled, _ *topic) {
	r.present("data.worker", b.Worker)
	ids := make([]workflow.DeliveryID, len(b.Outcomes))
	for i, o := range b.Outcomes {
		ids[i] = o.Delivery
		if !slices.Contains(workflow.DeliveryResults, o.Result) {
			r.fail(workflow.CodeInvalid, "data.outcomes", "want one of %q, got %s", workflow.DeliveryResults, quote(string(o.Result)))
		}
	}
	r.deliveries("data.outcomes", ids)
}

func (r *reader) deliveriesRedriven(b workflow.DeliveriesRedriven, _ *topic) {
	r.deliveries("data.deliveries", b.Deliveries)
}

func (r *reader) deliveries(field string, ids []workflow.DeliveryID) {
	for _, id := range ids {
		if len(id) < 36 || id[34] != '_' { // it begins with a sid
			r.fail(workflow.CodeInvalid, field, "must be the id of a delivery, got %s", quote(string(id)))
			return
		}
	}
}
