package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/internal/operator"
	"countersign/internal/show"
	"countersign/workflow"
)

func (a *app) webhooks() *cobra.Command {
	return parent("webhooks", "Tell receivers by HTTP what becomes of an account's documents and orders",
		`A webhook is a URL that gets a signed message (Standard Webhooks) for each status of each document and order of one account.
Webhooks are on the log: every worker has the same. Their secrets follow from the webhook key and are printed once.`,
		a.webhooksAdd(), a.webhooksList(),
		a.onWebhook("rotate WEBHOOK", "Give a webhook a new secret and print it; the one before signs too, until the next rotation", (*operator.Operator).RotateWebhook),
		a.onWebhook("test WEBHOOK", "Send a test message to a webhook from this machine", (*operator.Operator).TestWebhook),
		a.onWebhook("disable WEBHOOK", "Stop a webhook; its pending deliveries become dead letters", (*operator.Operator).DisableWebhook),
		a.onWebhook("enable WEBHOOK", "Let a disabled webhook go on", (*operator.Operator).EnableWebhook),
		a.onWebhook("remove WEBHOOK", "Remove a webhook, and its deliveries, dead letters too", (*operator.Operator).RemoveWebhook),
		a.onWebhook("redrive RECEIVER", "Make the dead letters of a receiver pending again; webhooks list shows receivers", (*operator.Operator).RedriveDeliveries))
}

func (a *app) webhooksAdd() *cobra.Command {
	var account, url string
	c := a.onWebhook("add", "Give an account a webhook; prints its sid and its secret, once", func(o *operator.Operator, ctx context.Context, _ workflow.SID, dryRun bool) (string, error) {
		return o.AddWebhook(ctx, workflow.SID(account), url, dryRun)
	})
	c.Args = cobra.NoArgs
	c.Flags().StringVar(&account, "account", "", "whose documents and orders it is told about (AC…)")
	c.Flags().StringVar(&url, "url", "", "where messages are posted, https://…")
	return c
}

func (a *app) webhooksList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List webhooks, and how many deliveries are pending or dead", Args: cobra.NoArgs}
	account, asJSON := c.Flags().String("account", "", "only those of this account (AC…)"), jsonLines(c)
	before(c, func() error { return accountFilter(*account) })
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withStore(c, func(ctx context.Context, store *db.Store) error {
			list, err := operator.ListWebhooks(ctx, store, workflow.SID(*account))
			if err == nil {
				err = show.List(a.out, *asJSON, list, show.Webhooks)
			}
			return err
		})
	}
	return c
}

// onWebhook makes a command that does one thing to a webhook. do returns what is printed.
func (a *app) onWebhook(use, short string, do func(*operator.Operator, context.Context, workflow.SID, bool) (string, error)) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1)}
	wait, dryRun := waitFlag(c, 30*time.Second), dryRunFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.withOperator(c, *wait, func(ctx context.Context, o *operator.Operator) error {
			said, err := do(o, ctx, workflow.SID(append(args, "")[0]), *dryRun)
			if err == nil {
				err = a.out.Linef("%s", said)
			}
			return err
		})
	}
	return c
}
