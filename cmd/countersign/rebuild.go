package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/internal/recovery"
	"countersign/internal/session"
)

func (a *app) rebuild() *cobra.Command {
	var fromLog bool
	c := &cobra.Command{
		Use:   "rebuild",
		Short: "Make the database again, from a snapshot or from the log alone",
		Long: `Folds the log into a new database beside the old one, starting from the newest usable snapshot or with --from-log from the
beginning, and replaces the old one at the end. The old one is kept as ` + db.FileName + `.before until the next rebuild. No worker
may be running on the data directory.`,
		Args: cobra.NoArgs,
	}
	c.Flags().BoolVar(&fromLog, "from-log", false, "fold the whole log, whatever snapshots there are")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withSession(c, true, func(ctx context.Context, s *session.Session) error {
			kept, to, err := recovery.Rebuild(ctx, s, fromLog)
			if err != nil {
				return err
			}
			before := ""
			if kept != "" {
				before = "; the one before is kept as " + kept
			}
			return a.out.Linef("%s is rebuilt up to entry %d%s", filepath.Join(s.Config.DataDir, db.FileName), to, before)
		})
	}
	return c
}
