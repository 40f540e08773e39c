package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/private"
	"countersign/workflow"
)

func (a *app) newLog() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "new-log --yes",
		Short: "Begin an empty log after the old one was lost without a backup",
		Long: `Prepares a data directory for an empty log. Use it only if the stream ` + events.StreamName + ` was removed and no backup of it can be
restored. The database is kept as a file, countersign.db.lost-TIME, and the snapshots of the lost log are removed from the
object store. The next start of the worker makes the log.

What that loses: every document. Links in emails that were sent answer 404, emails and registrations that are pending are
dropped, and what upstream services published must be published again, which sends the emails again. Signed letters stay in
the object store ` + eventlog.LettersBucket + `. Every other worker needs the same command.`,
		Args: cobra.NoArgs,
	}
	c.Flags().BoolVar(&yes, "yes", false, "do it; without this flag the command only says what would be lost")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := a.load(c)
		if err != nil {
			return err
		}
		if !private.Exists(cfg.DataDir) {
			return fmt.Errorf("%w: there is no directory %s; is --data-dir the worker's?", workflow.ErrNotFound, cfg.DataDir)
		}
		b, err := a.openBench(c.Context(), cfg, true)
		if err != nil {
			return err
		}
		defer b.close()
		return b.newLog(c.Context(), yes)
	}
	return c
}

func (b *bench) newLog(ctx context.Context, yes bool) error {
	_, err := eventlog.Find(ctx, b.nc, b.cfg.Replicas, logger(b.err, b.cfg))
	switch {
	case err == nil:
		return fmt.Errorf("%w: the stream %s is there: start the worker, or run countersign rebuild --from-log if the database does not belong to it", workflow.ErrConflict, events.StreamName)
	case !errors.Is(err, workflow.ErrNotFound):
		return err
	}
	at, err := b.sayLost(ctx)
	if err != nil {
		return err
	}
	list, err := b.copies.store.List(ctx)
	if err != nil {
		return err
	}
	if len(list) > 0 && list[0].Position.Sequence > at {
		return fmt.Errorf("%w: the snapshot %s is of entry %d, and knows more than this database: run the command on the data directory of a worker that reaches as far", workflow.ErrConflict, list[0].Name, list[0].Position.Sequence)
	}
	if !yes {
		return usageError{errors.New("nothing was changed; --yes does it")}
	}
	for _, x := range list {
		if err := b.copies.store.Delete(ctx, x.Name); err != nil {
			return err
		}
	}
	kept, err := db.SetAside(b.cfg.DataDir, ".lost-"+time.Now().UTC().Format("20060102T150405Z"))
	if err != nil {
		return err
	}
	return b.out.Linef("the database is kept as %s; the next start of the worker makes an empty log", kept)
}

// sayLost says what the database knows that an empty log does not, and returns
// its position.
func (b *bench) sayLost(ctx context.Context) (at uint64, err error) {
	store, err := db.OpenReader(ctx, b.cfg.DataDir)
	if err != nil {
		return 0, err
	}
	defer closed(store, &err)
	c, err := store.Counts(ctx, time.Now())
	if err != nil {
		return 0, err
	}
	var by []string
	for _, s := range workflow.Statuses {
		by = append(by, fmt.Sprintf("%d %s", c.Documents[s], s))
	}
	b.err.Linef("an empty log loses what the database knows up to entry %d: documents: %s; %d emails and %d events are pending",
		c.Position.Sequence, strings.Join(by, ", "), c.Unsettled, c.OwedEvents)
	return c.Position.Sequence, nil
}
