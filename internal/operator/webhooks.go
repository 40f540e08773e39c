package operator

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"countersign/db"
	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/publish"
	"countersign/internal/webhook"
	"countersign/workflow"
)

// Receiver is a webhook, or the host of callbacks, with what is not delivered to it.
type Receiver struct {
	Receiver string                 `json:"receiver"`              // the webhook's sid; of callbacks the account and the host
	Account  workflow.SID           `json:"account_sid,omitempty"` // of a webhook, as is all that follows
	URL      string                 `json:"url,omitempty"`
	Status   workflow.WebhookStatus `json:"status,omitempty"`
	Reason   string                 `json:"reason,omitempty"` // why it is disabled
	Secrets  []int                  `json:"secret_versions,omitempty"`
	Pending  int                    `json:"pending"`         // deliveries
	Dead     int                    `json:"dead"`            // deliveries that were given up
	Oldest   time.Time              `json:"oldest,omitzero"` // when the oldest pending one became pending
}

// ListWebhooks lists the webhooks of an account, or of all accounts, and then the hosts
// of callbacks to which something is not delivered.
func ListWebhooks(ctx context.Context, store *db.Store, account workflow.SID) ([]Receiver, error) {
	webhooks, err := store.Webhooks(ctx, account)
	if err != nil {
		return nil, err
	}
	counts, err := store.CountDeliveries(ctx)
	list := make([]Receiver, 0, len(webhooks))
	for _, w := range webhooks {
		c := counts[string(w.SID)]
		list = append(list, Receiver{string(w.SID), w.AccountSID, w.URL, w.Status, w.Reason, w.Secrets, c.Pending, c.Dead, c.Oldest})
	}
	for _, receiver := range slices.Sorted(maps.Keys(counts)) {
		if c := counts[receiver]; len(receiver) > 35 && (account == "" || receiver[:34] == string(account)) {
			list = append(list, Receiver{Receiver: receiver, Pending: c.Pending, Dead: c.Dead, Oldest: c.Oldest})
		}
	}
	return list, err
}

var accountSID = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)

// AddWebhook gives an account a webhook, and returns its sid and its secret. It
// makes the webhook key if there is none. It fails with workflow.ErrInvalid if the
// account's sid or the URL is invalid, and otherwise as SetWebhook does.
func (o *Operator) AddWebhook(ctx context.Context, account workflow.SID, target string, dryRun bool) (string, error) {
	if !accountSID.MatchString(string(account)) {
		return "", fmt.Errorf("%w: the account's sid must be AC and 32 hex digits", workflow.ErrInvalid)
	}
	if err := o.allow().CheckURL(target); err != nil {
		return "", err
	}
	if dryRun {
		return fmt.Sprintf("account %s would get a webhook", account), nil
	}
	var random [16]byte
	rand.Read(random[:]) // never fails
	w := workflow.Webhook{WebhookSet: workflow.WebhookSet{
		SID: workflow.SID("WH" + hex.EncodeToString(random[:])), AccountSID: account, URL: target, Status: workflow.WebhookEnabled, Secrets: []int{1},
	}}
	key := o.webhookKey()
	if err := key.Make(); err != nil {
		return "", err
	}
	return o.setAndTell(ctx, w, key)
}

// RotateWebhook gives a webhook a new secret and returns it. The one before it signs,
// too, until the next rotation. It fails as SetWebhook does.
func (o *Operator) RotateWebhook(ctx context.Context, sid workflow.SID, dryRun bool) (string, error) {
	w, err := o.webhook(ctx, sid)
	if err != nil {
		return "", err
	}
	if dryRun {
		return fmt.Sprintf("%s would get a new secret", sid), nil
	}
	newest := 0
	if len(w.Secrets) > 0 {
		newest = w.Secrets[0]
	}
	w.Secrets = append([]int{newest + 1}, w.Secrets...)
	w.Secrets = w.Secrets[:min(len(w.Secrets), 2)]
	return o.setAndTell(ctx, w, o.webhookKey())
}

// setAndTell sets a webhook, and returns its sid and its newest secret.
func (o *Operator) setAndTell(ctx context.Context, w workflow.Webhook, key *webhook.Key) (string, error) {
	secret, err := key.Secret(w.SID, w.Secrets[0])
	if err != nil {
		return "", err
	}
	return string(w.SID) + " " + secret, o.SetWebhook(ctx, w)
}

// EnableWebhook lets a disabled webhook go on, and returns what was done. It fails as
// SetWebhook does.
func (o *Operator) EnableWebhook(ctx context.Context, sid workflow.SID, dryRun bool) (string, error) {
	return o.changeWebhook(ctx, sid, dryRun, func(w *workflow.WebhookSet) { w.Status, w.Reason = workflow.WebhookEnabled, "" })
}

// DisableWebhook stops a webhook: its pending deliveries become dead letters. It
// returns what was done, and fails as SetWebhook does.
func (o *Operator) DisableWebhook(ctx context.Context, sid workflow.SID, dryRun bool) (string, error) {
	return o.changeWebhook(ctx, sid, dryRun, func(w *workflow.WebhookSet) { w.Status, w.Reason = workflow.WebhookDisabled, "by an operator" })
}

// RemoveWebhook removes a webhook and its deliveries, and returns what was done. It
// fails as SetWebhook does.
func (o *Operator) RemoveWebhook(ctx context.Context, sid workflow.SID, dryRun bool) (string, error) {
	return o.changeWebhook(ctx, sid, dryRun, func(w *workflow.WebhookSet) {
		*w = workflow.WebhookSet{SID: w.SID, AccountSID: w.AccountSID, Status: workflow.WebhookDeleted}
	})
}

