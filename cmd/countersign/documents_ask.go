package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/internal/operator"
	"countersign/internal/show"
	"countersign/workflow"
)

// ask makes a command that asks something of one document: documents resend,
// recall and cancel.
func (a *app) ask(c *cobra.Command, plan func(db.Life) (operator.Plan, error)) *cobra.Command {
	var wait time.Duration
	var asJSON bool
	c.Args = cobra.ExactArgs(1)
	c.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to wait for the worker to apply it")
	dryRun := dryRunFlag(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print the document as one JSON object")
	c.RunE = func(c *cobra.Command, args []string) error {
		prefix, err := sidArg(args[0])
		if err != nil {
			return err
		}
		return a.withOperator(c, wait, func(ctx context.Context, o *operator.Operator) error {
			sid, err := o.Store.FindSID(ctx, prefix)
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
			if !*dryRun {
				if err := p.Check(); err != nil {
					return usageError{err}
				}
				if err := o.Do(ctx, p); err != nil {
					return err
				}
			}
			return a.state(ctx, o.Store, sid, asJSON)
		})
	}
	return c
}

// state prints a document's state.
func (a *app) state(ctx context.Context, store *db.Store, sid workflow.SID, asJSON bool) error {
	d, err := store.Document(ctx, sid)
	if err != nil {
		return err
	}
	if asJSON {
		return a.out.JSON(d)
	}
	return a.out.Tabs(d.SID, show.Status(d), fmt.Sprintf("round %d", d.Round))
}

func (a *app) documentsRecall() *cobra.Command {
	return a.ask(&cobra.Command{
		Use:   "recall PX…",
		Short: "Take a document back from its signer, to be changed or kept",
		Long:  "The link that was sent is dead, and the document is opened and held, as a new round. documents resend sends it again.",
	}, func(l db.Life) (operator.Plan, error) { return operator.Recall(*l.Document) })
}

func (a *app) documentsCancel() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "cancel PX… --reason TEXT",
		Short: "End a document before it is signed, in its account's name",
		Long:  "The link that was sent is dead, and the document's orders are free for another one. It cannot be undone.",
	}
	c.Flags().StringVar(&reason, "reason", "", "why; the account can read it")
	return a.ask(c, func(l db.Life) (operator.Plan, error) {
		if strings.TrimSpace(reason) == "" {
			return operator.Plan{}, usageError{errors.New("--reason is needed: why the document is canceled")}
		}
		return operator.Cancel(*l.Document, reason)
	})
}

func (a *app) documentsResend() *cobra.Command {
	var email string
	c := &cobra.Command{
		Use:   "resend PX…",
		Short: "Send the signature email again, or to a corrected address",
		Long: `The email goes out again, in the same round: its link opens the same letter, and links that were sent before stay good. An
email that is still being tried is tried at once. A document that is held is sent.

With --email the address is corrected, and that is a new round: the document is recalled, so that the link at the old address
is dead, changed, and sent to the new one. Run again after an interruption, it goes on.`,
	}
	c.Flags().StringVar(&email, "email", "", "send it to this signer from now on")
	return a.ask(c, func(l db.Life) (operator.Plan, error) { return operator.Resend(*l.Document, l.Mails, email) })
}
