package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"countersign/db"
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
			return a.out.Linef("%s", show.Rebuilt(filepath.Join(s.Config.DataDir, db.FileName), show.IsOrWouldBe(*dryRun), to, kept))
		})
	}
	return c
}
