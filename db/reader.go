package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mattn/go-sqlite3"

	"countersign/workflow"
)

// A reader needs the files -wal and -shm beside the database. Whoever may not
// make them reads those of a running worker. If none runs they are not there, and
// the file is complete without them: then SQLite is told that nobody writes to
// it (https://sqlite.org/wal.html, section 5). Close checks that this was so.

// immutable is what the DSN of a reader says of the file.
func (s *Store) immutable() string {
	if s.frozen == nil {
		return ""
	}
	return "&immutable=1"
}

// unwritable reports whether a reader failed because it may not make files
// beside the database.
func unwritable(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code == sqlite3.ErrCantOpen || e.Code == sqlite3.ErrReadonly)
}

// journalIsEmpty reports whether all that was committed is in the database file.
func journalIsEmpty(path string) bool {
	info, err := os.Stat(path + "-wal")
	return errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0
}

// stayedFrozen fails if somebody wrote to a file that was opened as one that
// nobody writes to.
func (s *Store) stayedFrozen() error {
	if s.frozen == nil {
		return nil
	}
	now, err := os.Stat(s.path)
	if err == nil && os.SameFile(now, s.frozen) && now.ModTime().Equal(s.frozen.ModTime()) && now.Size() == s.frozen.Size() {
		return nil
	}
	return errors.Join(err, fmt.Errorf("%w: a worker changed %s while it was read, and the answer may be wrong: run the command again", workflow.ErrConflict, s.path))
}

// explainReading is explain for somebody who only reads.
func explainReading(path string, err error) error {
	if unwritable(err) {
		return fmt.Errorf("database %s: %w: it cannot be read: the user needs the right to read it and, if they are there, %[1]s-wal and %[1]s-shm; after a worker was killed, also the right to write to the directory, or start the worker", path, err)
	}
	return explain(path, err)
}

// OpenReader opens a store that another process may be writing to, for reading
// alone. It fails with workflow.ErrNotFound if there is none. It needs no
// right to write to the directory, unless a worker was killed there and its
// journal is left.
func OpenReader(ctx context.Context, dir string) (*Store, error) {
	path := filepath.Join(dir, FileName)
	s := &Store{path: path, changed: make(chan struct{})}
	_, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: no database at %s; is --data-dir the worker's?", workflow.ErrNotFound, path)
	case err != nil:
		return nil, fmt.Errorf("look for the database: %w; run this as the worker's user", err)
	}
	err = s.openReaders(ctx, dsn(path, queryOnly))
	if unwritable(err) && journalIsEmpty(path) {
		_ = s.read.Close() // it has read nothing
		if s.frozen, err = os.Stat(path); err == nil {
			err = s.openReaders(ctx, dsn(path, queryOnly+s.immutable()))
		}
	}
	if err != nil {
		return nil, errors.Join(explainReading(path, err), s.Close())
	}
	return s, nil
}
