package recovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"countersign/db"
	"countersign/internal/session"
	"countersign/internal/terminal"
	"countersign/workflow"
)

// Comparison is the result of a comparison of the data directory's database
// with the log or with another worker's dump.
type Comparison struct {
	At   uint64         // the entry up to which both were applied
	Rows []db.Differing // rows that differ, in the order of a dump
}

// Verify compares the data directory's database with the log, folded from its
// beginning or, without fromLog, from the newest snapshot on.
func Verify(ctx context.Context, s *session.Session, fromLog bool) (c Comparison, err error) {
	dir, remove, err := Scratch(s.Config.DataDir)
	if err != nil {
		return c, err
	}
	defer remove()
	mine, err := ownCopy(ctx, s, dir)
	if err != nil {
		return c, err
	}
	defer mine.Close()
	// Entries that were erased behind the database's position are no longer on
	// the log: both have to apply the erasure to be equal.
	target, err := s.Log.ErasedUpTo(ctx)
	if err != nil {
		return c, err
	}
	target = max(target, mine.Position().Sequence)
	if err := FoldTo(ctx, s.Log, mine, target, nil); err != nil {
		return c, err
	}
	folded, removeFolded, err := Scratch(dir)
	if err != nil {
		return c, err
	}
	defer removeFolded()
	store, err := fold(ctx, s, folded, target, fromLog)
	if err != nil {
		return c, err
	}
	defer store.Close()
	want := filepath.Join(folded, "dump")
	if err := dumpFile(ctx, store, want); err != nil {
		return c, err
	}
	return compare(ctx, want, mine, filepath.Join(dir, "dump"))
}

// VerifyAgainst compares the data directory's database with the dump of another
// worker in the file against, at the position of the dump. It fails with
// workflow.ErrConflict if the database is past that position.
func VerifyAgainst(ctx context.Context, s *session.Session, against string) (c Comparison, err error) {
	dir, remove, err := Scratch(s.Config.DataDir)
	if err != nil {
		return c, err
	}
	defer remove()
	mine, err := ownCopy(ctx, s, dir)
	if err != nil {
		return c, err
	}
	defer mine.Close()
	theirs, err := db.DumpPosition(against)
	if err != nil {
		return c, err
	}
	if at := mine.Position().Sequence; at > theirs {
		return c, fmt.Errorf("%w: %s ends at entry %d, and this database has already applied entry %d: write the dump again on the other worker, or compare there", workflow.ErrConflict, against, theirs, at)
	}
	if err := FoldTo(ctx, s.Log, mine, theirs, nil); err != nil {
		return c, err
	}
	return compare(ctx, against, mine, filepath.Join(dir, "dump"))
}

// compare dumps a store into the file into, and compares it with another dump.
func compare(ctx context.Context, want string, store *db.Store, into string) (c Comparison, err error) {
	if err := dumpFile(ctx, store, into); err != nil {
		return c, err
	}
	c.At = store.Position().Sequence
	c.Rows, err = db.Difference(want, into)
	return c, err
}

func dumpFile(ctx context.Context, store *db.Store, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(Dump(ctx, store, f), f.Close())
}

// Dump writes a store as text. Two databases with the same state have the same
// dump, byte by byte, and a terminal can show it.
func Dump(ctx context.Context, store *db.Store, to io.Writer) error {
	return store.Dump(ctx, terminal.JSONWriter(to))
}
