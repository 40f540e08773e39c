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

// mark says in the file whether it may hold traces. Where the transaction is
// rolled back there is nothing to sweep, and that does no harm.
func (s *Store) mark(ctx context.Context, as int) error {
	_, err := s.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", as))
	if err == nil {
		s.unswept.Store(as != swept)
	}
	return err
}

// Unswept reports whether an erasure may have left traces in the file.
func (s *Store) Unswept() bool { return s.unswept.Load() }

// Sweep writes the file anew, without traces, where it is Unswept. It takes as
// much room on the disk again for as long, and nothing is applied meanwhile.
// Where it fails or is cut off it is to be called again.
func (s *Store) Sweep(ctx context.Context) error {
	if !s.Unswept() {
		return nil
	}
	s.fold.Lock()
	defer s.fold.Unlock()
	ctx = context.WithoutCancel(ctx)
	_, err := s.conn.ExecContext(ctx, "VACUUM")
	if err == nil {
		err = s.mark(ctx, swept)
	}
	if err != nil {
		return explain(s.path, fmt.Errorf("sweep out traces of what was erased: %w", err))
	}
	s.dropJournal(ctx)
	return nil
}

// readMark reads whether the file may hold traces, from a run before.
func (s *Store) readMark(ctx context.Context) error {
	marked := swept
	err := s.conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&marked)
	s.unswept.Store(marked != swept)
	return err
}

// dropJournal empties SQLite's journal, which still has what was erased, unless
// somebody is reading it just now; then it is overwritten as it fills.
func (s *Store) dropJournal(ctx context.Context) {
	_, _ = s.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = 0; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = %d", busyTimeout.Milliseconds()))
}
