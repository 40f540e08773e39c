package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"countersign/events"
	"countersign/internal/publish"
	"countersign/workflow"
)

// TakenIn is a report on an email that is on the log.
type TakenIn struct {
	workflow.Bounced
	Sequence uint64
	Result   workflow.Result // empty if it is not known
	Unknown  error           // why the result is not known, although there is a database; nil otherwise
}

// TakeIn publishes what a message to the return path reports, one event for each
// document whose emails it names, and returns what is on the log then. id is the
// message's: a second copy of it changes nothing. Store may be nil: then no
// result is known.
//
// Emails of documents that are not in the database are left out if another is.
// TakeIn fails with a *workflow.Problem if every report is refused, and with
// workflow.ErrUnavailable if the log does not answer.
func (o *Operator) TakeIn(ctx context.Context, id string, reports []workflow.Bounced) (taken []TakenIn, err error) {
	var refused error
	counts := false
	for _, e := range o.bounceEvents(ctx, id, reports) {
		sequence, err := publish.Event(ctx, o.Config, o.Logger, e)
		var p *workflow.Problem
		switch {
		case errors.As(err, &p):
			refused = err
			continue
		case err != nil:
			return taken, err
		}
		t := TakenIn{Bounced: e.Body.(workflow.Bounced), Sequence: sequence}
		if o.Store != nil {
			t.Result, t.Unknown = publish.Result(ctx, o.Store, e, sequence, o.Wait)
		}
		if errors.As(t.Unknown, &p) {
			refused, t.Unknown = t.Unknown, nil
		} else {
			counts = true
		}
		taken = append(taken, t)
	}
	if counts {
		return taken, nil
	}
	return taken, refused
}

// bounceEvents makes the events of TakeIn.
func (o *Operator) bounceEvents(ctx context.Context, id string, reports []workflow.Bounced) (all []events.Event) {
	var known []events.Event
	for i, b := range reports {
		eventID := "bounce." + id
		if i > 0 {
			eventID = fmt.Sprintf("%s#%d", eventID, i)
		}
		var account workflow.SID
		if o.Store != nil {
			if d, err := o.Store.Document(ctx, b.Mail.Document()); err == nil {
				account = d.AccountSID
			}
		}
		e := events.Bounced("", eventID, account, b).By(workflow.WriterBounce)
		e.Time = time.Now()
		all = append(all, e)
		if account != "" {
			known = append(known, e)
		}
	}
	if len(known) > 0 {
		return known
	}
	return all
}
