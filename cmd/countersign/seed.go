package main

import (
	"context"
	"errors"
	"math"
	"time"

	"countersign/db"
	"countersign/workflow"
)

// seedWait is how long a new worker waits for NATS to give it a snapshot.
const seedWait = 5 * time.Second

// openStore opens the database; one that has applied nothing yet begins as the
// newest good snapshot, where there is one.
func (w *worker) openStore(ctx context.Context) (err error) {
	if w.copies, err = newSnapshots(w.cfg, w.nc, w.logger); err != nil {
		return err
	}
	if unused(ctx, w.cfg.DataDir) {
		w.seed(ctx)
	}
	w.store, err = db.OpenTelling(ctx, w.cfg.DataDir, sayLocks(w.logger))
	return err
}

// unused reports whether a data directory has no database, or one that has
// applied nothing.
func unused(ctx context.Context, dir string) bool {
	store, err := db.OpenReader(ctx, dir)
	if err != nil {
		return errors.Is(err, workflow.ErrNotFound)
	}
	defer store.Close()
	return store.Position().Sequence == 0
}

// seed makes the database of a snapshot. Whatever keeps it from that is no
// reason not to start: the log has all that a snapshot has.
func (w *worker) seed(ctx context.Context) {
	ended := time.After(seedWait)
	for {
		x, ok, err := w.copies.restore(ctx, w.cfg.DataDir, math.MaxInt64)
		switch {
		case ok:
			w.logger.Info("starting from a snapshot", "name", x.Name, "position", x.Position.Sequence)
			return
		case err == nil:
			return // folding from the log's beginning
		case !errors.Is(err, workflow.ErrUnavailable):
			w.logger.Warn("no snapshot could be made the database; folding from the log's beginning", "err", err)
			return
		}
		select {
		case <-ended:
			w.logger.Warn("the snapshots cannot be read; folding from the log's beginning", "err", err)
			return
		case <-ctx.Done():
			return
		case <-time.After(askAgain):
		}
	}
}

// askAgain is the pause between two questions to a NATS that is away.
const askAgain = 100 * time.Millisecond
