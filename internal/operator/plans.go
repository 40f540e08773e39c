package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/events"
	"countersign/internal/config"
	"countersign/workflow"
)

// plan is what a command is going to ask of a document: nothing, or events one
// behind the other. Their ids follow from where the document stands, so that
// two operators who ask for the same ask once.
type plan struct {
	say    string
	events []events.Event
}

// operation is a command that asks something of one document.
type operation struct {
	use, short, long string
	flags            func(*cobra.Command)
	plan             func(workflow.Document, db.Life) (plan, error)
}

func (a *app) operate(o operation) *cobra.Command {
	var wait time.Duration
	var dryRun, asJSON bool
	c := &cobra.Command{Use: o.use, Short: o.short, Long: o.long, Args: cobra.ExactArgs(1)}
	if o.flags != nil {
		o.flags(c)
	}
	c.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to wait for what becomes of it")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	c.Flags().BoolVar(&asJSON, "json", false, "print the document as one JSON object")
	c.RunE = func(c *cobra.Command, args []string) error {
		if !documentSID.MatchString(args[0]) {
			return usageError{fmt.Errorf("not a document sid (PX and 32 hex digits): %q", args[0])}
		}
		return a.withStore(c, func(ctx context.Context, cfg config.Config, store *db.Store) error {
			life, err := store.Life(ctx, workflow.SID(args[0]))
			switch {
			case err != nil:
				return err
			case wasErased(life):
				return fmt.Errorf("%w: document %s was erased, for ever", workflow.ErrConflict, args[0])
			case life.Document == nil:
				return fmt.Errorf("%w: document %s has not been created", workflow.ErrNotFound, args[0])
			}
			p, err := o.plan(*life.Document, life)
			if err != nil {
				return err
			}
			a.err.Linef("%s: %s", args[0], p.say)
			if !dryRun {
				if err := a.carryOut(ctx, cfg, store, p.events, wait); err != nil {
					return err
				}
			}
			return a.standing(ctx, store, workflow.SID(args[0]), asJSON)
		})
	}
	return c
}

// carryOut publishes events, each once the worker has applied the one before.
// All are checked before the first is published.
func (a *app) carryOut(ctx context.Context, cfg config.Config, store *db.Store, list []events.Event, wait time.Duration) error {
	for _, e := range list {
		if err := e.Validate(); err != nil {
			return usageError{err}
		}
	}
	for _, e := range list {
		e.Time = time.Now()
		sequence, err := a.publishOne(ctx, cfg, e)
		if err != nil {
			return err
		}
		if _, err := resultOf(ctx, store, e, sequence, wait); err != nil {
			return err
		}
	}
	return nil
}

// standing prints where a document stands now.
func (a *app) standing(ctx context.Context, store *db.Store, sid workflow.SID, asJSON bool) error {
	d, err := store.Document(ctx, sid)
	if err != nil {
		return err
	}
	if asJSON {
		return a.out.JSON(d)
	}
	return a.out.Tabs(d.SID, statusOf(d), fmt.Sprintf("round %d", d.Round))
}

func (a *app) documentsRecall() *cobra.Command {
	return a.operate(operation{
		use:   "recall PX…",
		short: "Take a document back from its signer, to be changed or kept",
		long:  "The link that was sent is dead, and the document is opened and held, as a new round. documents resend sends it again.",
		plan: func(d workflow.Document, _ db.Life) (plan, error) {
			if d.Hold {
				return plan{say: "it is held already; nothing to do"}, nil
			}
			if d.Status.Ended() {
				return plan{}, ended(d)
			}
			return plan{"is recalled; the link of this round will be dead", []events.Event{
				asks(d, fmt.Sprintf("recall.%s.%d", d.SID, d.Round), d.Round, workflow.StatusChanged{Status: workflow.Opened}),
			}}, nil
		},
	})
}

