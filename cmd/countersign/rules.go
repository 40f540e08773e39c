package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/internal/config"
	"countersign/internal/operator"
	"countersign/internal/show"
	"countersign/workflow"
)

func (a *app) rules() *cobra.Command {
	c := &cobra.Command{
		Use:   "rules",
		Short: "Look at the version of the rules in force, and activate a newer one",
		Long: `A release may bring a new version of the rules by which documents are decided. It takes effect at one place on the log,
for all workers at once, when an operator activates it: first upgrade every worker, then activate. A worker that does not
know the version stops there and says so.`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	c.AddCommand(a.rulesShow(), a.rulesActivate())
	return c
}

func (a *app) rulesShow() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show",
		Short: "Show which version is in force, the newest that this program knows, and the settings that documents are decided by",
		Args:  cobra.NoArgs,
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withStore(c, func(_ context.Context, _ config.Config, store *db.Store) error {
			in := store.Position().InForce()
			if asJSON {
				return a.out.JSON(map[string]any{"in_force": in.Version, "known": workflow.RulesVersion(), "settings": in})
			}
			return show.Rules(a.out, in)
		})
	}
	return c
}

func (a *app) rulesActivate() *cobra.Command {
	var wait time.Duration
	c := &cobra.Command{
		Use:   "activate VERSION",
		Short: "Put a newer version of the rules in force; every worker must know it",
		Args:  cobra.ExactArgs(1),
	}
	c.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to wait until the worker has it")
	dryRun := dryRunFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		version, err := strconv.Atoi(args[0])
		if err != nil || version < 1 {
			return usageError{fmt.Errorf("not a version of the rules: %q", args[0])}
		}
		if version > workflow.RulesVersion() {
			return usageError{fmt.Errorf("this program knows the rules up to version %d; upgrade it, and every worker, first", workflow.RulesVersion())}
		}
		return a.withOperator(c, wait, func(ctx context.Context, o *operator.Operator) error {
			inForce := o.Store.Position().Rules
			switch {
			case version == inForce:
				return a.out.Linef("rules version %d is in force", version)
			case version < inForce:
				return fmt.Errorf("%w: rules version %d is in force; an older version cannot be activated", workflow.ErrConflict, inForce)
			}
			if *dryRun {
				return a.out.Linef("rules version %d would be in force; version %d is", version, inForce)
			}
			sequence, err := o.ActivateRules(ctx, version)
			if err != nil {
				return err
			}
			return a.out.Linef("rules version %d is in force from entry %d on", version, sequence)
		})
	}
	return c
}
