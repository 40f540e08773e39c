package main

import (
	"context"

	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/internal/config"
	"countersign/internal/recovery"
)

func (a *app) dump() *cobra.Command {
	return &cobra.Command{
		Use:   "dump",
		Short: "Write the database as text that is the same for every worker",
		Long: `Writes the database of a worker on this machine, running or not: each line a JSON array of a table's name and a row,
the position first. Two workers at the same position write the same bytes; see verify --against.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			return a.withStore(c, func(ctx context.Context, _ config.Config, store *db.Store) error {
				return recovery.Dump(ctx, store, a.out.Device())
			})
		},
	}
}
