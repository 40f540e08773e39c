package db

import (
	"context"
	"fmt"
	"slices"
	"time"

	"countersign/db/internal/sqlc"
	"countersign/workflow"
)

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
