// Package operator does what operators ask for: it sends documents again, takes
// them back, cancels and erases them, sends refused events again or discards
// them, activates rules, takes in reports on emails, and gathers evidence. What
// it asks for goes to the log as events, like everybody's; the worker on the data
// directory says what came of them.
package operator

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"countersign/events"
	"countersign/workflow"
)

// Plan is what an operator's command asks of a document. The ids of its events
// follow from the document's state: if two operators ask for the same, the
// document is asked once.
type Plan struct {
	Say    string         // what happens, for the operator, with the document as its subject
	Events []events.Event // in the order in which they are published; empty if there is nothing to do
}

// Recall plans to take a document back from its signer. It fails with
// workflow.ErrConflict if the document has ended.
func Recall(d workflow.Document) (Plan, error) {
	if d.Hold {
		return Plan{Say: "is already held; nothing to do"}, nil
	}
	if d.Status.Ended() {
		return Plan{}, ended(d)
	}
	return Plan{"is recalled; the links of this round no longer work", []events.Event{
		asks(d, fmt.Sprintf("recall.%s.%d", d.SID, d.Round), d.Round, workflow.StatusChanged{Status: workflow.Opened}),
	}}, nil
}

// Cancel plans to cancel a document in its account's name. It fails with
// workflow.ErrConflict if the document has ended otherwise.
func Cancel(d workflow.Document, reason string) (Plan, error) {
	switch {
	case d.Status == workflow.Canceled:
		return Plan{Say: "is already canceled; nothing to do"}, nil
	case d.Status.Ended():
		return Plan{}, ended(d)
	}
	return Plan{"is canceled, which cannot be undone", []events.Event{
		asks(d, fmt.Sprintf("cancel.%s.%d", d.SID, d.Round), d.Round, workflow.StatusChanged{
			Status: workflow.Canceled, CanceledBy: "account", Reason: reason,
		}),
	}}, nil
}

// Resend plans to send a document's signature email again: to email if there is
// one, as a new round, else to the document's signer. mails are all of the
// document's. It fails with workflow.ErrConflict if the document has ended.
func Resend(d workflow.Document, mails []workflow.Mail, email *string) (Plan, error) {
	switch {
	case d.Status.Ended():
		return Plan{}, ended(d)
	case email != nil:
		return correct(d, *email), nil
	case d.Hold:
		return Plan{"was held, and is sent to " + d.Email, []events.Event{sendHeld(d, d.Round)}}, nil
	}
	return resend(d, mails), nil
}

func ended(d workflow.Document) error {
	return fmt.Errorf("%w: document %s is %s, which cannot be changed", workflow.ErrConflict, d.SID, d.Status)
}

func asks(d workflow.Document, id string, round int, b workflow.StatusChanged) events.Event {
	b.Round = round
	return events.StatusChanged("", id, d.AccountSID, d.SID, b).By(workflow.WriterOperator)
}

// sendHeld sends a document that is held, in the round.
func sendHeld(d workflow.Document, round int) events.Event {
	return asks(d, fmt.Sprintf("send.%s.%d", d.SID, round), round, workflow.StatusChanged{Status: workflow.Signing})
}

// resend asks for the round's signature email again. The event's id follows
// from the tries so far.
func resend(d workflow.Document, all []workflow.Mail) Plan {
	mails, tries, say := 0, 0, "its signature email is sent to "+d.Email+" again"
	for _, m := range all {
		if m.Kind != workflow.MailSignature || m.Round != d.Round {
			continue
		}
		mails, tries = mails+1, tries+m.Attempts
		if !m.State.Done() {
			say = "its signature email to " + d.Email + " waits for its next try; it is tried at once"
		}
	}
	id := fmt.Sprintf("resend.%s.%d.%d.%d", d.SID, d.Round, mails, tries)
	return Plan{say, []events.Event{events.Resend("", id, d.AccountSID, d.SID, workflow.Resend{Round: d.Round}).By(workflow.WriterOperator)}}
}

// correct sends a document to another address, as a new round.
func correct(d workflow.Document, email string) Plan {
	same := strings.EqualFold(d.Email, email)
	switch {
	case same && !d.Hold:
		return Plan{Say: "already goes to this address; nothing to do"}
	case same:
		return Plan{"was held, and is sent to " + d.Email, []events.Event{sendHeld(d, d.Round)}}
	}
	sum := sha256.Sum256([]byte(strings.ToLower(email)))
	id := fmt.Sprintf("correct.%s.%d.%s", d.SID, d.Round, hex.EncodeToString(sum[:8]))
	p := Plan{Say: fmt.Sprintf("goes to %s instead of %s, in a new round", email, d.Email)}
	round := d.Round
	if d.Status == workflow.Signing {
		p.Events = append(p.Events, asks(d, id+".recall", round, workflow.StatusChanged{Status: workflow.Opened}))
		round++
	}
	p.Events = append(p.Events, events.Updated("", id+".updated", d.AccountSID, d.SID, workflow.Updated{Email: &email}).By(workflow.WriterOperator))
	if d.Hold || d.Status == workflow.Signing { // else the change alone sends it
		p.Events = append(p.Events, sendHeld(d, round))
	}
	return p
}
