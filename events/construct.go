package events

import (
	"countersign/workflow"
)

// Created says that there is a new document, with its content. The source
// names the publisher and the id the event; the same two again change nothing,
// so take an id that the event keeps when it is sent again.
func Created(source, id string, account, document workflow.SID, b workflow.Created) Event {
	return Event{ID: id, Source: source, Account: account, Document: document, What: "created", Body: b}
}

// Updated says that a document that is opened has new content.
func Updated(source, id string, account, document workflow.SID, b workflow.Updated) Event {
	return Event{ID: id, Source: source, Account: account, Document: document, What: "updated", Body: b}
}

// StatusChanged asks for a document to get a status.
func StatusChanged(source, id string, account, document workflow.SID, b workflow.StatusChanged) Event {
	return Event{ID: id, Source: source, Account: account, Document: document, What: "status", Body: b}
}

// Resend asks for the signature mail of a document to be sent once more.
func Resend(source, id string, account, document workflow.SID, b workflow.Resend) Event {
	return Event{ID: id, Source: source, Account: account, Document: document, What: "resend", Body: b}
}

// Bounced says what a mail server reports of a mail. The account may be left
// empty by who does not know it: a mail's id does not tell.
func Bounced(source, id string, account workflow.SID, b workflow.Bounced) Event {
	if account == "" {
		account = Nobody
	}
	return Event{ID: id, Source: source, Account: account, Document: b.Mail.Document(), What: "bounced", Body: b}
}

// OrderStatusChanged says what became of an order that is on the document.
func OrderStatusChanged(source, id string, account, document, order workflow.SID, b workflow.OrderStatusChanged) Event {
	b.Order = order
	return Event{
		ID: id, Source: source, Account: account, Document: document,
		What: "order." + string(order) + ".status", Body: b,
	}
}
