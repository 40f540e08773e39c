package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"countersign/db"
	"countersign/internal/eventlog"
	"countersign/internal/relay"
	"countersign/workflow"
)

// foldTo folds the log into a store up to the entry at target. It fails where
// ctx ends before. bar may be nil.
func foldTo(ctx context.Context, log *eventlog.Log, store *db.Store, target uint64, bar progress) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	f := &foldUntil{relay.Fold{Store: store}, store, target, bar, stop}
	if store.Position().Sequence < target {
		if err := log.Follow(ctx, f); err != nil {
			return err
		}
	}
	if at := store.Position().Sequence; at < target {
		return fmt.Errorf("fold the log: %w: it ended at entry %d, before %d", workflow.ErrUnavailable, at, target)
	}
	return nil
}

// foldUntil is a fold that ends at an entry.
type foldUntil struct {
	relay.Fold
	store  *db.Store
	target uint64
	bar    progress
	stop   context.CancelFunc
}

// Apply implements eventlog.Fold.
func (f *foldUntil) Apply(ctx context.Context, stream time.Time, batch []workflow.Entry) error {
	n := len(batch)
	for n > 0 && batch[n-1].Sequence > f.target {
		n--
	}
	if err := f.Fold.Apply(ctx, stream, batch[:n]); err != nil {
		return err
	}
	if f.bar != nil {
		f.bar.to(int(f.store.Position().Sequence))
	}
	if n < len(batch) || f.store.Position().Sequence >= f.target {
		f.stop()
	}
	return nil
}

// sameAt folds the databases in two directories to the same position, the
// further of the two, and compares their states there.
func sameAt(ctx context.Context, log *eventlog.Log, one, two string) (same bool, at uint64, err error) {
	var states [2]string
	if at, err = log.ErasedUpTo(ctx); err != nil { // what was erased is gone from the log before that
		return false, at, err
	}
	for range 2 { // the second time around, both stand at the further position
		for i, dir := range []string{one, two} {
			store, err := db.Open(ctx, dir)
			if err != nil {
				return false, at, err
			}
			err = foldTo(ctx, log, store, at, nil)
			if err == nil {
				states[i], err = store.StateHash(ctx)
			}
			at = max(at, store.Position().Sequence)
			if err = errors.Join(err, store.Close()); err != nil {
				return false, at, err
			}
		}
	}
	return states[0] == states[1], at, nil
}
