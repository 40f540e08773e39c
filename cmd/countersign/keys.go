package main

import (
	"time"

	"github.com/spf13/cobra"

	"countersign/internal/show"
	"countersign/internal/signing"
	"countersign/internal/ticket"
)

func (a *app) keys() *cobra.Command {
	return parent("keys", "List, rotate and prune the keys of the signing links",
		"Changes the keys file; see --keys-file. A running worker reads the change within a second. Keys are never printed.",
		a.keysList(), a.keysRotate(), a.keysPrune())
}

func (a *app) keysList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the keys: which one signs, which only verify links that were sent", Args: cobra.NoArgs}
	asJSON := jsonLines(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := a.load(c)
		if err != nil {
			return err
		}
		keys, err := ticket.ListKeys(cfg.KeysFile)
		if err != nil {
			return err
		}
		return show.List(a.out, *asJSON, show.KeysOf(keys, time.Now(), signing.LongestLink(cfg)), show.Keys)
	}
	return c
}

func (a *app) keysRotate() *cobra.Command {
	var in time.Duration
	c := &cobra.Command{
		Use:   "rotate",
		Short: "Add a new key, which signs links from then on",
		Long: `Adds a new key to the keys file. Links that were sent still work until they expire: the older keys verify them. Workers with
a file of their own need a copy of it before the new key signs: rotate with --in, then copy the file to them.`,
		Example: "  countersign keys rotate\n  countersign keys rotate --in 1h",
		Args:    cobra.NoArgs,
	}
	c.Flags().DurationVar(&in, "in", 0, "how long until the new key signs; it verifies at once")
	dryRun := dryRunFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := a.load(c)
		if err != nil {
			return err
		}
		if in < 0 {
			return usagef("--in must not be negative")
		}
		now := time.Now()
		if *dryRun {
			if _, err := ticket.ListKeys(cfg.KeysFile); err != nil {
				return err
			}
			return a.out.Linef("a new key would sign from %s", show.Moment(now.Add(in)))
		}
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
		Short: "Remove the keys that can no longer verify a valid link",
		Long: `Removes keys that can no longer verify a valid link. A key is removed if its successor has been signing for longer than a link
can live, plus one day. A link lives for --link-lifetime, or for --expire-after, --mail-give-up-after and a day, whichever is
longer. Pass the largest values that the workers have used. A key is kept if its successor has no time in the file.`,
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
			a.out.Tabs(k.ID, done)
		}
		return a.err.Linef("%d keys %s", len(gone), done)
	}
	return c
}
