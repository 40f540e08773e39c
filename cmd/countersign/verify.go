package main

import (
	"context"

	"github.com/spf13/cobra"

	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/internal/show"
)

func (a *app) verify() *cobra.Command {
	var against string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Compare the database with the log, or with another worker's",
		Long: `Makes a temporary database from the log, up to the position of the database of a worker on this machine, and shows where the
two differ: "-" for the log, "+" for the database. With --against it compares the database with what countersign dump wrote
on another worker's machine. The worker may be running. The exit code is 1 if there is any difference.`,
		Example: "  countersign verify\n  countersign verify --against other.dump",
		Args:    cobra.NoArgs,
	}
	c.Flags().StringVar(&against, "against", "", "a file that another worker's countersign dump wrote")
	fromLog := c.Flags().Bool("from-log", true, "start at the log's beginning; =false starts from the newest snapshot and trusts it")
	limit := limitFlag(c, "differing rows to show")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withSession(c, session.Options{}, func(ctx context.Context, s *session.Session) error {
			with, compare := "the log", func() (recovery.Comparison, error) { return recovery.Verify(ctx, s, *fromLog) }
			if against != "" {
				with, compare = against, func() (recovery.Comparison, error) { return recovery.VerifyAgainst(ctx, s, against) }
			}
			found, err := compare()
			if err != nil {
				return err
			}
			return show.Comparison(a.out, found, with, *limit)
		})
	}
	return c
}
