package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/workflow"
)

// TestRulesActivate_OldBuildStopsAndNewOnesAgree has two builds side by side on one log, of which one
// knows a second version of the rules. They agree until that is activated;
// then the old one stops and says so, at the entry, and the new ones agree.
func TestRulesActivate_OldBuildStopsAndNewOnesAgree(t *testing.T) {
	program := buildWith(t, "rules2", "-overlay", overlay(t, "../../workflow/rules_next.go", "testdata/rules_next.go"))
	x, before, after := newTown(t), t.TempDir(), t.TempDir()
	old := start(t, x.env(before))
	old.says("read to its end")
	next := x.built(program, x.env(after, "COUNTERSIGN_PARKING_LIMIT=12h")) // a new setting activates nothing
	next.says("read to its end")
	x.create(1, 6, "signer-%d@example.com")
	x.statuses(before, workflow.Signing, 6)
	x.sign(1, 3)
	x.statuses(before, workflow.Signed, 2)
	x.cancel(1)
	x.rest(before)
	x.rest(after)
	if diff := cmp.Diff(strings.Split(dump(t, before), "\n"), strings.Split(dump(t, after), "\n")); diff != "" {
		t.Errorf("before the switch the builds differ:\n%s", diff)
	}

	x.call(before, exitUsage, "rules", "activate", "2")
	if out, err := x.exec(program, after, "rules", "activate", "2"); err != nil || !strings.Contains(out, "in force from entry") {
		t.Fatalf("activate: %s, %v", out, err)
	}
	if code := <-old.done; code != exitFailure {
		t.Errorf("the old build ends with %d", code)
	}
	if !strings.Contains(old.log.String(), "rules version 2 is in force from here on, and this program knows version 1; start a newer one") {
		t.Errorf("the old build says\n%s", old.log)
	}
	x.cancel(2)
	x.rest(after)
	next.kill()
	again := start(t, x.env(before))
	if code := <-again.done; code != exitFailure {
		t.Errorf("the old build, started again, ends with %d\n%s", code, again.log)
	}

	// Document 1 was refused, document 2 was not.
	if out, _ := x.call(after, exitOK, "dead", "list", "--json"); strings.Count(out, "\n") != 1 || !strings.Contains(out, string(testPX(1))) {
		t.Errorf("refused: %s", out)
	}
	fresh := t.TempDir()
	w := x.built(program, x.env(fresh, "COUNTERSIGN_PARKING_LIMIT=12h"))
	w.says("read to its end")
	x.rest(fresh)
	w.kill()
	if diff := cmp.Diff(strings.Split(dump(t, after), "\n"), strings.Split(dump(t, fresh), "\n")); diff != "" {
		t.Errorf("made again from the log (+) the state differs:\n%s", diff)
	}
	if _, errs := x.call(after, exitFailure, "serve"); !strings.Contains(errs, "newer version of countersign") {
		t.Errorf("the old build on the new one's database: %s", errs)
	}
}

// overlay writes a file for go build's -overlay: the program is built as if the
// file at path were there, with the content of another.
func overlay(t *testing.T, path, content string) string {
	t.Helper()
	for _, name := range []*string{&path, &content} {
		abs, err := filepath.Abs(*name)
		if err != nil {
			t.Fatal(err)
		}
		*name = abs
	}
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{path: content}})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// sign signs the documents from..to-1.
func (x *town) sign(from, to int) {
	x.t.Helper()
	for n := from; n < to; n++ {
		x.send(on(n, "status"), event("signed-"+string(testPX(n)), "status_changed", `{"status":"signed"}`), nil)
	}
}

func (x *town) cancel(n int) {
	x.t.Helper()
	x.send(on(n, "status"), event("canceled-"+string(testPX(n)), "status_changed", `{"status":"canceled"}`), nil)
}

// exec runs a build of the program, as an operator does.
func (x *town) exec(program, dir string, args ...string) (string, error) {
	x.t.Helper()
	c := exec.CommandContext(x.t.Context(), program, args...)
	c.Env = x.env(dir)
	out, err := c.CombinedOutput()
	return string(out), err
}
