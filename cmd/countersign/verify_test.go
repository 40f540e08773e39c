package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/db"
)

// TestVerify finds nothing while worker and log agree, with the worker running,
// and a row that was changed by hand: by the log, and by another's dump.
func TestVerify(t *testing.T) {
	x, one, w := documentsAreDone(t)
	if out := x.must(one, "verify"); !strings.Contains(out, "the database says what the log says") {
		t.Errorf("it says: %s", out)
	}
	file := filepath.Join(t.TempDir(), "dump")
	if err := os.WriteFile(file, []byte(x.must(one, "dump")), 0o600); err != nil {
		t.Fatal(err)
	}
	x.create(101, 1, "signer-%d@example.com")
	x.rest(one)
	w.end()

	two := t.TempDir()
	x.must(two, "rebuild")
	if code, _, errs := x.command(two, "verify", "--against", file); code != exitFailure || !strings.Contains(errs, "has already applied entry") {
		t.Errorf("a dump that is behind: exit code %d, %s", code, errs)
	}
	if err := os.WriteFile(file, []byte(x.must(one, "dump")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := x.must(two, "verify", "--against", file); !strings.Contains(out, "the database says what "+file+" says") {
		t.Errorf("it says: %s", out)
	}

	x.byHand(two, `UPDATE documents SET email = 'mallory@example.com' WHERE sid = '`+string(testPX(101))+`'`)
	for _, args := range [][]string{{"verify"}, {"verify", "--against", file}} {
		code, out, errs := x.command(two, args...)
		if code != exitFailure || !strings.Contains(errs, "the two states differ: 1 rows") {
			t.Errorf("%v: exit code %d, %s", args, code, errs)
		}
		want := "documents " + string(testPX(101)) + "\n  - email: signer-101@example.com\n  + email: mallory@example.com\n"
		if diff := cmp.Diff(want, out); diff != "" {
			t.Errorf("%v shows something else (-want +got):\n%s", args, diff)
		}
	}
	x.byHand(two, `DELETE FROM history WHERE document_sid = '`+string(testPX(101))+`'`)
	if _, out, _ := x.command(two, "verify"); !strings.Contains(out, "\n  - what: authorization_document.created") {
		t.Errorf("missing rows are shown as:\n%s", out)
	}
	if _, out, _ := x.command(two, "verify", "--limit", "1"); strings.Count(out, "\n  - email: ") != 1 || strings.Contains(out, "history") || !strings.Contains(out, " rows more\n") {
		t.Errorf("one row is shown as:\n%s", out)
	}
	x.must(two, "snapshot", "take") // which is as wrong
	if out := x.must(two, "verify", "--from-log=false"); !strings.Contains(out, "the database says what the log says") {
		t.Errorf("from the snapshot: %s", out)
	}
	if code, _, _ := x.command(two, "verify"); code != exitFailure {
		t.Errorf("from the log: exit code %d", code)
	}
}

// TestVerify_ComparesADatabaseThatIsBehind compares where the database stands, wherever
// the log ends.
func TestVerify_ComparesADatabaseThatIsBehind(t *testing.T) {
	x, dir, w := documentsAreDone(t)
	w.end()
	at := x.tail()
	x.create(101, 3, "signer-%d@example.com")
	if out := x.must(dir, "verify"); !strings.HasSuffix(out, fmt.Sprintf("up to entry %d\n", at)) {
		t.Errorf("it says: %s", out)
	}
	ahead := t.TempDir()
	x.must(ahead, "rebuild")
	x.must(ahead, "snapshot", "take")
	if out := x.must(dir, "verify", "--from-log=false"); !strings.HasSuffix(out, fmt.Sprintf("up to entry %d\n", at)) {
		t.Errorf("where the only snapshot is ahead: %s", out)
	}
}

// byHand changes a database as nobody should.
func (x *town) byHand(dir, statement string) {
	x.t.Helper()
	file, err := sql.Open("sqlite3", filepath.Join(dir, db.FileName))
	if err != nil {
		x.t.Fatal(err)
	}
	defer file.Close()
	if r, err := file.Exec(statement); err != nil {
		x.t.Fatal(err)
	} else if n, _ := r.RowsAffected(); n == 0 {
		x.t.Fatal("it changed nothing: " + statement)
	}
}
