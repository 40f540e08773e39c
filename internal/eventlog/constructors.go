package eventlog

import (
	"fmt"
	"strings"
	"time"

	"countersign/events"
	"countersign/workflow"
)

// Erased makes the event that says that a document was erased. If a document is
// erased again to cover later entries, the id differs because the last covered
// sequence differs.
func Erased(at time.Time, b workflow.Erased) events.Event {
	var last uint64
	for _, e := range b.Entries {
		last = max(last, e.Sequence)
	}
	for _, e := range b.Blocked {
		last = max(last, e.Sequence)
	}
	id := fmt.Sprintf("%s.%s.erased.%d", b.AccountSID, b.DocumentSID, last)
	return events.Event{ID: id, Source: events.Source, Time: at, Account: b.AccountSID, Document: b.DocumentSID, What: "erased", Body: b}
}

// FromPending makes the event of a row of the outbox. It depends on the row
// only, so that all workers append the same bytes.
func FromPending(o workflow.PendingEvent) events.Event {
	return events.Event{
		ID: strings.TrimPrefix(o.Subject(), events.Prefix), Source: events.Source, Time: o.At,
		Account: o.Account, Document: o.Document, What: o.What, Body: o.Body,
	}
}

// Claimed makes the event that says that a worker is about to send emails.
func Claimed(id string, at time.Time, b workflow.Claimed) events.Event {
	return events.Event{ID: id, Source: events.Source, Time: at, Account: events.Nobody, What: "mail.claimed", Body: b}
}

// Settled makes the event with the outcomes of the emails of a claim.
func Settled(id string, at time.Time, b workflow.Settled) events.Event {
	return events.Event{ID: id, Source: events.Source, Time: at, Account: events.Nobody, What: "mail.settled", Body: b}
}

// Discarded makes the event that closes the refused event or dead letter at a
// sequence. Account and document are "_" if the subject of that event names
// none.
func Discarded(account, document workflow.SID, at time.Time, b workflow.Discarded) events.Event {
	return FromPending(workflow.PendingEvent{
		Account: nobodyIfEmpty(account, document), Document: nobodyIfEmpty(document, account),
		What: fmt.Sprintf("discarded.%d", b.Sequence), Body: b, At: at,
	})
}

func nobodyIfEmpty(sid, other workflow.SID) workflow.SID {
	if sid == "" || other == "" {
		return events.Nobody
	}
	return sid
}

// Quarantined makes the event that says that the entry at a sequence makes the
// program crash.
func Quarantined(at time.Time, b workflow.Quarantined) events.Event {
	what := fmt.Sprintf("quarantined.%d", b.Sequence)
	return events.Event{ID: events.Nobody + "." + what, Source: events.Source, Time: at, Account: events.Nobody, What: what, Body: b}
}

// RulesActivated makes the event that switches every replica to a version of
// the rules and to settings.
func RulesActivated(id string, at time.Time, b workflow.RulesActivated) events.Event {
	return events.Event{ID: id, Source: events.Source, Time: at, Account: events.Nobody, What: "rules.activated", Body: b}
}

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
