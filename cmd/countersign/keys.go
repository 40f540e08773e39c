package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"countersign/internal/show"
	"countersign/internal/signing"
	"countersign/internal/ticket"
)

func (a *app) keys() *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "List, rotate and prune the keys of the signing links",
		Long:  "Changes the keys file; see --keys-file. A worker that runs notices within a second. No key is ever printed.",
		Args:  cobra.ArbitraryArgs,
		RunE:  group,
	}
	c.AddCommand(a.keysList(), a.keysRotate(), a.keysPrune())
	return c
}

func (a *app) keysList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the keys: which one signs, which only verify links that are out",
		Args:  cobra.NoArgs,
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := a.load(c)
		if err != nil {
			return err
		}
		keys, err := ticket.ListKeys(cfg.KeysFile)
		if err != nil {
			return err
		}
		list := show.KeysOf(keys, time.Now(), signing.LongestLink(cfg))
		if asJSON {
			return show.EachJSON(a.out, list)
		}
		return show.Keys(a.out, list)
	}
	return c
}

func (a *app) keysRotate() *cobra.Command {
	var in time.Duration
	c := &cobra.Command{
		Use:   "rotate",
		Short: "Add a fresh key, with which links are signed from then on",
		Long: `Puts a fresh key into the keys file. Links that are out stay good until their own end, by the key that they were made with.
Workers with a file of their own need a copy of it before the new key signs: rotate with --in, copy the file, done.`,
		Example: "  countersign keys rotate\n  countersign keys rotate --in 1h",
		Args:    cobra.NoArgs,
	}
	c.Flags().DurationVar(&in, "in", 0, "sign with it only after so long; it verifies at once")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := a.load(c)
		if err != nil {
			return err
		}
		if in < 0 {
			return usageError{fmt.Errorf("--in must not be negative")}
		}
		now := time.Now()
		k, err := ticket.Rotate(cfg.KeysFile, now, now.Add(in))
		if err != nil {
			return err
		}
		return a.out.Tabs(k.ID, "signs from "+show.Moment(k.From))
	}
	return c
}

func (a *app) keysPrune() *cobra.Command {
	c := &cobra.Command{
		Use:   "prune",
		Short: "Remove the keys with which no good link can have been made",
		Long: `Removes each key for which a newer one has signed for longer than links are good, and a day: --link-lifetime, or --expire-after,
--mail-give-up-after and a day where that is longer. Give those that the workers have, and the longest that they had while links
are out. A key that follows one without a time in the file is kept.`,
		Args: cobra.NoArgs,
	}
	dryRun := dryRunFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := a.load(c)
		if err != nil {
			return err
		}
		prune, done := ticket.Prune, "removed"
		if *dryRun {
			prune, done = ticket.ListPrunable, "would be removed"
		}
		gone, err := prune(cfg.KeysFile, time.Now(), signing.LongestLink(cfg))
		if err != nil {
			return err
		}
		for _, k := range gone {
			if err := a.out.Tabs(k.ID, done); err != nil {
				return err
			}
		}
		return a.err.Linef("%d keys %s", len(gone), done)
	}
	return c
}
