package main

import (
	"context"

	"github.com/spf13/cobra"

	"countersign/internal/eventlog"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/internal/show"
)

func (a *app) snapshot() *cobra.Command {
	return parent("snapshot", "Copy the database into the object store, for new workers to start from", "", a.snapshotTake(), a.snapshotList())
}

func (a *app) snapshotTake() *cobra.Command {
	c := &cobra.Command{
		Use:   "take",
		Short: "Take a snapshot of the database",
		Long: `Takes a consistent copy of the database of a worker on this machine, running or not, and puts it into the
object store ` + eventlog.SnapshotsBucket + `, with its position and hashes. The newest snapshots are kept (--snapshot-keep), the others deleted.`,
		Args: cobra.NoArgs,
	}
	dryRun, asJSON := dryRunFlag(c), jsonObject(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withSession(c, session.Options{}, func(ctx context.Context, s *session.Session) error {
			taken, err := recovery.TakeSnapshot(ctx, s, *dryRun)
			if err != nil {
				return err
			}
			if *asJSON {
				return a.out.JSON(taken)
			}
			if *dryRun {
				return a.out.Linef("a snapshot of the database up to entry %d would be taken", taken.Position.Sequence)
			}
			return a.out.Linef("%s: the database up to entry %d, %d bytes", taken.Name, taken.Position.Sequence, taken.Size)
		})
	}
	return c
}

func (a *app) snapshotList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the snapshots that are kept, the newest first", Args: cobra.NoArgs}
	asJSON := jsonLines(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withSession(c, session.Options{}, func(ctx context.Context, s *session.Session) error {
			list, err := recovery.ListSnapshots(ctx, s)
			if err != nil {
				return err
			}
			return show.List(a.out, *asJSON, list, show.Snapshots)
		})
	}
	return c
}
