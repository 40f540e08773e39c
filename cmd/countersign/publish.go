package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"countersign/internal/config"
	"countersign/internal/publish"
	"countersign/internal/session"
	"countersign/internal/show"
	"countersign/workflow"
)

func (a *app) publish() *cobra.Command {
	o := publish.Options{Notes: a.err}
	var wait, noWait, asJSON bool
	c := &cobra.Command{
		Use:   "publish FILE",
		Short: "Send events from a JSON Lines file",
		Long: `Sends each line of a JSON Lines file ("-" for standard input) to the log, and waits for the acks:

  {"subject":"authdocs.v1.AC….PX….created","data":{CloudEvent}}

A line may have "after": a subject that must be on the log before the line is sent. Without --nats-url the events go
to the server that a worker on this machine embeds.

With --wait, the default on a terminal and with --json, it then prints the outcome of each event: applied, unchanged, parked,
duplicate, refused or dead letter. The exit code is 1 if any was refused or is a dead letter. With the data directory of a
worker that runs (--data-dir) it knows all of that. From the log alone it knows the refused events and dead letters; the
rest is "not refused" once a worker has read past them, and "unknown" if no worker shows that within 5 seconds.`,
		Example: "  countersign publish examples/day.jsonl --rate 50\n  countersign publish events.jsonl --json --timeout 10s",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().Float64Var(&o.Rate, "rate", 0, "maximum number of events per second; 0 for no limit")
	c.Flags().DurationVar(&o.Wait, "timeout", time.Minute, "how long to wait for what a line comes after, for acks, and for outcomes")
	c.Flags().BoolVar(&wait, "wait", false, "print the outcome of each event; the default on a terminal and with --json")
	c.Flags().BoolVar(&noWait, "no-wait", false, "end when the log has the events")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for each event")
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg, err := a.load(c)
		if err != nil {
			return err
		}
		switch {
		case o.Rate < 0:
			return usageError{errors.New("--rate must be 0 or more")}
		case wait && noWait:
			return usageError{errors.New("--wait and --no-wait exclude each other")}
		}
		lines, err := publish.ReadFile(args[0])
		if err != nil {
			return err
		}
		learn := !noWait && (wait || asJSON || a.out.Terminal())
		return a.sendLines(c.Context(), cfg, lines, o, learn, asJSON)
	}
	return c
}

// sendLines sends lines, and prints their outcomes if it should learn them.
func (a *app) sendLines(ctx context.Context, cfg config.Config, lines []publish.Line, o publish.Options, learn, asJSON bool) error {
	nc, err := session.Connect(ctx, cfg, logger(a.err, cfg))
	if err != nil {
		return err
	}
	defer nc.Close()
	list, err := publish.Send(ctx, nc, lines, o)
	switch {
	case err != nil:
		return err
	case learn:
		err := publish.Learn(ctx, cfg.DataDir, nc, list, o.Wait)
		return errors.Join(a.sayOutcomes(list, asJSON), err)
	case asJSON:
		return show.EachJSON(a.out, list)
	}
	return nil
}

// sayOutcomes prints the outcomes of events, and fails if one was refused.
func (a *app) sayOutcomes(list []publish.Outcome, asJSON bool) error {
	count := map[workflow.Result]int{}
	for _, o := range list {
		count[o.Result]++
	}
	var err error
	if asJSON {
		err = show.EachJSON(a.out, list)
	} else {
		err = show.Outcomes(a.out, list, count)
	}
	if err != nil {
		return err
	}
	if n := count[publish.NotRefused]; n > 0 {
		a.err.Linef("not refused: a worker has read past these %d events; whether they were applied, changed nothing or are parked stands in its database alone (--data-dir, on its machine)", n)
	}
	if n := count[publish.Unknown]; n > 0 {
		a.err.Linef("unknown: %d events are on the log, and no worker has shown that it has read them; a worker that starts later applies them. countersign dead list, on its machine, then shows what was refused", n)
	}
	if n := count[workflow.ResultRefused] + count[workflow.ResultDeadLetter]; n > 0 {
		return fmt.Errorf("%d of %d events were refused; countersign dead show SEQUENCE, on a worker's machine, says what to do", n, len(list))
	}
	return nil
}
