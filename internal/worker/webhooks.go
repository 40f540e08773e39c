package worker

import (
	"fmt"
	"time"

	"countersign/internal/eventlog"
	"countersign/internal/relay"
	"countersign/internal/webhook"
	"countersign/workflow"
)

// deliveryPlaces is how many deliveries to one receiver may be in flight.
const deliveryPlaces = 8

// deliveryDeadline is how long after a claim its deliveries without an outcome may
// be claimed again. A try takes ten seconds at the most.
const deliveryDeadline = time.Minute

func (w *Worker) newReceivers() (*webhook.Sender, error) {
	tls, err := webhook.Authorities(w.cfg.WebhookCA)
	if err != nil {
		return nil, fmt.Errorf("--webhook-ca: %w", err)
	}
	token := func(account workflow.SID) (string, error) {
		sealed, err := w.accounts.SealedToken(account)
		if err != nil {
			return "", err
		}
		return w.webhookKey.Open(account, sealed)
	}
	return webhook.New(webhook.Options{
		Key: w.webhookKey, Token: token, TLS: tls, Now: w.o.Clock,
		Allow: webhook.Allow{Networks: w.cfg.WebhookNetworks, Hosts: w.cfg.WebhookHosts},
	}), nil
}

func (w *Worker) deliveries(log *eventlog.Log) *relay.Deliveries {
	return &relay.Deliveries{
		Store: w.store, Log: log, Receivers: w.receivers, Each: deliveryPlaces, Deadline: deliveryDeadline, Logger: w.logger, Count: w.delivered.Count,
	}
}
