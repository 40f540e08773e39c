package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"countersign/internal/recovery"
	"countersign/internal/session"
)

func (a *app) replay() *cobra.Command {
	var from, to string
	var which recovery.Selection
	var asJSON bool
	c := &cobra.Command{
		Use:   "replay FILE|STREAM",
		Short: "Publish events again, those that the log does not have",
		Long: `Reads events from a JSON Lines file, as publish does, or from a JetStream stream on the log's servers, such as a copy of
the log, and publishes those that the log does not have, with the identities that they have. Events that the log has are
left out: they would change nothing. Events that Countersign itself wrote are left out, too: they follow from the others.

With --dry-run it publishes nothing, folds the events into a copy of the database, and says what would change.
A time is compared with a stream's timestamps, and in a file with the events' own.`,
		Example: "  countersign replay --dry-run --from 2026-11-23T08:00:00Z --subject 'authdocs.v1.*.*.created' AUTHDOCS_COPY",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&from, "from", "", "first to take: a sequence (of a file, a line), or a time such as 2026-11-23T08:00:00Z")
	c.Flags().StringVar(&to, "to", "", "last to take, in the same ways")
	c.Flags().StringVar(&which.Subject, "subject", "", "only these subjects; * and > as in NATS")
	dryRun := dryRunFlag(c)
	c.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if which.From, err = recovery.ParseMark(from); err != nil {
			return usageError{fmt.Errorf("--from: %w", err)}
		}
		if which.To, err = recovery.ParseMark(to); err != nil {
			return usageError{fmt.Errorf("--to: %w", err)}
		}
		return a.withSession(c, false, func(ctx context.Context, s *session.Session) error {
			report, err := recovery.Replay(ctx, s, args[0], which, *dryRun)
			if err != nil {
				return err
			}
			if asJSON {
				return a.out.JSON(report)
			}
			for _, line := range report.Lines() {
				a.out.Linef("%s", line)
			}
			return nil
		})
	}
	return c
}
