package main

import (
	"strings"
	"testing"

	"countersign/workflow"
)

func TestDryRunFlag_SaysWhatWouldBeDoneAndDoesNothing(t *testing.T) {
	x := newLetters(t)
	x.say(status(4, workflow.Canceled))
	x.rest(x.dir)
	tail, before := x.tail(), dump(t, x.dir)
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"erase", string(testPX(4))}, "would be taken off the log"},
		{[]string{"dead", "redrive", x.invalid, "--set", "data.email=one@example.com"}, `"email":"one@example.com"`},
		{[]string{"dead", "redrive", x.refused}, "entry " + x.refused + " would be sent again, on authdocs.v1."},
		{[]string{"dead", "discard", x.refused, "--reason", "not needed"}, "entry " + x.refused + " would be discarded: not needed"},
		{[]string{"keys", "prune"}, ""},
		{[]string{"rules", "activate", "1"}, "rules version 1 is in force"},
	} {
		if out := x.must(x.dir, append(tt.args, "--dry-run")...); !strings.Contains(out, tt.says) {
			t.Errorf("%q says %s", tt.args, out)
		}
	}
	if after := dump(t, x.dir); x.tail() != tail || after != before {
		t.Errorf("the log ends at %d instead of %d, or the database has changed", x.tail(), tail)
	}
	x.w.end()
}

func TestSIDArg_MayBeShortened(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(0x10, 1, "signer-%d@example.com")
	x.create(0x20, 2, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 3)
	whole := string(testPX(0x10))
	short := whole[:len(whole)-1] // of 0x20 and 0x21 that is not unique
	for _, shown := range []string{short, short + "…", whole} {
		if out := x.must(dir, "documents", "show", shown); !strings.Contains(out, whole) {
			t.Errorf("%s: %s", shown, out)
		}
	}
	if out := x.must(dir, "documents", "cancel", short, "--reason", "a test"); !strings.Contains(out, whole+"\tcanceled") {
		t.Errorf("cancel: %s", out)
	}
	x.rest(dir)
	if out := x.must(dir, "evidence", short, "-o", t.TempDir()+"/archive"); !strings.Contains(out, whole) {
		t.Errorf("evidence: %s", out)
	}
	if out := x.must(dir, "erase", short, "--yes"); !strings.Contains(out, whole+" is erased") {
		t.Errorf("erase: %s", out)
	}
	x.rest(dir)
	if out := x.must(dir, "documents", "show", short); !strings.Contains(out, "erased") {
		t.Errorf("an erased one: %s", out)
	}
	x.must(dir, "dead", "list", "--document", short)
	several := string(testPX(0x20))[:len(whole)-1]
	for _, args := range [][]string{{"documents", "show", several}, {"erase", several, "--yes"}, {"documents", "resend", several}, {"dead", "list", "--document", several}} {
		if _, errs := x.call(dir, exitFailure, args...); !strings.Contains(errs, string(testPX(0x20))+", "+string(testPX(0x21))) {
			t.Errorf("%q: %s", args, errs)
		}
	}
	if _, errs := x.call(dir, exitFailure, "documents", "show", "PXffff"); !strings.Contains(errs, "no document has a sid that begins with PXffff") {
		t.Errorf("none: %s", errs)
	}
	w.end()
}
