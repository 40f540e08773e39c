package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/internal/terminal"
	"countersign/workflow"
)

func (a *app) dump() *cobra.Command {
	return &cobra.Command{
		Use:   "dump",
		Short: "Write the database as text that is the same for every worker",
		Long: `Writes the database of a worker on this machine, running or not: each line a JSON array of a table's name and a row,
the position first. Two workers at the same position write the same bytes; see verify --against.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			cfg, err := a.load(c)
			if err != nil {
				return err
			}
			store, err := db.OpenReader(c.Context(), cfg.DataDir)
			if err != nil {
				return err
			}
			defer closed(store, &err)
			return dumpTo(c.Context(), store, a.out.Device())
		},
	}
}

func (a *app) verify() *cobra.Command {
	var against string
	var fromLog bool
	var most int
	c := &cobra.Command{
		Use:   "verify",
		Short: "Compare the database with the log, or with another worker's",
		Long: `Folds the log into a scratch file, up to where the database of a worker on this machine stands, and shows where the
two differ: "-" what the log says, "+" what the database says. With --against it compares the database with what another
worker's countersign dump wrote. The worker may be running. It exits with 1 where there is any difference.`,
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&against, "against", "", "a file that another worker's countersign dump wrote")
	c.Flags().BoolVar(&fromLog, "from-log", true, "fold from the log's beginning; =false trusts the newest snapshot")
	c.Flags().IntVar(&most, "limit", 50, "show at most so many rows that differ")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := a.load(c)
		if err != nil {
			return err
		}
		b, err := a.newBench(c.Context(), cfg, false)
		if err != nil {
			return err
		}
		defer b.close()
		return b.verify(c.Context(), against, fromLog, most)
	}
	return c
}

func (b *bench) verify(ctx context.Context, against string, fromLog bool, most int) error {
	dir, remove, err := scratch(b.cfg.DataDir)
	if err != nil {
		return err
	}
	defer remove()
	mine, err := b.ownCopy(ctx, dir)
	if err != nil {
		return err
	}
	defer mine.Close()
	if against != "" {
		return b.verifyAgainst(ctx, mine, against, dir, most)
	}
	// What was erased behind the database's position is gone from the log
	// already: both have to reach the erasure to be equal.
	target, err := b.log.ErasedUpTo(ctx)
	if err != nil {
		return err
	}
	target = max(target, mine.Position().Sequence)
	if err := foldTo(ctx, b.log, mine, target, nil); err != nil {
		return err
	}
	said, removeSaid, err := scratch(dir)
	if err != nil {
		return err
	}
	defer removeSaid()
	store, err := b.fold(ctx, said, target, fromLog)
	if err != nil {
		return err
	}
	defer store.Close()
	want := filepath.Join(said, "dump")
	if err := dumpFile(ctx, store, want); err != nil {
		return err
	}
	return b.compare(ctx, want, mine, filepath.Join(dir, "dump"), most, "the log")
}

// ownCopy opens a copy of this machine's database.
func (b *bench) ownCopy(ctx context.Context, dir string) (*db.Store, error) {
	live, err := db.OpenReader(ctx, b.cfg.DataDir)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(live.Copy(ctx, dir), live.Close()); err != nil {
		return nil, err
	}
	return db.Open(ctx, dir)
}

// verifyAgainst compares with another worker's dump, at that one's position.
func (b *bench) verifyAgainst(ctx context.Context, mine *db.Store, against, dir string, most int) error {
	theirs, err := db.DumpPosition(against)
	if err != nil {
		return err
	}
	if at := mine.Position().Sequence; at > theirs {
		return fmt.Errorf("%w: %s is of entry %d, and this database stands at %d already: have the other worker write it again, or compare there", workflow.ErrConflict, against, theirs, at)
	}
	if err := foldTo(ctx, b.log, mine, theirs, nil); err != nil {
		return err
	}
	return b.compare(ctx, against, mine, filepath.Join(dir, "dump"), most, against)
}

// compare shows the differences between a dump and a database.
func (b *bench) compare(ctx context.Context, want string, store *db.Store, into string, most int, with string) error {
	if err := dumpFile(ctx, store, into); err != nil {
		return err
	}
	at := store.Position().Sequence
	rows, err := db.Difference(want, into)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return b.out.Linef("the database says what %s says, up to entry %d", with, at)
	}
	for _, r := range rows[:min(most, len(rows))] {
		for line := range strings.Lines(r.String()) { // its values are JSON, without a line feed
			b.out.Linef("%s", strings.TrimSuffix(line, "\n"))
		}
	}
	if n := len(rows) - most; n > 0 {
		b.out.Linef("and %d rows more", n)
	}
	return fmt.Errorf("the two states differ: %d rows of the database (+) and of %s (-), at entry %d", len(rows), with, at)
}

func dumpFile(ctx context.Context, store *db.Store, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(dumpTo(ctx, store, f), f.Close())
}

// dumpTo writes a dump as every dump is written: a terminal can show it, and two
// can be compared byte by byte.
func dumpTo(ctx context.Context, store *db.Store, to io.Writer) error {
	return store.Dump(ctx, terminal.JSONWriter(to))
}
