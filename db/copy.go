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

// Scratch is a database that is being made, and that nobody reads yet: it keeps no
// journal, syncs nothing, and has no indexes that the fold does without. So it
// takes a long log much faster than a Store does. After an error, or if Finish was
// not called, the file may be damaged; it must be removed.
type Scratch struct {
	*Store
	indexes []string // statements that make the indexes again
}

// OpenScratch opens a database to apply a long log to it, in the directory dir.
// It is new, or it is a copy of another, such as a snapshot, which may be lost. It
// fails as Open does.
func OpenScratch(ctx context.Context, dir string) (*Scratch, error) {
	path := filepath.Join(dir, FileName)
	s := &Scratch{Store: &Store{path: path, changed: make(chan struct{})}}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(explain(path, err), s.Close())
	}
	return s, nil
}

// scratchCache is how many KiB of pages the connection keeps that writes.
const scratchCache = 64 << 10

// scratchDSN keeps secure_delete: an erasure leaves nothing in the file that it
// makes either.
func scratchDSN(path, extra string) string {
	return uri(path) + "?_journal_mode=OFF&_synchronous=OFF&_foreign_keys=on&_secure_delete=on&_txlock=immediate" + extra
}

func (s *Scratch) open(ctx context.Context) (err error) {
	if s.write, err = sql.Open("sqlite3", scratchDSN(s.path, fmt.Sprintf("&_cache_size=-%d", scratchCache))); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if err := s.prepare(ctx, scratchDSN(s.path, queryOnly)); err != nil {
		return err
	}
	if s.position.Sequence > 0 {
		return nil // to make the indexes again could take longer than they save
	}
	return s.dropIndexes(ctx)
}

// dropIndexes drops the indexes of the tables that the fold reads by their keys
// alone. What the fold looks for in another way is documents_waiting.
func (s *Scratch) dropIndexes(ctx context.Context) error {
	rows, err := s.conn.QueryContext(ctx, `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> ''
		AND (tbl_name = 'documents' OR tbl_name = 'mails' OR tbl_name = 'outbox_events') AND name <> 'documents_waiting'`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name, statement string
		if err := rows.Scan(&name, &statement); err != nil {
			return err
		}
		names, s.indexes = append(names, name), append(s.indexes, statement)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, name := range names {
		if _, err := s.conn.ExecContext(ctx, "DROP INDEX "+name); err != nil {
			return err
		}
	}
	return nil
}

// Finish makes the indexes and closes the database, which is complete then. What
// it wrote may not be on the disk yet: Swap syncs it.
func (s *Scratch) Finish(ctx context.Context) error {
	for _, statement := range s.indexes {
		if _, err := s.conn.ExecContext(ctx, statement); err != nil {
			return errors.Join(explain(s.path, fmt.Errorf("make the indexes: %w", err)), s.Close())
		}
	}
	return s.Close()
}
