package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/internal/operator"
	"countersign/internal/show"
	"countersign/workflow"
)

func (a *app) rules() *cobra.Command {
	return parent("rules", "Look at the version of the rules in force, and activate a newer one",
		`A release may bring a new version of the rules by which documents are decided. It takes effect at one place on the log,
for all workers at once, when an operator activates it: first upgrade every worker, then activate. A worker that does not
know the version stops there and says so.`,
		a.rulesShow(), a.rulesActivate())
}

func (a *app) rulesShow() *cobra.Command {
	c := &cobra.Command{
		Use:   "show",
		Short: "Show the version in force, the newest that this program knows, and the settings that decide about documents",
		Args:  cobra.NoArgs,
	}
	asJSON := jsonObject(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withStore(c, func(_ context.Context, store *db.Store) error {
			in := store.Position().InForce()
			if *asJSON {
				return a.out.JSON(map[string]any{"in_force": in.Version, "known": workflow.RulesVersion(), "settings": in})
			}
			return show.Rules(a.out, in)
		})
	}
	return c
}

func (a *app) rulesActivate() *cobra.Command {
	c := &cobra.Command{
		Use:   "activate VERSION",
		Short: "Put a newer version of the rules in force; every worker must know it",
		Args:  cobra.ExactArgs(1),
	}
	wait, dryRun := waitFlag(c, 30*time.Second), dryRunFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		version, err := strconv.Atoi(args[0])
		if newest := workflow.RulesVersion(); err != nil || version < 1 || version > newest {
			return usagef("VERSION must be 1 to %d, the newest that this program knows; got %q; for a newer one, first upgrade this program and every worker", newest, args[0])
		}
		return a.withOperator(c, *wait, func(ctx context.Context, o *operator.Operator) error {
			inForce := o.Store.Position().Rules
			sequence, err := o.ActivateRules(ctx, version, *dryRun)
			switch {
			case err != nil:
				return err
			case version == inForce:
				return a.out.Linef("rules version %d is in force", version)
			case *dryRun:
				return a.out.Linef("rules version %d would be in force; version %d is", version, inForce)
			}
			return a.out.Linef("rules version %d is in force from entry %d on", version, sequence)
		})
	}
	return c
}
