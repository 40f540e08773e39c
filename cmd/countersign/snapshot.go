package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"countersign/internal/eventlog"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/internal/show"
)

func (a *app) snapshot() *cobra.Command {
	c := &cobra.Command{
		Use:   "snapshot",
		Short: "Copy the database into the object store, for new workers to start from",
		Args:  cobra.ArbitraryArgs,
		RunE:  group,
	}
	c.AddCommand(a.snapshotTake(), a.snapshotList())
	return c
}

func (a *app) snapshotTake() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "take",
		Short: "Take a snapshot of the database",
		Long: `Takes a consistent copy of the database of a worker on this machine, running or not, and puts it into the
object store ` + eventlog.SnapshotsBucket + `, with its position and hashes. The newest snapshots are kept (--snapshot-keep).`,
		Args: cobra.NoArgs,
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withSession(c, false, func(ctx context.Context, s *session.Session) error {
			taken, err := recovery.TakeSnapshot(ctx, s)
			if err != nil {
				return err
			}
			if asJSON {
				return a.out.JSON(taken)
			}
			return a.out.Linef("%s: the database up to entry %d, %d bytes", taken.Name, taken.Position.Sequence, taken.Size)
		})
	}
	return c
}

func (a *app) snapshotList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the snapshots that are kept, the newest first",
		Args:  cobra.NoArgs,
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withSession(c, false, func(ctx context.Context, s *session.Session) error {
			list, err := recovery.ListSnapshots(ctx, s)
			if err != nil {
				return err
			}
			if asJSON {
				return show.EachJSON(a.out, list)
			}
			t := a.out.Table()
			for _, x := range list {
				t.Row(x.Name, show.Stamp(x.Taken), fmt.Sprintf("up to entry %d, %d bytes", x.Position.Sequence, x.Size))
			}
			return t.Flush()
		})
	}
	return c
}
