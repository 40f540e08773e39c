package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"countersign/events"
	"countersign/internal/operator"
	"countersign/internal/show"
)

func (a *app) deadRedrive() *cobra.Command {
	var how events.Repair
	var file string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "redrive ENTRY",
		Short: "Send a dead letter or a refused event again, repaired or as it was",
		Long: `Appends the event again under an id of its own that follows from the entry, with an attribute that names the entry,
and waits for the worker on this machine to apply it. Redriving an entry twice changes nothing: if the event is refused again,
the new entry can be redriven in its turn.`,
		Example: "  countersign dead redrive 42\n  countersign dead redrive 42 --set data.email=owner@example.com\n  countersign dead redrive 42 --file repaired.json",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&file, "file", "", `the whole repaired CloudEvent, as JSON ("-" for standard input); its id and source are replaced`)
	c.Flags().StringArrayVar(&how.Set, "set", nil, "change one field, FIELD=VALUE; a value that is JSON counts as JSON, any other as text; may be given several times")
	c.Flags().StringVar(&how.Subject, "subject", "", "send it on this subject instead")
	c.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to wait for the worker to apply it")
	dryRun := dryRunFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		sequence, err := sequenceArg(args[0])
		if err != nil {
			return err
		}
		if file != "" {
			if how.Event, err = readFile(file); err != nil {
				return err
			}
		}
		return a.withOperator(c, wait, func(ctx context.Context, o *operator.Operator) error {
			l, err := o.Store.DeadLetter(ctx, sequence)
			if err != nil {
				return err
			}
			r, err := o.Redrive(ctx, l, how, *dryRun)
			return a.sayRedriven(sequence, r, err)
		})
	}
	return c
}

func readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(name)
}

// sayRedriven prints the outcome of an event that was sent again, and fails if
// it was refused again.
func (a *app) sayRedriven(sequence uint64, r operator.Redriven, err error) error {
	if r.Before {
		a.err.Linef("entry %d was sent again before, as entry %d; nothing is sent", sequence, r.Sequence)
	}
	switch {
	case err != nil && r.Sequence > 0:
		a.out.Linef("sent as entry %d", r.Sequence)
		return err
	case err != nil:
		return err
	case r.Sequence == 0:
		a.out.Linef("entry %d would be sent again, on %s", sequence, r.Message.Subject)
		return a.out.Linef("%s", show.Payload(r.Message.Data))
	case r.Refused != nil:
		a.out.Linef("sent as entry %d: %s, %s", r.Sequence, show.Kind(*r.Refused), r.Refused.Code)
		return fmt.Errorf("entry %d was refused again: %s: %s", r.Sequence, r.Refused.Code, r.Refused.Message)
	}
	return a.out.Linef("sent as entry %d: %s", r.Sequence, r.Result)
}
