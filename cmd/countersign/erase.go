package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"countersign/internal/operator"
	"countersign/internal/session"
)

func (a *app) erase() *cobra.Command {
	var yes, asJSON bool
	c := &cobra.Command{
		Use:   "erase PX…",
		Short: "Remove a finished document and its personal data from the log and every database; it cannot be undone",
		Long: `Removes the events about a document from the log (its bytes are overwritten on the servers' disks), from the database of
every worker, and from snapshots. An event of erasure stays on the log, with sequences, digests and sids. Events about
the document are refused from then on, replayed ones too. It cannot be undone.

A document is finished when it is canceled or failed, or signed and all its orders are completed or failed; when every
email has its outcome; and when no event that it caused is pending. What was erased may still be in backups of the log, in
mail servers' queues, and with whoever read the log.

It may be run again: after an interruption it goes on, and it removes what was published about the document since.`,
		Args: cobra.ExactArgs(1),
	}
	c.Flags().BoolVar(&yes, "yes", false, "do it; without this flag or --dry-run the command says what would be removed, and fails")
	dryRun := dryRunFlag(c)
	c.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	c.RunE = func(c *cobra.Command, args []string) error {
		sid, err := sidArg(args[0])
		if err != nil {
			return err
		}
		if yes && *dryRun {
			return errBoth
		}
		return a.withSession(c, false, func(ctx context.Context, s *session.Session) error {
			done, err := operator.Erase(ctx, s, sid, yes)
			if err != nil {
				return err
			}
			if asJSON {
				err = a.out.JSON(done)
			} else {
				err = a.out.Linef("%s", done)
			}
			if err == nil && !yes && !*dryRun && done.Entries > 0 {
				err = usageError{errors.New("nothing was erased; give --yes to do it, or --dry-run only to look")}
			}
			return err
		})
	}
	return c
}