func (a *app) documentsCancel() *cobra.Command {
	var reason string
	return a.operate(operation{
		use:   "cancel PX… --reason TEXT",
		short: "End a document before it is signed, in its account's name",
		long:  "The link that was sent is dead, and the document's orders are free for another one. There is no way back.",
		flags: func(c *cobra.Command) {
			c.Flags().StringVar(&reason, "reason", "", "why; the account can read it")
		},
		plan: func(d workflow.Document, _ db.Life) (plan, error) {
			switch {
			case strings.TrimSpace(reason) == "":
				return plan{}, usageError{errors.New("--reason is needed: why the document is canceled")}
			case d.Status == workflow.Canceled:
				return plan{say: "it is canceled already; nothing to do"}, nil
			case d.Status.Ended():
				return plan{}, ended(d)
			}
			return plan{"is canceled, for ever", []events.Event{
				asks(d, fmt.Sprintf("cancel.%s.%d", d.SID, d.Round), d.Round, workflow.StatusChanged{
					Status: workflow.Canceled, CanceledBy: "account", Reason: reason,
				}),
			}}, nil
		},
	})
}

func (a *app) documentsResend() *cobra.Command {
	var email string
	return a.operate(operation{
		use:   "resend PX…",
		short: "Send the signature mail once more, or to a corrected address",
		long: `The mail goes out once more, in the same round: the link in it opens the same letter, and links that were sent before stay
good. A mail that is still being tried is tried at once. A document that is held is sent.

With --email the address is corrected, and that is a new round: the document is recalled, so that the link at the old address
is dead, changed, and sent to the new one. Run again after an interruption, it goes on.`,
		flags: func(c *cobra.Command) {
			c.Flags().StringVar(&email, "email", "", "send it to this signer from now on")
		},
		plan: func(d workflow.Document, l db.Life) (plan, error) {
			switch {
			case d.Status.Ended():
				return plan{}, ended(d)
			case email != "":
				return correct(d, email), nil
			case d.Hold:
				return plan{"is held, and is sent to " + d.Email, []events.Event{sendHeld(d, d.Round)}}, nil
			}
			return resend(d, l), nil
		},
	})
}

func ended(d workflow.Document) error {
	return fmt.Errorf("%w: document %s is %s, for ever", workflow.ErrConflict, d.SID, d.Status)
}

func asks(d workflow.Document, id string, round int, b workflow.StatusChanged) events.Event {
	b.Round = round
	return events.StatusChanged("", id, d.AccountSID, d.SID, b).By(workflow.WriterOperator)
}

// sendHeld sends a document that is held, in the round.
func sendHeld(d workflow.Document, round int) events.Event {
	return asks(d, fmt.Sprintf("send.%s.%d", d.SID, round), round, workflow.StatusChanged{Status: workflow.Signing})
}

// resend asks for the round's signature mail once more. The event's id follows
// from the tries so far.
func resend(d workflow.Document, l db.Life) plan {
	mails, tries, say := 0, 0, "the signature mail goes to "+d.Email+" once more"
	for _, m := range l.Mails {
		if m.Kind != workflow.MailSignature || m.Round != d.Round {
			continue
		}
		mails, tries = mails+1, tries+m.Attempts
		if !m.State.Settled() {
			say = "the signature mail to " + d.Email + " is on its way; it is tried at once"
		}
	}
	id := fmt.Sprintf("resend.%s.%d.%d.%d", d.SID, d.Round, mails, tries)
	return plan{say, []events.Event{events.Resend("", id, d.AccountSID, d.SID, workflow.Resend{Round: d.Round}).By(workflow.WriterOperator)}}
}

// correct sends a document to another address, as a new round.
func correct(d workflow.Document, email string) plan {
	same := strings.EqualFold(d.Email, email)
	if same && !d.Hold {
		return plan{say: "it goes to this address already; nothing to do"}
	}
	sum := sha256.Sum256([]byte(strings.ToLower(email)))
	id := fmt.Sprintf("correct.%s.%d.%s", d.SID, d.Round, hex.EncodeToString(sum[:8]))
	p := plan{say: fmt.Sprintf("goes to %s in place of %s, as a new round", email, d.Email)}
	round := d.Round
	if d.Status == workflow.Signing {
		p.events = append(p.events, asks(d, id+".recall", round, workflow.StatusChanged{Status: workflow.Opened}))
		round++
	}
	if !same {
		p.events = append(p.events, events.Updated("", id+".updated", d.AccountSID, d.SID, workflow.Updated{Email: &email}).By(workflow.WriterOperator))
	}
	if d.Hold || d.Status == workflow.Signing { // else the change alone sends it
		p.events = append(p.events, sendHeld(d, round))
	}
	return p
}
