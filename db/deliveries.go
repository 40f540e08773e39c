package db

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"

	"countersign/db/internal/sqlc"
	"countersign/workflow"
)

// deliveryChange is one step of the deliveries, taken when the batch is written
// down, in the log's order: a new delivery, or what an entry says about webhooks and
// deliveries.
type deliveryChange struct {
	made  *workflow.Delivery
	entry workflow.Entry
}

// loadWebhooks reads the webhooks, unless the batch before has left them.
func (b *batch) loadWebhooks(ctx context.Context) error {
	if b.webhooks != nil {
		return nil
	}
	rows, err := b.q.AllWebhooks(ctx)
	if err != nil {
		return err
	}
	b.webhooks = map[workflow.SID][]workflow.Webhook{}
	for _, r := range rows {
		w, err := webhook(r)
		if err != nil {
			return err
		}
		b.webhooks[w.AccountSID] = append(b.webhooks[w.AccountSID], w)
	}
	return nil
}

// setWebhook keeps what a webhook is from now on.
func (b *batch) setWebhook(e workflow.Entry, body workflow.WebhookSet) {
	w := workflow.Webhook{WebhookSet: body, Sequence: e.Sequence, Created: e.Time, Updated: e.Time}
	all := slices.Clone(b.webhooks[body.AccountSID]) // decisions before this one have the old list
	i := slices.IndexFunc(all, func(o workflow.Webhook) bool { return o.SID == body.SID })
	if i >= 0 {
		w.Created = all[i].Created
		all = slices.Delete(all, i, i+1)
	}
	if body.Status != workflow.WebhookDeleted {
		all = append(all, w)
	}
	b.webhooks[body.AccountSID] = all
	b.delivered = append(b.delivered, deliveryChange{entry: e})
}

// toldOf lists the enabled webhooks of a document's account.
func (b *batch) toldOf(s *workflow.State, e workflow.Entry) []workflow.Webhook {
	if len(b.webhooks) == 0 {
		return nil
	}
	account := s.Document.AccountSID
	if account == "" {
		account = e.Account
	}
	return slices.DeleteFunc(slices.Clone(b.webhooks[account]), func(w workflow.Webhook) bool { return w.Status != workflow.WebhookEnabled })
}

