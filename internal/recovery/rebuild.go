package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"countersign/db"
)

func (a *app) rebuild() *cobra.Command {
	var fromLog bool
	c := &cobra.Command{
		Use:   "rebuild",
		Short: "Make the database again, from a snapshot or from the log alone",
		Long: `Folds the log into a new database beside the old one, from the newest good snapshot on or with --from-log from the
beginning, and swaps it in at the end. The old one is kept as ` + db.FileName + `.before until the next rebuild. No worker may be
running on the data directory.`,
		Args: cobra.NoArgs,
	}
	c.Flags().BoolVar(&fromLog, "from-log", false, "fold the whole log, whatever snapshots there are")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := a.load(c)
		if err != nil {
			return err
		}
		b, err := a.newBench(c.Context(), cfg, true)
		if err != nil {
			return err
		}
		defer b.close()
		return b.rebuild(c.Context(), fromLog)
	}
	return c
}

// fold folds the log into a database in the directory dir up to the entry at
// target, from the newest good snapshot on unless fromLog, and returns it.
func (b *bench) fold(ctx context.Context, dir string, target uint64, fromLog bool) (*db.Store, error) {
	if !fromLog {
		x, ok, err := b.copies.restore(ctx, dir, target)
		if err != nil {
			return nil, err
		}
		if ok {
			b.err.Linef("starting from snapshot %s", x.Name)
		}
	}
	store, err := db.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	bar := newProgress(b.err, int(target), "folded", "entries")
	defer bar.done()
	if err := foldTo(ctx, b.log, store, target, bar); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return store, nil
}

func (b *bench) rebuild(ctx context.Context, fromLog bool) error {
	target, err := b.log.Tail(ctx)
	if err != nil {
		return err
	}
	dir, remove, err := scratch(b.cfg.DataDir)
	if err != nil {
		return err
	}
	defer remove()
	store, err := b.fold(ctx, dir, target, fromLog)
	if err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return err
	}
	kept, err := db.Swap(dir, b.cfg.DataDir)
	if err != nil {
		return err
	}
	before := ""
	if kept != "" {
		before = "; the one before is kept as " + kept
	}
	return b.out.Linef("%s is rebuilt up to entry %d%s", filepath.Join(b.cfg.DataDir, db.FileName), target, before)
}
