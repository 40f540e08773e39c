package db_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"countersign/db"
)

// lockFile has another connection lock the file in dir, until it is freed.
func lockFile(t *testing.T, dir string) (free func()) {
	t.Helper()
	file, err := sql.Open("sqlite3", filepath.Join(dir, db.FileName))
	if err != nil {
		t.Fatal(err)
	}
	file.SetMaxOpenConns(1)
	if _, err := file.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return func() { file.Close() }
}

// TestStore_WaitsForLock has every way to write wait for another connection that
// has locked the file, be told about it, and succeed once the file is free.
func TestStore_WaitsForLock(t *testing.T) {
	w := &writer{}
	w.created(1)
	w.created(2)
	for name, write := range map[string]func(ctx context.Context, s *db.Store) error{
		"Apply":   func(ctx context.Context, s *db.Store) error { return s.Apply(ctx, stream, w.entries) },
		"Foresee": func(ctx context.Context, s *db.Store) error { return s.Foresee(ctx, nil) },
		"Rewind": func(ctx context.Context, s *db.Store) error {
			_, err := s.Rewind(ctx, 100, func(uint64, time.Time, string, string) (bool, error) { return true, nil })
			return err
		},
		"Open": nil,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			if name == "Rewind" {
				apply(t, s, w.entries...)
			}
			s.Close()
			told := make(chan db.Lock, 1000)
			tell := func(l db.Lock) { told <- l }
			if write != nil {
				var err error
				if s, err = db.OpenTelling(t.Context(), dir, tell); err != nil {
					t.Fatal(err)
				}
				defer s.Close()
			}
			free := lockFile(t, dir)
			done := make(chan error, 1)
			try := func(ctx context.Context) {
				if write != nil {
					done <- write(ctx, s)
					return
				}
				s, err := db.OpenTelling(ctx, dir, tell)
				if err == nil {
					err = s.Close()
				}
				done <- err
			}

			ctx, cancel := context.WithCancel(t.Context())
			go try(ctx)
			if k := <-told; k.Free || k.Path != filepath.Join(dir, db.FileName) {
				t.Errorf("told %+v", k)
			}
			if write != nil { // reads go on
				if _, err := s.Counts(t.Context(), time.Time{}); err != nil {
					t.Error(err)
				}
			}
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("after the end of its context: %v", err)
			}
			for len(told) > 0 {
				<-told
			}

			go try(t.Context())
			<-told
			free()
			if err := <-done; err != nil {
				t.Errorf("after the lock: %v", err)
			}
			var last db.Lock
			for len(told) > 0 {
				last = <-told
			}
			if !last.Free {
				t.Error("it was not told that the file is free")
			}
		})
	}
}
