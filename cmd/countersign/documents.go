package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/internal/config"
	"countersign/internal/operator"
	"countersign/internal/show"
	"countersign/workflow"
)

func (a *app) documents() *cobra.Command {
	c := &cobra.Command{
		Use:   "documents",
		Short: "Look at documents, send them again, take them back",
		Long:  "Reads the database of a worker on this machine, running or not; see --data-dir.",
		Args:  cobra.ArbitraryArgs,
		RunE:  group,
	}
	c.AddCommand(a.documentsList(), a.documentsShow(), a.documentsResend(), a.documentsRecall(), a.documentsCancel())
	return c
}

func (a *app) documentsList() *cobra.Command {
	var f db.Filter
	var account, status string
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List documents, the newest first",
		Args:  cobra.NoArgs,
	}
	c.Flags().StringVar(&account, "account", "", "only of this account (AC…)")
	c.Flags().StringVar(&status, "status", "", "only those that are opened, signing, signed, canceled or failed")
	c.Flags().StringVar(&f.Email, "email", "", "only of this signer")
	c.Flags().IntVar(&f.Limit, "limit", 50, "maximum number of documents")
	c.Flags().BoolVar(&f.InDoubt, "in-doubt", false, "only those with a mail that may have gone out twice, or not at all")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	c.RunE = func(c *cobra.Command, _ []string) error {
		f.Account, f.Status = workflow.SID(account), workflow.Status(status)
		if f.Status != "" && !slices.Contains(workflow.Statuses, f.Status) {
			return unknownValue("--status", status, workflow.Statuses)
		}
		if err := accountFilter(account); err != nil {
			return err
		}
		if f.Limit < 1 {
			return usageError{fmt.Errorf("--limit must be at least 1")}
		}
		return a.withStore(c, func(ctx context.Context, _ config.Config, store *db.Store) error {
			docs, err := store.Documents(ctx, f)
			if err != nil {
				return err
			}
			a.sayLimit(len(docs), f.Limit)
			if asJSON {
				return show.EachJSON(a.out, docs)
			}
			return show.Documents(a.out, docs)
		})
	}
	return c
}

func (a *app) documentsShow() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show PX…",
		Short: "Show all that is known of a document: state, orders, mails with their SMTP replies, history",
		Args:  cobra.ExactArgs(1),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	c.RunE = func(c *cobra.Command, args []string) error {
		prefix, err := sidArg(args[0])
		if err != nil {
			return err
		}
		return a.withStore(c, func(ctx context.Context, _ config.Config, store *db.Store) error {
			sid, err := store.FindSID(ctx, prefix)
			if err != nil {
				return err
			}
			life, err := store.Life(ctx, sid)
			if err != nil {
				return err
			}
			if asJSON {
				return a.out.JSONIndent(operator.LifeOf(life))
			}
			return show.Document(a.out, sid, life)
		})
	}
	return c
}
