package db_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/db"
)

func TestScratchFinish_MakesTheDatabaseThatAStoreMakes(t *testing.T) {
	log, _ := erasedDay(t, 7)
	usual := t.TempDir()
	s := open(t, usual)
	apply(t, s, log...)
	for name, copied := range map[string]int{"from the beginning": 0, "from a copy": len(log) / 2} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if copied > 0 {
				half := open(t, t.TempDir())
				apply(t, half, log[:copied]...)
				if err := half.Copy(t.Context(), dir); err != nil {
					t.Fatal(err)
				}
			}
			scratch, err := db.OpenScratch(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			for rest := log[copied:]; len(rest) > 0; {
				n := min(len(rest), 7)
				apply(t, scratch.Store, rest[:n]...)
				rest = rest[n:]
			}
			if err := scratch.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(schema(t, usual), schema(t, dir)); diff != "" {
				t.Errorf("it has other tables and indexes (+):\n%s", diff)
			}
			made := open(t, dir)
			if diff := cmp.Diff(strings.Split(dump(t, s), "\n"), strings.Split(dump(t, made), "\n")); diff != "" {
				t.Errorf("its state differs (+):\n%s", diff)
			}
			if !made.Unswept() {
				t.Error("nothing says that the file must be swept after the erasure")
			}
		})
	}
}

// schema is how the tables and indexes of a database are made. It fails the test
// if the file is damaged.
func schema(t *testing.T, dir string) (made []string) {
	t.Helper()
	file, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, db.FileName)+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var damage string
	if err := file.QueryRow("PRAGMA integrity_check").Scan(&damage); err != nil || damage != "ok" {
		t.Errorf("the file is damaged: %s, %v", damage, err)
	}
	rows, err := file.Query("SELECT coalesce(sql, name) FROM sqlite_master ORDER BY type, name")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var statement string
		if err := rows.Scan(&statement); err != nil {
			t.Fatal(err)
		}
		made = append(made, statement)
	}
	return made
}
