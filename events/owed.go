package events

import (
	"strings"
	"time"

	"countersign/workflow"
)

// FromOwed makes the event that an outbox row owes. All of it follows from the
// row, so whoever appends it appends the same bytes.
func FromOwed(o workflow.OwedEvent) Event {
	return Event{
		ID: strings.TrimPrefix(o.Subject(), Prefix), Source: Source, Time: o.At,
		Account: o.Account, Document: o.Document, What: o.What, Body: o.Body,
	}
}

// Claimed takes mails in hand.
func Claimed(id string, at time.Time, b workflow.Claimed) Event {
	return Event{ID: id, Source: Source, Time: at, Account: nobody, What: "mail.claimed", Body: b}
}

// Settled says what became of mails that a claim took in hand.
func Settled(id string, at time.Time, b workflow.Settled) Event {
	return Event{ID: id, Source: Source, Time: at, Account: nobody, What: "mail.settled", Body: b}
}

// RulesActivated switches every replica to a version of the rules.
func RulesActivated(id string, at time.Time, b workflow.RulesActivated) Event {
	return Event{ID: id, Source: Source, Time: at, Account: nobody, What: "rules.activated", Body: b}
}
