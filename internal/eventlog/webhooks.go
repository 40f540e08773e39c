package eventlog

import (
	"time"

	"countersign/events"
	"countersign/workflow"
)

// WebhookSet makes the event that says what a webhook is from then on.
func WebhookSet(id string, at time.Time, b workflow.WebhookSet) events.Event {
	return events.Event{
		ID: id, Source: events.Source, Time: at, Account: b.AccountSID, Document: events.Nobody, What: "webhook." + string(b.SID) + ".set", Body: b,
	}
}

// DeliveriesClaimed makes the event that says that a worker is about to carry out
// deliveries.
func DeliveriesClaimed(id string, at time.Time, b workflow.DeliveriesClaimed) events.Event {
	return events.Event{ID: id, Source: events.Source, Time: at, Account: events.Nobody, What: "webhook.claimed", Body: b}
}

// DeliveriesSettled makes the event with the outcomes of the deliveries of a claim.
func DeliveriesSettled(id string, at time.Time, b workflow.DeliveriesSettled) events.Event {
	return events.Event{ID: id, Source: events.Source, Time: at, Account: events.Nobody, What: "webhook.settled", Body: b}
}

// DeliveriesRedriven makes the event that makes dead letters among the deliveries
// pending again.
func DeliveriesRedriven(id string, at time.Time, b workflow.DeliveriesRedriven) events.Event {
	return events.Event{ID: id, Source: events.Source, Time: at, Account: events.Nobody, What: "webhook.redriven", Body: b}
}
