package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

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
		err = errors.Join(err, q.AdvanceDeliveries(ctx, sqlc.AdvanceDeliveriesParams(o)))
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

// Webhooks lists the webhooks of an account, or of all accounts if account is
// empty, the oldest first.
func (s *Store) Webhooks(ctx context.Context, account workflow.SID) ([]workflow.Webhook, error) {
	rows, err := s.rq.AllWebhooks(ctx)
	if err != nil {
		return nil, fmt.Errorf("read webhooks: %w", err)
	}
	rows = slices.DeleteFunc(rows, func(r sqlc.Webhook) bool { return account != "" && r.AccountSID != account })
	return each(rows, webhook)
}

// DueReceivers lists the receivers that have pending deliveries, with the time at
// which the first one to each is due.
func (s *Store) DueReceivers(ctx context.Context) (map[string]time.Time, error) {
	rows, err := s.rq.DueReceivers(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the receivers of due deliveries: %w", err)
	}
	due := make(map[string]time.Time, len(rows))
	for _, r := range rows {
		due[r.Receiver] = fromMS(r.DueMS)
	}
	return due, nil
}

// DueDeliveries lists at most most deliveries to a receiver that are due at now,
// the longest due first.
func (s *Store) DueDeliveries(ctx context.Context, receiver string, now time.Time, most int) ([]workflow.DeliveryID, error) {
	ids, err := s.rq.DueDeliveries(ctx, sqlc.DueDeliveriesParams{Receiver: receiver, NowMS: ms(now), Most: int64(most)})
	if err != nil {
		return nil, fmt.Errorf("read due deliveries: %w", err)
	}
	return ids, nil
}

// ClaimedDeliveries lists the deliveries that the claim at seq holds, in the order
// in which they became pending.
func (s *Store) ClaimedDeliveries(ctx context.Context, seq uint64) ([]workflow.Delivery, error) {
	rows, err := s.rq.ClaimedDeliveries(ctx, int64(seq))
	if err != nil {
		return nil, fmt.Errorf("read the deliveries of claim %d: %w", seq, err)
	}
	return deliveries(rows), nil
}

// OpenDeliveryClaims lists the claims that have deliveries without an outcome,
// oldest first.
func (s *Store) OpenDeliveryClaims(ctx context.Context) ([]uint64, error) {
	rows, err := s.rq.OpenDeliveryClaims(ctx)
	if err != nil {
		return nil, fmt.Errorf("read open claims of deliveries: %w", err)
	}
	claims := make([]uint64, len(rows))
	for i, r := range rows {
		claims[i] = uint64(r)
	}
	return claims, nil
}

// Deliveries lists at most most deliveries in the order in which they became
// pending: those to a receiver and in a state, or to all receivers and in every
// state if these are empty.
func (s *Store) Deliveries(ctx context.Context, receiver string, state workflow.DeliveryState, most int) ([]workflow.Delivery, error) {
	rows, err := s.rq.ListDeliveries(ctx, sqlc.ListDeliveriesParams{Of: receiver, Only: string(state), Most: int64(most)})
	if err != nil {
		return nil, fmt.Errorf("read deliveries: %w", err)
	}
	return deliveries(rows), nil
}

// DeliveryCount is how many deliveries to a receiver are not done.
type DeliveryCount struct {
	Pending int       // waiting, pending and claimed
	Dead    int       // dead letters
	Oldest  time.Time // when the oldest of Pending became pending; zero if there is none
}

// CountDeliveries counts the deliveries that are not done, by receiver.
func (s *Store) CountDeliveries(ctx context.Context) (map[string]DeliveryCount, error) {
	rows, err := s.rq.CountDeliveries(ctx)
	if err != nil {
		return nil, fmt.Errorf("count deliveries: %w", err)
	}
	counts := map[string]DeliveryCount{}
	for _, r := range rows {
		c := counts[r.Receiver]
		if r.State.Done() {
			c.Dead += int(r.N)
		} else {
			c.Pending += int(r.N)
			if at := fromMS(r.OldestMS); c.Oldest.IsZero() || at.Before(c.Oldest) {
				c.Oldest = at
			}
		}
		counts[r.Receiver] = c
	}
	return counts, nil
}

func webhook(r sqlc.Webhook) (workflow.Webhook, error) {
	w := workflow.Webhook{
		WebhookSet: workflow.WebhookSet{SID: r.SID, AccountSID: r.AccountSID, URL: r.URL, Status: r.Status, Reason: r.Reason},
		Sequence:   uint64(r.Sequence), Created: fromMS(r.CreatedMS), Updated: fromMS(r.UpdatedMS),
	}
	if err := decodeAny(r.Secrets, &w.Secrets); err != nil {
		return w, fmt.Errorf("webhook %s: %w", r.SID, err)
	}
	return w, nil
}

func deliveryRow(x workflow.Delivery) sqlc.AddDeliveryParams {
	return sqlc.AddDeliveryParams{
		ID: x.ID, AccountSID: x.Account, Receiver: x.Receiver, About: x.About, DocumentSID: x.Document, Type: x.Type,
		Method: x.Method, URL: x.URL, Body: x.Body, CausedMS: ms(x.CausedAt), DueMS: ms(x.Due),
	}
}

func deliveries(rows []sqlc.Delivery) []workflow.Delivery {
	out := make([]workflow.Delivery, len(rows))
	for i, r := range rows {
		out[i] = delivery(r)
	}
	return out
}

func delivery(r sqlc.Delivery) workflow.Delivery {
	return workflow.Delivery{
		ID: r.ID, Account: r.AccountSID, Receiver: r.Receiver, About: r.About, Document: r.DocumentSID, Type: r.Type,
		Method: r.Method, URL: r.URL, Body: r.Body, State: r.State, CausedAt: fromMS(r.CausedMS), Due: fromMS(r.DueMS),
		Failures: int(r.Failures), Claim: uint64(r.Claim), Code: int(r.Code), Reply: r.Reply,
	}
}

// Delivers reports whether this worker made the last claim of deliveries, or nobody
// has.
func (p Position) Delivers() bool {
	return p.HookClaim == 0 || p.HookWorker == "" || p.HookWorker == p.Worker
}
