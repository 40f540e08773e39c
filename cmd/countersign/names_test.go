package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"countersign/workflow"
)

// TestServe_DataDirectoryMayHaveAnyName runs a worker with its own NATS server,
// and each command that reads or copies its database, on directories whose names
// mean something in a URI or in a pattern of file names. Nothing may appear
// beside the directories.
func TestServe_DataDirectoryMayHaveAnyName(t *testing.T) {
	x := newTown(t)
	t.Chdir(t.TempDir())
	names := []string{"data 41%41x", "da#ta", "da?ta=1&mode=ro", "%2e%2e", "file:da?mode=memory", "da[ta", "d*t[a]", `da'ta"`, `da\ta`}
	for _, dir := range names {
		t.Run(dir, func(t *testing.T) {
			w := start(t, x.embedded(dir))
			w.says("read to its end")
			do(t, onlyDir(dir), exitOK, "publish", oneLineFile(t, 1))
			x.statuses(dir, workflow.Signing, 1)
			archive := filepath.Join(t.TempDir(), "evidence.zip")
			for _, c := range []struct {
				args []string
				says string
			}{
				{[]string{"snapshot", "take"}, ": the database up to entry"},
				{[]string{"verify"}, "the database says what the log says"},
				{[]string{"verify", "--from-log=false"}, "the database says what the log says"},
				{[]string{"dump"}, string(testPX(1))},
				{[]string{"documents", "show", string(testPX(1))}, "signing"},
				{[]string{"evidence", string(testPX(1)), "-o", archive}, ""},
			} {
				if out, _ := do(t, onlyDir(dir), exitOK, c.args...); !strings.Contains(out, c.says) {
					t.Errorf("%v does not say %q: %s", c.args, c.says, out)
				}
			}
			if code := w.end(); code != exitOK {
				t.Errorf("the worker's exit code is %d", code)
			}
			if out, _ := do(t, onlyDir(dir), exitOK, "rebuild"); !strings.Contains(out, "is rebuilt up to entry") {
				t.Errorf("rebuild says: %s", out)
			}
		})
	}
	var found []string
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		found = append(found, e.Name())
	}
	slices.Sort(names)
	if !slices.Equal(found, names) {
		t.Errorf("the parent directory has %q, want %q", found, names)
	}
}
