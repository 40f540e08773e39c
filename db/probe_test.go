package db

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestStoreProbe_ChangesNothing probes a store that has to be swept, and looks
// whether it still has to.
func TestStoreProbe_ChangesNothing(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, as := range []int{swept, unswept} {
		if err := s.mark(t.Context(), as); err != nil {
			t.Fatal(err)
		}
		if err := s.Probe(t.Context()); err != nil || s.Unswept() != (as == unswept) {
			t.Errorf("marked %d: %v, to be swept: %t", as, err, s.Unswept())
		}
		if err := s.readMark(t.Context()); err != nil || s.Unswept() != (as == unswept) {
			t.Errorf("marked %d, the file says otherwise (%v)", as, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".probe*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

// TestStoreProbe_FailsIfTheDatabaseCannotBeWritten has a database that refuses
// writes, one that another write holds, and a disk that takes no file.
func TestStoreProbe_FailsIfTheDatabaseCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	fails := func(ctx context.Context, says string) {
		t.Helper()
		if err := s.Probe(ctx); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	set := func(pragma string) {
		t.Helper()
		if _, err := s.conn.ExecContext(t.Context(), pragma); err != nil {
			t.Fatal(err)
		}
	}
	set("PRAGMA query_only = on")
	fails(t.Context(), "the file cannot be written; check the directory's owner and permissions")
	set("PRAGMA query_only = off")

	if err := os.Mkdir(filepath.Join(dir, ".probe"), 0o700); err != nil {
		t.Fatal(err)
	}
	fails(t.Context(), "is a directory")

	s.applying.Lock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Probe(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("held by another write: %v", err)
	}
	s.applying.Unlock()
	if err := s.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestStoreProbe_FailsIfTheFileIsGone removes the file, and puts another there.
func TestStoreProbe_FailsIfTheFileIsGone(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	path := filepath.Join(dir, FileName)
	copied, err := os.ReadFile(path)
	if err == nil {
		err = os.Rename(path, path+".before")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{func() error { return nil }, func() error { return os.WriteFile(path, copied, 0o600) }} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
		if err := s.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "removed or replaced while it was open: restart the worker") {
			t.Errorf("%v", err)
		}
	}
}
