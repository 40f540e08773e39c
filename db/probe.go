package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// roomNeeded is how much Probe writes beside the database, in bytes: SQLite often
// writes over room that it has already, and would not notice a full disk.
const roomNeeded = 256 << 10

// Probe writes to the database and to its disk, and changes nothing in them. It
// fails if either cannot be written, or if something else has held the database
// until ctx ends; the error says what to do, as Open's does.
func (s *Store) Probe(ctx context.Context) error {
	if changed := s.Changed(); !s.applying.TryLock() {
		select {
		case <-changed: // a batch that was applied is a write, too
			return nil
		case <-ctx.Done():
			return fmt.Errorf("database %s: one write has held it until now: %w", s.path, ctx.Err())
		}
	}
	defer s.applying.Unlock()
	if s.opened != nil {
		switch now, err := os.Stat(s.path); {
		case errors.Is(err, fs.ErrNotExist), err == nil && !os.SameFile(now, s.opened):
			return fmt.Errorf("database %s: the file was removed or replaced while it was open: restart the worker, which builds it again from the log", s.path)
		case err != nil:
			return explain(s.path, err)
		}
	}
	as := swept
	if s.Unswept() {
		as = unswept
	}
	err := s.mark(context.WithoutCancel(ctx), as)
	if err == nil && s.path != "" {
		err = writable(filepath.Dir(s.path))
	}
	if err != nil {
		return explain(s.path, fmt.Errorf("write to it: %w", err))
	}
	return nil
}

// writable writes a file, and removes it. Its name is always the same, so that a
// worker that is killed leaves one at most.
func writable(dir string) error {
	name := filepath.Join(dir, ".probe")
	return errors.Join(os.WriteFile(name, make([]byte, roomNeeded), 0o600), os.Remove(name))
}