// flushDeliveries takes the steps of the deliveries one after the other.
func (b *batch) flushDeliveries(ctx context.Context) error {
	for _, c := range b.delivered {
		err := error(nil)
		switch body := c.entry.Body.(type) {
		case nil:
			err = b.q.AddDelivery(ctx, deliveryRow(*c.made))
		case workflow.WebhookSet:
			err = b.putWebhook(ctx, c.entry, body)
		case workflow.DeliveriesClaimed:
			err = b.eachDelivery(ctx, body.Deliveries, func(x workflow.Delivery) error {
				if x, ok := x.Claimed(c.entry.Sequence); ok {
					return b.setDelivery(ctx, x)
				}
				return nil
			})
		case workflow.DeliveriesSettled:
			for _, o := range body.Outcomes {
				err = errors.Join(err, b.eachDelivery(ctx, []workflow.DeliveryID{o.Delivery}, func(x workflow.Delivery) error {
					return b.settleDelivery(ctx, c.entry, x, body.Claim, o)
				}))
			}
		case workflow.DeliveriesRedriven:
			err = b.eachDelivery(ctx, body.Deliveries, func(x workflow.Delivery) error {
				if x.State != workflow.DeliveryDead {
					return nil
				}
				x.State, x.Failures, x.Due = workflow.DeliveryWaiting, 0, c.entry.Time
				b.noteDelivery(c.entry, x, "webhook redriven", "")
				return errors.Join(b.setDelivery(ctx, x), b.advanceDeliveries(ctx, x))
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// eachDelivery calls f with each of the deliveries that there is.
func (b *batch) eachDelivery(ctx context.Context, ids []workflow.DeliveryID, f func(workflow.Delivery) error) error {
	for _, id := range ids {
		r, err := b.q.GetDelivery(ctx, id)
		if errors.Is(err, sql.ErrNoRows) {
			continue // it is delivered, or was erased with its document
		}
		if err == nil {
			err = f(delivery(r))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) settleDelivery(ctx context.Context, e workflow.Entry, x workflow.Delivery, claim uint64, o workflow.DeliveryOutcome) error {
	wanted, err := b.wanted(ctx, x)
	if err != nil {
		return err
	}
	after, delivered, counts := x.Settled(claim, o, e.Time, wanted)
	switch {
	case !counts:
		return nil
	case delivered:
		b.noteDelivery(e, after, "webhook delivered", strconv.Itoa(after.Code))
		return errors.Join(b.q.DeleteDelivery(ctx, x.ID), b.advanceDeliveries(ctx, x))
	case after.State == workflow.DeliveryDead:
		b.noteDelivery(e, after, "webhook given up", after.Reply)
		return errors.Join(b.setDelivery(ctx, after), b.advanceDeliveries(ctx, x))
	case o.Result == workflow.DeliveryFailed:
		b.noteDelivery(e, after, "webhook failed", after.Reply)
	}
	return b.setDelivery(ctx, after)
}

// wanted reports whether the receiver of a delivery wants it: a webhook must be
// enabled, a callback always is wanted. It asks the table, which is as the steps
// before this one have left it.
func (b *batch) wanted(ctx context.Context, x workflow.Delivery) (bool, error) {
	if x.URL != "" {
		return true, nil
	}
	n, err := b.q.WebhookEnabled(ctx, workflow.SID(x.Receiver))
	return n > 0, err
}

func (b *batch) advanceDeliveries(ctx context.Context, x workflow.Delivery) error {
	return b.q.AdvanceDeliveries(ctx, sqlc.AdvanceDeliveriesParams{Receiver: x.Receiver, About: x.About})
}

// eraseDeliveries removes a document's deliveries. Those of other documents that
// waited behind them, because an order was on both, may go then.
func eraseDeliveries(ctx context.Context, q *sqlc.Queries, document workflow.SID) error {
	orders, err := q.OrdersToldOf(ctx, document)
	if err == nil {
		err = q.DeleteDocumentDeliveries(ctx, document)
	}
	for _, o := range orders {
		err = errors.Join(err, q.AdvanceDeliveries(ctx, sqlc.AdvanceDeliveriesParams{Receiver: o.Receiver, About: o.About}))
	}
	return err
}

func (b *batch) setDelivery(ctx context.Context, x workflow.Delivery) error {
	return b.q.SetDelivery(ctx, sqlc.SetDeliveryParams{
		State: x.State, DueMS: ms(x.Due), Failures: int64(x.Failures), Claim: int64(x.Claim), Code: int64(x.Code), Reply: x.Reply, ID: x.ID,
	})
}

// putWebhook writes a webhook, and stops the deliveries of one that is not enabled.
func (b *batch) putWebhook(ctx context.Context, e workflow.Entry, w workflow.WebhookSet) error {
	if w.Status == workflow.WebhookDeleted {
		return errors.Join(b.q.DeleteWebhook(ctx, w.SID), b.q.DeleteDeliveries(ctx, string(w.SID)))
	}
	err := b.q.PutWebhook(ctx, sqlc.PutWebhookParams{
		SID: w.SID, AccountSID: w.AccountSID, URL: w.URL, Status: w.Status, Reason: w.Reason, Secrets: encode(w.Secrets),
		Sequence: int64(e.Sequence), CreatedMS: ms(e.Time), UpdatedMS: ms(e.Time),
	})
	if err == nil && w.Status == workflow.WebhookDisabled {
		err = b.q.StopDeliveries(ctx, sqlc.StopDeliveriesParams{Reply: "the webhook is disabled", Receiver: string(w.SID)})
	}
	return err
}

// noteDelivery adds a line to the history of a delivery's document.
func (b *batch) noteDelivery(e workflow.Entry, x workflow.Delivery, what, detail string) {
	if x.Document == "" {
		return
	}
	if detail != "" {
		detail = ": " + detail
	}
	number := 0
	for i := len(b.lines) - 1; i >= 0 && number == 0; i-- {
		if l := b.lines[i]; l.document == x.Document && l.sequence == e.Sequence {
			number = l.number + 1
		}
	}
	b.lines = append(b.lines, line{x.Document, e.Sequence, number, e.Time, workflow.Note{What: what, Detail: string(x.ID) + detail}})
}