// changeWebhook changes the status of a webhook. One that has it stays as it is.
func (o *Operator) changeWebhook(ctx context.Context, sid workflow.SID, dryRun bool, edit func(*workflow.WebhookSet)) (string, error) {
	w, err := o.webhook(ctx, sid)
	if err != nil {
		return "", err
	}
	before := w.Status
	edit(&w.WebhookSet)
	switch {
	case w.Status == before:
		return fmt.Sprintf("%s is %s", sid, before), nil
	case dryRun:
		return fmt.Sprintf("%s would be %s; it is %s", sid, w.Status, before), nil
	}
	return fmt.Sprintf("%s is %s", sid, w.Status), o.SetWebhook(ctx, w)
}

// SetWebhook puts a webhook on the log, and waits until the worker has applied it. It
// fails with workflow.ErrConflict if the webhook was set since w was read, and with
// workflow.ErrUnavailable if the log or the worker does not answer.
func (o *Operator) SetWebhook(ctx context.Context, w workflow.Webhook) error {
	// The id follows from what was read: of two changes of the same state, one counts.
	sequence, err := o.publishAndWait(ctx, eventlog.WebhookSet(fmt.Sprintf("%s.set.after.%d", w.SID, w.Sequence), time.Now(), w.WebhookSet))
	if err != nil || w.Status == workflow.WebhookDeleted {
		return err
	}
	if now, err := o.webhook(ctx, w.SID); err != nil || now.Sequence != sequence {
		return fmt.Errorf("%w: %s was changed meanwhile: look at it with countersign webhooks list, and try again", workflow.ErrConflict, w.SID)
	}
	return nil
}

func (o *Operator) publishAndWait(ctx context.Context, e events.Event) (sequence uint64, err error) {
	if sequence, err = publish.Event(ctx, o.Config, o.Logger, e); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Wait)
	defer cancel()
	if err := publish.WaitApplied(ctx, o.Store, sequence); err != nil {
		return sequence, notApplied(sequence, o.Wait)
	}
	return sequence, nil
}

// TestWebhook sends a message of the type webhook.test to a webhook from this machine,
// now, and returns what the receiver answered. It fails with workflow.ErrUnavailable
// if the receiver did not answer 2xx.
func (o *Operator) TestWebhook(ctx context.Context, sid workflow.SID, dryRun bool) (string, error) {
	w, err := o.webhook(ctx, sid)
	if err != nil || dryRun {
		return fmt.Sprintf("%s would get a message of the type webhook.test", sid), err
	}
	authorities, err := webhook.Authorities(o.Config.WebhookCA)
	if err != nil {
		return "", fmt.Errorf("--webhook-ca: %w", err)
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	sender := webhook.New(webhook.Options{Key: o.webhookKey(), Allow: o.allow(), TLS: authorities, Now: time.Now})
	outcome := sender.Deliver(ctx, workflow.Delivery{
		ID: workflow.DeliveryID(fmt.Sprintf("%s_test_%d", sid, now.UnixMilli())), Account: w.AccountSID, Receiver: string(sid), Type: "webhook.test",
		Body: fmt.Sprintf(`{"type":"webhook.test","timestamp":%q,"data":{"webhook_sid":%q}}`, now.Format(time.RFC3339Nano), sid),
	}, w)
	if outcome.Result != workflow.DeliveryDone {
		return "", fmt.Errorf("%w: the test of %s failed: %s", workflow.ErrUnavailable, sid, outcome.Reply)
	}
	return fmt.Sprintf("%s answered %d", sid, outcome.Code), nil
}

// redriveMost bounds the deliveries of one event.
const redriveMost = 1000

// RedriveDeliveries makes the dead letters of a receiver pending again, at the most
// a thousand, and returns what was done. It fails with workflow.ErrUnavailable if
// the log or the worker does not answer.
func (o *Operator) RedriveDeliveries(ctx context.Context, receiver workflow.SID, dryRun bool) (string, error) {
	dead, err := o.Store.Deliveries(ctx, string(receiver), workflow.DeliveryDead, redriveMost)
	if err != nil || len(dead) == 0 {
		return "0 deliveries are pending again", err
	}
	if dryRun {
		return fmt.Sprintf("%d deliveries would be pending again", len(dead)), nil
	}
	ids := make([]workflow.DeliveryID, len(dead))
	for i, x := range dead {
		ids[i] = x.ID
	}
	id := fmt.Sprintf("redriven.%s.%d", ids[0], o.Store.Position().Sequence)
	_, err = o.publishAndWait(ctx, eventlog.DeliveriesRedriven(id, time.Now(), workflow.DeliveriesRedriven{Deliveries: ids}))
	return fmt.Sprintf("%d deliveries are pending again", len(ids)), err
}

// webhook reads a webhook. It fails with workflow.ErrNotFound if there is none.
func (o *Operator) webhook(ctx context.Context, sid workflow.SID) (workflow.Webhook, error) {
	all, err := o.Store.Webhooks(ctx, "")
	i := slices.IndexFunc(all, func(w workflow.Webhook) bool { return w.SID == sid })
	if i < 0 {
		return workflow.Webhook{}, cmp.Or(err, fmt.Errorf("%w: webhook %s: countersign webhooks list shows all webhooks", workflow.ErrNotFound, sid))
	}
	return all[i], err
}

func (o *Operator) webhookKey() *webhook.Key {
	return webhook.OpenKey(o.Config.WebhookKey, time.Now, o.Logger)
}

func (o *Operator) allow() webhook.Allow {
	return webhook.Allow{Networks: o.Config.WebhookNetworks, Hosts: o.Config.WebhookHosts}
}
