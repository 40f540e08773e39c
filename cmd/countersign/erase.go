package main

import (
	"context"

	"github.com/spf13/cobra"

	"countersign/internal/operator"
	"countersign/internal/session"
)

func (a *app) erase() *cobra.Command {
	c := &cobra.Command{
		Use:   "erase PX…",
		Short: "Remove a finished document and its personal data from the log and every database; it cannot be undone",
		Long: `Removes the events about a document from the log (the servers overwrite their bytes on disk), from the database of every
worker, and from snapshots. An event of erasure stays on the log, with sequences, digests and sids. Later events about the
document are refused, replayed ones too. It cannot be undone.

A document is finished if it is canceled or failed, or if it is signed and all its orders are completed or failed. In
addition, every email must have its outcome and no event that the document caused may be pending. Copies may remain in
backups of the log, in mail servers' queues, and with programs that read the log.

Run it again after an interruption, and it continues. It also removes what was published about the document since.`,
		Example: "  countersign erase PX4f1c --dry-run\n  countersign erase PX4f1c --yes",
		Args:    aDocument,
	}
	yes, finish := previewFlags(c)
	asJSON := jsonObject(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.withSession(c, session.Options{}, func(ctx context.Context, s *session.Session) error {
			done, err := operator.Erase(ctx, s, args[0], *yes)
			if err != nil {
				return err
			}
			if *asJSON {
				err = a.out.JSON(done)
			} else {
				err = a.out.Linef("%s", done)
			}
			if err == nil && !*yes && done.Entries > 0 {
				err = finish()
			}
			return err
		})
	}
	return c
}
