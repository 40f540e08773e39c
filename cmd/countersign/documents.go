package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/internal/operator"
	"countersign/internal/show"
	"countersign/workflow"
)

func (a *app) documents() *cobra.Command {
	return parent("documents", "Look at documents, send them again, recall or cancel them",
		"Reads the database of a worker on this machine, running or not; see --data-dir.",
		a.documentsList(), a.documentsShow(), a.documentsResend(), a.documentsRecall(), a.documentsCancel())
}

func (a *app) documentsList() *cobra.Command {
	var f db.Filter
	var account, status string
	c := &cobra.Command{
		Use:     "list",
		Short:   "List documents, the newest first",
		Example: "  countersign documents list --status signing --limit 10\n  countersign documents list --in-doubt --json",
		Args:    cobra.NoArgs,
	}
	c.Flags().StringVar(&account, "account", "", "only documents of this account (AC…)")
	c.Flags().StringVar(&status, "status", "", "only documents with this status: opened, signing, signed, canceled or failed")
	c.Flags().StringVar(&f.Email, "email", "", "only documents of this signer")
	c.Flags().BoolVar(&f.InDoubt, "in-doubt", false, "only documents with an email that may have gone out twice or not at all")
	limit, asJSON := limitFlag(c, "documents"), jsonLines(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		f.Account, f.Status, f.Limit = workflow.SID(account), workflow.Status(status), *limit
		if f.Status != "" && !slices.Contains(workflow.Statuses, f.Status) {
			return unknownValue("--status", status, workflow.Statuses)
		}
		if err := accountFilter(account); err != nil {
			return err
		}
		return a.withStore(c, func(ctx context.Context, store *db.Store) error {
			docs, err := store.Documents(ctx, f)
			if err != nil {
				return err
			}
			a.sayLimit(len(docs), f.Limit)
			return show.List(a.out, *asJSON, docs, show.Documents)
		})
	}
	return c
}

func (a *app) documentsShow() *cobra.Command {
	c := &cobra.Command{
		Use:   "show PX…",
		Short: "Show a document: its state, orders, emails with their SMTP replies, and history",
		Args:  aDocument,
	}
	asJSON := jsonObject(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.withStore(c, func(ctx context.Context, store *db.Store) error {
			sid, err := store.FindSID(ctx, args[0])
			if err != nil {
				return err
			}
			life, err := store.Life(ctx, sid)
			if err != nil {
				return err
			}
			if *asJSON {
				return a.out.JSONIndent(operator.LifeOf(life))
			}
			return show.Document(a.out, sid, life)
		})
	}
	return c
}

// ask completes a command that publishes events about one document: documents
// resend, recall or cancel. plan says which events.
func (a *app) ask(c *cobra.Command, plan func(db.Life) (operator.Plan, error)) *cobra.Command {
	c.Args = aDocument
	wait, dryRun, asJSON := waitFlag(c, 30*time.Second), dryRunFlag(c), jsonObject(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.withOperator(c, *wait, func(ctx context.Context, o *operator.Operator) error {
			sid, err := o.Store.FindSID(ctx, args[0])
			if err != nil {
				return err
			}
			life, err := o.Document(ctx, sid)
			if err != nil {
				return err
			}
			p, err := plan(life)
			if err != nil {
				return err
			}
			a.err.Linef("%s: %s", sid, p.Say)
			if err := p.Check(); err != nil {
				return exitError{err, exitUsage}
			}
			if !*dryRun {
				if err := o.Do(ctx, p); err != nil {
					return err
				}
			}
			d, err := o.Store.Document(ctx, sid)
			if err != nil {
				return err
			}
			if *asJSON {
				return a.out.JSON(d)
			}
			return a.out.Tabs(d.SID, show.Status(d), fmt.Sprintf("round %d", d.Round))
		})
	}
	return c
}

func (a *app) documentsRecall() *cobra.Command {
	return a.ask(&cobra.Command{
		Use:   "recall PX…",
		Short: "Recall a document from its signer, so that it can be changed",
		Long:  "The links that were sent no longer work. The document is opened and held, in a new round, until documents resend sends it.",
	}, func(l db.Life) (operator.Plan, error) { return operator.Recall(*l.Document) })
}

func (a *app) documentsCancel() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "cancel PX… --reason TEXT",
		Short: "Cancel a document before it is signed, in the name of its account",
		Long:  "The links that were sent no longer work, and the document's orders may be put on another document. It cannot be undone.",
	}
	c.Flags().StringVar(&reason, "reason", "", "why; the account can read it")
	return a.ask(c, func(l db.Life) (operator.Plan, error) {
		if strings.TrimSpace(reason) == "" {
			return operator.Plan{}, usagef("--reason is missing: say why the document is canceled")
		}
		return operator.Cancel(*l.Document, reason)
	})
}

func (a *app) documentsResend() *cobra.Command {
	var email *string // nil without the flag: an empty address is a mistake
	c := &cobra.Command{
		Use:   "resend PX…",
		Short: "Send the signature email again, or to a corrected address",
		Long: `Sends the signature email again, in the same round: its link opens the same letter, and links that were sent before still
work. An email that waits for its next try is tried at once. A document that is held is sent.

With --email the document is recalled, so that links at the old address no longer work, and sent to the new address in a new
round. If the command is interrupted, run it again: it continues.`,
	}
	c.Flags().Func("email", "the signer's corrected `address`", func(s string) error { email = &s; return nil })
	c.Example = "  countersign documents resend PX4f1c\n  countersign documents resend PX4f1c --email owner@example.com --dry-run"
	return a.ask(c, func(l db.Life) (operator.Plan, error) { return operator.Resend(*l.Document, l.Mails, email) })
}
