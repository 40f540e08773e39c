package db_test

import (
	"os"
	"path/filepath"
	"testing"

	"countersign/db"
)

// TestOpen_DirectoryMayHaveAnyName opens databases below directories whose names
// mean something in a URI. One cut off there would be another's database.
func TestOpen_DirectoryMayHaveAnyName(t *testing.T) {
	for _, name := range []string{"a#1", "a?mode=memory", "a%23", "a b&c"} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		open(t, dir)
		if _, err := os.Stat(filepath.Join(dir, db.FileName)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
