package db_test

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"

	"countersign/db"
	"countersign/workflow"
)

func TestOpen_DamagedOrNewerFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, db.FileName), bytes.Repeat([]byte("not a database "), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged file: %v", err)
	}
	if _, err := db.OpenReader(t.Context(), t.TempDir()); !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("a missing file: %v", err)
	}
}

// TestOpenReader_NewerProgramsFileIsRefused: one whose tables are newer, and one that
// was folded by rules that this program does not know.
func TestOpenReader_NewerProgramsFileIsRefused(t *testing.T) {
	for name, change := range map[string]string{
		"tables": "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)",
		"rules":  "UPDATE position SET rules = 2",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := open(t, dir).Close(); err != nil {
				t.Fatal(err)
			}
			raw, err := sql.Open("sqlite3", filepath.Join(dir, db.FileName))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := raw.Exec(change); err != nil {
				t.Fatal(err)
			}
			if err := raw.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Open(t.Context(), dir); !errors.Is(err, db.ErrNewer) {
				t.Errorf("opened: %v", err)
			}
		})
	}
}

// TestOpenReader_OtherProgramsFileIsNotRead: while a fleet is upgraded a command may
// meet a database that its worker, of another version, has open.
func TestOpenReader_OtherProgramsFileIsNotRead(t *testing.T) {
	dir := t.TempDir()
	raw, err := sql.Open("sqlite3", filepath.Join(dir, db.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	before, err := goose.NewProvider(goose.DialectSQLite3, raw, os.DirFS("migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.GetDBVersion(t.Context()); err != nil { // makes the table of versions, which says 0
		t.Fatal(err)
	}
	if _, err := db.OpenReader(t.Context(), dir); !errors.Is(err, db.ErrOlder) {
		t.Errorf("an older one: %v", err)
	}
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	if s, err := db.OpenReader(t.Context(), dir); err != nil {
		t.Errorf("brought up to date: %v", err)
	} else if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := raw.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.OpenReader(t.Context(), dir); !errors.Is(err, db.ErrNewer) {
		t.Errorf("a newer one: %v", err)
	}
}

// TestOpenReader_ChangeUnderAFrozenReaderIsSaid: somebody who may not write reads
// the file as one that nobody writes to, and a worker starts meanwhile.
func TestOpenReader_ChangeUnderAFrozenReaderIsSaid(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	for _, changed := range []bool{false, true} {
		reader, err := db.OpenReader(t.Context(), dir)
		if err == nil {
			err = reader.Freeze()
		}
		if err != nil {
			t.Fatal(err)
		}
		if changed {
			raw, err := sql.Open("sqlite3", filepath.Join(dir, db.FileName))
			if err == nil {
				_, err = raw.Exec("PRAGMA user_version = 1; PRAGMA wal_checkpoint(TRUNCATE)")
			}
			if err = errors.Join(err, raw.Close()); err != nil {
				t.Fatal(err)
			}
		}
		if err := reader.Close(); errors.Is(err, workflow.ErrConflict) != changed {
			t.Errorf("changed: %t, and Close says %v", changed, err)
		}
	}
}
