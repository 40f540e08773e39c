package events

import (
	"countersign/workflow"
)

// Created makes the event that creates a document. source names the publisher,
// and id names the event. A second event with the same source and id changes
// nothing, so choose an id that stays the same if the event is sent again.
func Created(source, id string, account, document workflow.SID, b workflow.Created) Event {
	return Event{ID: id, Source: source, Account: account, Document: document, What: "created", Body: b}
}

// Updated makes an event that changes the content of an opened document.
func Updated(source, id string, account, document workflow.SID, b workflow.Updated) Event {
	return Event{ID: id, Source: source, Account: account, Document: document, What: "updated", Body: b}
}

// StatusChanged makes an event that asks for a status of a document.
func StatusChanged(source, id string, account, document workflow.SID, b workflow.StatusChanged) Event {
	return Event{ID: id, Source: source, Account: account, Document: document, What: "status", Body: b}
}

// Resend makes an event that asks for the signature email of a document to be
// sent once more.
func Resend(source, id string, account, document workflow.SID, b workflow.Resend) Event {
	return Event{ID: id, Source: source, Account: account, Document: document, What: "resend", Body: b}
}

// Bounced makes an event that reports what a mail server says about an email.
// account may be empty if it is not known, because the id of an email does not
// contain it.
func Bounced(source, id string, account workflow.SID, b workflow.Bounced) Event {
	if account == "" {
		account = Nobody
	}
	return Event{ID: id, Source: source, Account: account, Document: b.Mail.Document(), What: "bounced", Body: b}
}

// OrderStatusChanged makes an event that reports the status of an order on the
// document.
func OrderStatusChanged(source, id string, account, document, order workflow.SID, b workflow.OrderStatusChanged) Event {
	b.Order = order
	return Event{
		ID: id, Source: source, Account: account, Document: document,
		What: "order." + string(order) + ".status", Body: b,
	}
}
