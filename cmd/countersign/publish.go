package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"countersign/internal/publish"
	"countersign/internal/show"
)

func (a *app) publish() *cobra.Command {
	o := publish.Options{Notes: a.err}
	var wait, noWait bool
	c := &cobra.Command{
		Use:   "publish FILE",
		Short: "Send events from a JSON Lines file",
		Long: `Sends each line of a JSON Lines file ("-" for standard input) to the log, and waits for the acks:

  {"subject":"authdocs.v1.AC….PX….created","data":{CloudEvent}}

A line may have "after": a subject that must be on the log before the line is sent. Without --nats-url the events go
to the server that a worker on this machine embeds.

With --wait, the default on a terminal and with --json, it then prints the outcome of each event: applied, unchanged, parked,
duplicate, refused or dead letter. The exit code is 1 if any was refused or is a dead letter. With the data directory of a
running worker (--data-dir) it knows all of these. From the log alone it knows the refused events and dead letters; the
others are "not refused" once a worker has read past them, and "unknown" if no worker shows that within 5 seconds.

With --dry-run it reads the file, connects nowhere, and lists the lines that would be dead letters. The exit code is 1 if there
are any.`,
		Example: "  countersign publish examples/day.jsonl --rate 50\n  countersign publish events.jsonl --dry-run\n  countersign publish events.jsonl --json --timeout 10s",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().Float64Var(&o.Rate, "rate", 0, "maximum number of events per second; 0 for no limit")
	c.Flags().DurationVar(&o.Wait, "timeout", time.Minute, "how long to wait for what a line comes after, for acks, and for outcomes")
	c.Flags().BoolVar(&wait, "wait", false, "print the outcome of each event; the default on a terminal and with --json")
	c.Flags().BoolVar(&noWait, "no-wait", false, "end once the log has the events")
	dryRun := dryRunFlag(c)
	asJSON := c.Flags().Bool("json", false, "print one JSON object for each event")
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg, err := a.load(c)
		if err != nil {
			return err
		}
		switch {
		case !(o.Rate >= 0), o.Wait <= 0: // NaN is no rate either
			return usagef("--rate must be 0 or more, and --timeout more than 0")
		case wait && noWait:
			return usagef("--wait and --no-wait exclude each other; leave one out")
		}
		lines, err := publish.ReadFile(args[0])
		if err != nil {
			return err
		}
		if *dryRun {
			return show.Outcomes(a.out, a.err, publish.Check(lines), *asJSON)
		}
		learn := !noWait && (wait || *asJSON || a.out.Terminal())
		list, err := publish.Run(c.Context(), cfg, logger(a.err, cfg), lines, o, learn)
		switch {
		case learn && list != nil:
			return errors.Join(show.Outcomes(a.out, a.err, list, *asJSON), err)
		case err == nil && *asJSON:
			return show.EachJSON(a.out, list)
		}
		return err
	}
	return c
}
