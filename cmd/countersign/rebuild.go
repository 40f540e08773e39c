package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/internal/show"
)

func (a *app) rebuild() *cobra.Command {
	c := &cobra.Command{
		Use:   "rebuild",
		Short: "Make the database again from the log, starting from a snapshot or the beginning",
		Long: `Applies the log to a new database beside the old one, from the newest usable snapshot or with --from-log from the log's
beginning. The new database then replaces the old one, which is kept as ` + db.FileName + `.before until the next rebuild. No worker
may be running on the data directory. With --dry-run the new database is made and removed again: this shows that it can be made.`,
		Example: "  countersign rebuild --from-log",
		Args:    cobra.NoArgs,
	}
	fromLog := c.Flags().Bool("from-log", false, "apply the whole log, and use no snapshot")
	dryRun := dryRunFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withSession(c, session.Options{Alone: true}, func(ctx context.Context, s *session.Session) error {
			kept, to, err := recovery.Rebuild(ctx, s, *fromLog, *dryRun)
			if err != nil {
				return err
			}
			before := ""
			if kept != "" {
				before = "; the one before is kept as " + kept
			}
			return a.out.Linef("%s %s rebuilt up to entry %d%s", filepath.Join(s.Config.DataDir, db.FileName), isOrWouldBe(*dryRun), to, before)
		})
	}
	return c
}

func (a *app) newLog() *cobra.Command {
	c := &cobra.Command{
		Use:   "new-log --yes",
		Short: "Begin an empty log, after the old one was lost and no backup exists",
		Long: `Prepares a data directory for an empty log. Use it only if the stream ` + events.StreamName + ` was removed and no backup of it can be
restored. The database is kept as a file, countersign.db.lost-TIME, and the snapshots of the lost log are removed from the
object store. The next start of the worker makes the log.

Every document is lost. Links in emails that were sent answer 404. Emails and registrations that are pending are dropped. Upstream
services must publish their events again, which sends the emails again. Signed letters stay in
the object store ` + eventlog.LettersBucket + `. Every other worker needs the same command.`,
		Args: cobra.NoArgs,
	}
	yes, finish := previewFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withSession(c, session.Options{Alone: true, NoLog: true}, func(ctx context.Context, s *session.Session) error {
			n, err := recovery.PrepareNewLog(ctx, s, time.Now())
			if err != nil {
				return err
			}
			a.err.Linef("%s", show.Lost(n.Lost))
			if !*yes {
				return finish()
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
