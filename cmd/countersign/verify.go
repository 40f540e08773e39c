package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"countersign/internal/recovery"
	"countersign/internal/session"
)

func (a *app) verify() *cobra.Command {
	var against string
	var fromLog bool
	var most int
	c := &cobra.Command{
		Use:   "verify",
		Short: "Compare the database with the log, or with another worker's",
		Long: `Folds the log into a temporary file, up to the position of the database of a worker on this machine, and shows where the
two differ: "-" what the log says, "+" what the database says. With --against it compares the database with what another
worker's countersign dump wrote. The worker may be running. The exit code is 1 if there is any difference.`,
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&against, "against", "", "a file that another worker's countersign dump wrote")
	c.Flags().BoolVar(&fromLog, "from-log", true, "fold from the log's beginning; =false trusts the newest snapshot")
	c.Flags().IntVar(&most, "limit", 50, "maximum number of differing rows to show")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withSession(c, false, func(ctx context.Context, s *session.Session) error {
			if against != "" {
				found, err := recovery.VerifyAgainst(ctx, s, against)
				return a.compared(found, err, against, most)
			}
			found, err := recovery.Verify(ctx, s, fromLog)
			return a.compared(found, err, "the log", most)
		})
	}
	return c
}

// compared shows the differences between the database and what it was compared
// with, and fails if there are any.
func (a *app) compared(c recovery.Comparison, err error, with string, most int) error {
	if err != nil {
		return err
	}
	if len(c.Rows) == 0 {
		return a.out.Linef("the database says what %s says, up to entry %d", with, c.At)
	}
	for _, r := range c.Rows[:min(most, len(c.Rows))] {
		for line := range strings.Lines(r.String()) { // its values are JSON, without a line feed
			a.out.Linef("%s", strings.TrimSuffix(line, "\n"))
		}
	}
	if n := len(c.Rows) - most; n > 0 {
		a.out.Linef("and %d rows more", n)
	}
	return fmt.Errorf("the two states differ: %d rows of the database (+) and of %s (-), at entry %d", len(c.Rows), with, c.At)
}
