package db

import (
	"context"
	"fmt"
)

// What the file's user_version says: whether it may hold traces of what was
// erased. SQLite overwrites what is deleted, but not the copies that a page keeps
// of rows which once were moved to another.
const (
	swept = iota
	unswept
)

// mark says in the file whether it may hold traces.
func (s *Store) mark(ctx context.Context, as int) error {
	_, err := s.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", as))
	return err
}

// Sweep writes the file anew, without traces, where an erasure since the last
// time may have left some. It takes as much room on the disk again for as long,
// and nothing is applied meanwhile. Where it fails or is cut off it is to be
// called again.
func (s *Store) Sweep(ctx context.Context) error {
	s.fold.Lock()
	defer s.fold.Unlock()
	ctx = context.WithoutCancel(ctx)
	marked := swept
	err := s.conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&marked)
	if err == nil && marked == swept {
		return nil
	}
	if err == nil {
		_, err = s.conn.ExecContext(ctx, "VACUUM")
	}
	if err == nil {
		err = s.mark(ctx, swept)
	}
	if err != nil {
		return explain(s.path, fmt.Errorf("sweep out traces of what was erased: %w", err))
	}
	s.dropJournal(ctx)
	return nil
}

// dropJournal empties SQLite's journal, which still has what was erased, unless
// somebody is reading it just now; then it is overwritten as it fills.
func (s *Store) dropJournal(ctx context.Context) {
	_, _ = s.conn.ExecContext(ctx, "PRAGMA busy_timeout = 0; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = 5000")
}
