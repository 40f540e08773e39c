package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/workflow"
)

func (a *app) newLog() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "new-log --yes",
		Short: "Begin an empty log after the old one was lost without a backup",
		Long: `Prepares a data directory for an empty log. Use it only if the stream ` + events.StreamName + ` was removed and no backup of it can be
restored. The database is kept as a file, countersign.db.lost-TIME, and the snapshots of the lost log are removed from the
object store. The next start of the worker makes the log.

What that loses: every document. Links in emails that were sent answer 404, emails and registrations that are pending are
dropped, and what upstream services published must be published again, which sends the emails again. Signed letters stay in
the object store ` + eventlog.LettersBucket + `. Every other worker needs the same command.`,
		Args: cobra.NoArgs,
	}
	c.Flags().BoolVar(&yes, "yes", false, "do it; without this flag or --dry-run the command says what would be lost, and fails")
	dryRun := dryRunFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if yes && *dryRun {
			return errBoth
		}
		return a.openSession(c, true, session.OpenWithoutLog, func(ctx context.Context, s *session.Session) error {
			n, err := recovery.PrepareNewLog(ctx, s, time.Now())
			if err != nil {
				return err
			}
			a.sayLost(n.Lost)
			switch {
			case *dryRun:
				return nil
			case !yes:
				return usageError{errors.New("nothing was changed; give --yes to do it, or --dry-run only to look")}
			}
			kept, err := n.Begin(ctx, time.Now())
			if err != nil {
				return err
			}
			return a.out.Linef("the database is kept as %s; the next start of the worker makes an empty log", kept)
		})
	}
	return c
}

// sayLost says what the database knows and an empty log does not.
func (a *app) sayLost(c db.Counts) {
	var by []string
	for _, s := range workflow.Statuses {
		by = append(by, fmt.Sprintf("%d %s", c.Documents[s], s))
	}
	a.err.Linef("an empty log loses what the database knows up to entry %d: documents: %s; %d emails and %d events are pending",
		c.Position.Sequence, strings.Join(by, ", "), c.PendingMails, c.PendingEvents)
}
