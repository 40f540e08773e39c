package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"countersign/events"
	"countersign/internal/operator"
	"countersign/internal/show"
)

func (a *app) deadDiscard() *cobra.Command {
	var reason string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "discard ENTRY --reason TEXT",
		Short: "Say that a dead letter or a refused event is done with",
		Args:  cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&reason, "reason", "", "why it is not needed; kept on the log")
	c.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to wait for the worker to apply it")
	dryRun := dryRunFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		sequence, err := sequenceArg(args[0])
		if err != nil {
			return err
		}
		if reason == "" || len(reason) > events.MaxReason {
			return usageError{fmt.Errorf("--reason: say why, in at most %d characters", events.MaxReason)}
		}
		return a.withOperator(c, wait, func(ctx context.Context, o *operator.Operator) error {
			l, err := o.Store.DeadLetter(ctx, sequence)
			switch {
			case err == nil && l.Closed == 0 && *dryRun:
				return a.out.Linef("entry %d would be discarded: %s", sequence, reason)
			case err == nil && l.Closed == 0:
				l, err = o.Discard(ctx, l, reason)
			}
			if err != nil {
				return err
			}
			return a.out.Linef("entry %d: %s", sequence, show.State(l))
		})
	}
	return c
}
