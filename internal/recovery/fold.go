// Package recovery makes databases: from the log, from snapshots, or from both.
// With these it rebuilds a database, compares one with the log or with another
// worker's, takes snapshots, tells what a replay would change, and prepares a
// data directory for a new log.
package recovery

import (
	"context"
	"errors"
	"fmt"

	"countersign/db"
	"countersign/internal/eventlog"
	"countersign/internal/relay"
	"countersign/internal/session"
	"countersign/internal/terminal"
	"countersign/workflow"
)

// FoldTo folds the log into a store up to and including the entry target. It
// fails with workflow.ErrUnavailable if ctx ends before. bar may be nil.
func FoldTo(ctx context.Context, log *eventlog.Log, store *db.Store, target uint64, bar terminal.Progress) error {
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

// foldUntil is a fold that stops at an entry.
type foldUntil struct {
	relay.Fold
	store  *db.Store
	target uint64
	bar    terminal.Progress
	stop   context.CancelFunc
}

// Apply implements eventlog.Fold.
func (f *foldUntil) Apply(ctx context.Context, b eventlog.Batch) error {
	all := b.Entries
	n := len(all)
	for n > 0 && all[n-1].Sequence > f.target {
		n--
	}
	b.Entries = all[:n]
	if err := f.Fold.Apply(ctx, b); err != nil {
		return err
	}
	if f.bar != nil {
		f.bar.To(int(f.store.Position().Sequence))
	}
	if n < len(all) || f.store.Position().Sequence >= f.target {
		f.stop()
	}
	return nil
}

// fold makes a database in dir that has applied the log up to the entry target,
// and returns it. It starts from the newest usable snapshot, or with fromLog
// from the log's beginning.
func fold(ctx context.Context, s *session.Session, dir string, target uint64, fromLog bool) (*db.Store, error) {
	if !fromLog {
		snapshots, err := snapshotsOf(s)
		if err != nil {
			return nil, err
		}
		x, ok, err := snapshots.Restore(ctx, dir, target)
		if err != nil {
			return nil, err
		}
		if ok {
			s.Notes.Linef("starting from snapshot %s", x.Name)
		}
	}
	bar := terminal.NewProgress(s.Notes, int(target), "folded", "entries")
	defer bar.Done()
	if err := Make(ctx, s.Log, dir, target, bar); err != nil {
		return nil, err
	}
	return db.Open(ctx, dir)
}

// Make makes the database in dir, which may be a snapshot, and is not there
// otherwise: it applies the log up to and including the entry target. It fails as
// FoldTo does; then what is in dir must be removed. bar may be nil.
func Make(ctx context.Context, log *eventlog.Log, dir string, target uint64, bar terminal.Progress) error {
	scratch, err := db.OpenScratch(ctx, dir)
	if err != nil {
		return err
	}
	if err := FoldTo(ctx, log, scratch.Store, target, bar); err != nil {
		return errors.Join(err, scratch.Close())
	}
	return scratch.Finish(ctx)
}

// Current makes a database in dir that has applied the log to its end, and
// returns it. It starts from a copy of the data directory's database if there
// is one, else from a snapshot or the log.
func Current(ctx context.Context, s *session.Session, dir string) (*db.Store, error) {
	tail, err := s.Log.Tail(ctx)
	if err != nil {
		return nil, err
	}
	store, err := ownCopy(ctx, s, dir)
	if errors.Is(err, workflow.ErrNotFound) {
		return fold(ctx, s, dir, tail, false)
	}
	if err != nil {
		return nil, err
	}
	if err := FoldTo(ctx, s.Log, store, tail, nil); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return store, nil
}

// ownCopy opens a copy, made in dir, of the data directory's database.
func ownCopy(ctx context.Context, s *session.Session, dir string) (*db.Store, error) {
	live, err := db.OpenReader(ctx, s.Config.DataDir)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(live.Copy(ctx, dir), live.Close()); err != nil {
		return nil, err
	}
	return db.Open(ctx, dir)
}

// sameAt folds the databases in two directories to the same position, the
// larger of the two, and compares their states there.
func sameAt(ctx context.Context, log *eventlog.Log, one, two string) (same bool, at uint64, err error) {
	var states [2]string
	if at, err = log.ErasedUpTo(ctx); err != nil { // entries erased before that are no longer on the log
		return false, at, err
	}
	for range 2 { // the second time, both reach the larger position
		for i, dir := range []string{one, two} {
			store, err := db.Open(ctx, dir)
			if err != nil {
				return false, at, err
			}
			err = FoldTo(ctx, log, store, at, nil)
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
