package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
)

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
// alone.
func (s *Scratch) dropIndexes(ctx context.Context) error {
	rows, err := s.conn.QueryContext(ctx, `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> ''
		AND (tbl_name = 'documents' OR tbl_name = 'mails' OR tbl_name = 'outbox_events')`)
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
