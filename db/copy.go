package db

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
)

// Copy writes the database as it is at one moment to a new file in the
// directory dir, which must exist. A worker may go on in the meantime. The copy
// belongs to no worker: the first store that opens it gets a name of its own.
// Nothing of rows that were deleted before is in it.
func (s *Store) Copy(ctx context.Context, dir string) error {
	to := filepath.Join(dir, FileName)
	if err := s.copyTo(ctx, to); err != nil {
		return explain(to, fmt.Errorf("copy %s: %w", s.path, err))
	}
	return nil
}

func (s *Store) copyTo(ctx context.Context, to string) (err error) {
	from, err := sql.Open("sqlite3", dsn(s.path, s.immutable()))
	if err != nil {
		return err
	}
	defer from.Close()
	if _, err := from.ExecContext(ctx, "VACUUM INTO ?", uri(to)); err != nil {
		return err
	}
	made, err := sql.Open("sqlite3", uri(to)+"?_journal_mode=DELETE")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, made.Close()) }()
	_, err = made.ExecContext(ctx, "UPDATE position SET worker = ''; PRAGMA user_version = 0")
	return err
}

// name gives the file a name on the log if it has none yet.
func (s *Store) name(ctx context.Context, worker string) error {
	if err := s.wq.NewPosition(ctx, worker); err != nil {
		return err
	}
	return s.wq.NameWorker(ctx, worker)
}

// StateHash is the SHA-256 of the dump, in hex: two stores that have folded the
// same log to the same position have the same.
func (s *Store) StateHash(ctx context.Context) (string, error) {
	h := sha256.New()
	if err := s.Dump(ctx, h); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// SchemaVersion is the version of the tables that this program reads and
// writes. It opens a database of an older one, and refuses a newer.
func SchemaVersion() (newest int64) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		panic(fmt.Sprintf("list the migrations: %v", err)) // the pattern is a constant
	}
	for _, name := range names {
		if v, err := goose.NumericComponent(name); err == nil {
			newest = max(newest, v)
		}
	}
	return newest
}

// Swap puts the database in the directory from in the place of the one in dir,
// which is kept beside it with ".before" in its name; kept is its path, empty
// if there was none. Nobody may have either open. If it is interrupted
// there may be no database for a moment, and never a mixed one.
func Swap(from, dir string) (kept string, err error) {
	path := filepath.Join(dir, FileName)
	if err := syncFile(filepath.Join(from, FileName)); err != nil {
		return "", fmt.Errorf("swap %s in: %w", path, err)
	}
	if kept, err = SetAside(dir, ".before"); err != nil {
		return kept, err
	}
	if err := os.Rename(filepath.Join(from, FileName), path); err != nil {
		return kept, fmt.Errorf("swap %s in: %w", path, err)
	}
	return kept, nil
}

// SetAside renames the database in dir, so that its name ends in end, and
// returns its path; "" if there is none. One that has that name already is
// replaced. Nobody may have it open.
func SetAside(dir, end string) (kept string, err error) {
	path := filepath.Join(dir, FileName)
	for _, part := range []string{"", "-wal", "-shm"} {
		err := os.Rename(path+part, path+end+part)
		switch {
		case err == nil && part == "":
			kept = path + end
		case errors.Is(err, fs.ErrNotExist) && kept != "":
			_ = os.Remove(kept + part) // a journal of an earlier one would spoil this one
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return kept, fmt.Errorf("set %s aside: %w", path+part, err)
		}
	}
	return kept, nil
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
