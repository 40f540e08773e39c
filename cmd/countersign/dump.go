package main

import (
	"context"

	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/internal/recovery"
)

func (a *app) dump() *cobra.Command {
	return &cobra.Command{
		Use:   "dump",
		Short: "Write the database as text that is the same for every worker",
		Long: `Writes the database of a worker on this machine, running or not, as JSON Lines: each line is an array of a table's name and a
row. The position comes first. Two workers at the same position write the same bytes; see verify --against.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withStore(c, func(ctx context.Context, store *db.Store) error {
				return recovery.Dump(ctx, store, a.out.Device())
			})
		},
	}
}
