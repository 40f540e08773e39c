package api

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"countersign/events"
	"countersign/workflow"
)

// own reads a document of the account. One of another account is not found.
func (h *handler) own(r *request, sid workflow.SID) (workflow.Document, error) {
	doc, err := h.Documents.Document(r.ctx, sid)
	if err == nil && doc.AccountSID != r.account {
		return workflow.Document{}, fmt.Errorf("%w: document %s", workflow.ErrNotFound, sid)
	}
	return doc, err
}

func (h *handler) fetch(r *request) (answer, error) {
	doc, err := h.own(r, r.sid)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, h.document(r.route.generation, doc)}, nil
}

func (h *handler) create(r *request) (answer, error) {
	b, err := r.params.created(r.route.generation)
	if err != nil {
		return answer{}, err
	}
	sid, id, err := h.identity(r, "PX", b, func(sid workflow.SID) error {
		_, err := h.own(r, sid)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	e := events.Created("", id, r.account, sid, b)
	if _, known := h.own(r, sid); known == nil { // a request with an Idempotency-Key that was sent before
		err = h.append(r, e)
	} else if err = h.knows(r, b.HostedNumberOrderSIDs, b.AddressSID); err == nil {
		err = h.ask(r, b.Email, e)
	}
	if err != nil {
		return answer{}, err
	}
	doc, err := h.sent(r, sid)
	if err != nil {
		return answer{}, keyUsed(err)
	}
	return answer{http.StatusCreated, h.document(r.route.generation, doc)}, nil
}

// update changes a document: it appends a recall, then the new content, then the
// request to send it again. If one is refused, those before it have happened.
func (h *handler) update(r *request) (answer, error) {
	before, err := h.own(r, r.sid)
	if err != nil {
		return answer{}, err
	}
	b, status, err := r.params.updated()
	if err != nil {
		return answer{}, err
	}
	if err := h.knows(r, value(b.HostedNumberOrderSIDs), value(b.AddressSID)); err != nil {
		return answer{}, err
	}
	asked := events.StatusChanged("", "update."+rand.Text(), r.account, r.sid, workflow.StatusChanged{Status: status})
	var es []events.Event
	if status == workflow.Opened {
		es = append(es, asked)
	}
	if b != (workflow.Updated{}) {
		es = append(es, events.Updated("", "update."+rand.Text(), r.account, r.sid, b))
	}
	if status == workflow.Signing {
		es = append(es, asked)
	}
	if asks(before, b, status) {
		err = h.ask(r, *cmp.Or(b.Email, &before.Email), es...)
	} else {
		err = h.append(r, es...)
	}
	if err != nil {
		return answer{}, err
	}
	read := h.own
	if status == workflow.Signing {
		read = h.sent
	}
	doc, err := read(r, r.sid)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, h.document(r.route.generation, doc)}, nil
}

// remove is the DELETE of v2: it cancels the document, which can still be read.
func (h *handler) remove(r *request) (answer, error) {
	if _, err := h.own(r, r.sid); err != nil {
		return answer{}, err
	}
	err := h.append(r, events.StatusChanged("", "delete."+rand.Text(), r.account, r.sid, workflow.StatusChanged{
		Status: workflow.Canceled, CanceledBy: "account", Reason: "canceled through the API",
	}))
	return answer{status: http.StatusNoContent}, err
}

// append appends events one after the other, and waits for this worker's
// database to apply each. Several events are validated before the first is
// appended; a single event is not, because appending validates it.
func (h *handler) append(r *request, es ...events.Event) error {
	for i, e := range es {
		es[i] = e.By(workflow.WriterAPI)
		es[i].Actor = string(r.user)
		var p *workflow.Problem
		if len(es) > 1 && errors.As(es[i].Validate(), &p) {
			return r.invalid(p)
		}
	}
	for _, e := range es {
		if err := h.appendOne(r, e); err != nil {
			return err
		}
	}
	return nil
}

func (h *handler) appendOne(r *request, e events.Event) error {
	defer h.Log.Hurry()()
	ctx, cancel := context.WithTimeout(r.ctx, h.AppendWait)
	defer cancel()
	sequence, err := h.Log.Append(ctx, e)
	var bad *workflow.Problem
	switch {
	case errors.As(err, &bad):
		return r.invalid(bad)
	case err != nil:
		return err
	}
	r.appended = sequence
	applied, done := context.WithTimeout(r.ctx, h.AppendWait/2)
	defer done()
	if err := h.Progress.WaitApplied(applied, sequence); err != nil {
		return unavailable(fmt.Sprintf("the request is on the log at %d, and this worker has not read the log that far yet", sequence))
	}
	r.sequence = h.Progress.Position().Sequence
	p, err := h.Documents.Refusal(r.ctx, e.Identity())
	if err != nil {
		return err
	}
	if p != nil {
		return h.refused(r, p)
	}
	return nil
}

// sent reads a document whose signature email is pending, and waits a while until it
// is sent: Twilio's answers say signing. If that takes too long, the answer says
// opened.
func (h *handler) sent(r *request, sid workflow.SID) (workflow.Document, error) {
	defer h.Log.Hurry()()
	ctx, cancel := context.WithTimeout(r.ctx, h.SigningWait)
	defer cancel()
	for {
		doc, again, err := h.lookSent(ctx, r, sid)
		if !again {
			return doc, err
		}
	}
}

// lookSent reads the document, and reports whether it was changed while its email is
// still pending, before ctx ended.
func (h *handler) lookSent(ctx context.Context, r *request, sid workflow.SID) (doc workflow.Document, again bool, err error) {
	changed, forget := h.Progress.DocumentChanged(sid)
	defer forget()
	sequence := h.Progress.Position().Sequence
	if doc, err = h.own(r, sid); err != nil {
		return doc, false, err
	}
	r.sequence = sequence
	if doc.Status != workflow.Opened || doc.Hold || doc.Waits() {
		return doc, false, nil
	}
	select {
	case <-changed:
		return doc, true, nil
	case <-ctx.Done():
		return doc, false, nil
	}
}
