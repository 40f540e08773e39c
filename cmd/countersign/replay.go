package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"countersign/internal/recovery"
	"countersign/internal/session"
)

func (a *app) replay() *cobra.Command {
	var from, to string
	var which recovery.Selection
	c := &cobra.Command{
		Use:   "replay FILE|STREAM",
		Short: "Publish the events of a file or a stream that the log does not have",
		Long: `Reads events from a JSON Lines file, as publish does, or from a JetStream stream on the log's servers, such as a copy of
the log, and publishes those that the log does not have, under their own ids. Events that the log has are left out: they would
change nothing. Events that Countersign itself wrote are left out, too: they follow from the others.

With --dry-run it publishes nothing, applies the events to a copy of the database, and says what would change.
--from and --to compare a time with the timestamps of a stream's entries, or with the times of a file's events.`,
		Example: "  countersign replay --dry-run --from 2026-11-23T08:00:00Z --subject 'authdocs.v1.*.*.created' AUTHDOCS_COPY",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&from, "from", "", "the first event: its sequence (in a file, its line), or a time such as 2026-11-23T08:00:00Z")
	c.Flags().StringVar(&to, "to", "", "the last event: a sequence, a line or a time, too")
	c.Flags().StringVar(&which.Subject, "subject", "", "only these subjects; * and > as in NATS")
	dryRun := dryRunFlag(c)
	asJSON := jsonObject(c)
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if which.From, err = recovery.ParseMark(from); err != nil {
			return usagef("--from: %w", err)
		}
		if which.To, err = recovery.ParseMark(to); err != nil {
			return usagef("--to: %w", err)
		}
		return a.withSession(c, session.Options{}, func(ctx context.Context, s *session.Session) error {
			report, err := recovery.Replay(ctx, s, args[0], which, *dryRun)
			if err != nil {
				return err
			}
			if *asJSON {
				return a.out.JSON(report)
			}
			for _, line := range report.Lines() {
				err = errors.Join(err, a.out.Linef("%s", line))
			}
			return err
		})
	}
	return c
}
