package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"countersign/db"
	"countersign/internal/private"
	"countersign/workflow"
)

func TestDryRunFlag_SaysWhatWouldBeDoneAndDoesNothing(t *testing.T) {
	x := newLetters(t)
	x.say(status(4, workflow.Canceled))
	x.rest(x.dir)
	letter := file(t, "Subject: no report\n\nHello\n")
	x.must(x.dir, "bounce", letter)
	report := strconv.FormatUint(x.unreadList(x.dir)[0].Sequence, 10)
	keys, snapshots := x.must(x.dir, "keys", "list"), x.must(x.dir, "snapshot", "list")
	tail, before := x.tail(), dump(t, x.dir)
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"erase", string(testPX(4))}, "would be removed from the log"},
		{[]string{"dead", "redrive", x.invalid, "--set", "data.email=one@example.com"}, `"email":"one@example.com"`},
		{[]string{"dead", "redrive", x.refused}, "entry " + x.refused + " would be sent again, on authdocs.v1."},
		{[]string{"dead", "discard", x.refused, "--reason", "not needed"}, "entry " + x.refused + " would be discarded: not needed"},
		{[]string{"keys", "prune"}, ""},
		{[]string{"keys", "rotate"}, "a new key would sign from"},
		{[]string{"rules", "activate", "1"}, "rules version 1 is in force"},
		{[]string{"bounce", letter}, "would be kept as an unread report"},
		{[]string{"bounces", "unread", "discard", report}, "report " + report + " would be discarded"},
		{[]string{"snapshot", "take"}, "would be taken"},
		{[]string{"publish", oneLineFile(t, 9)}, "would publish 1: 1 valid"},
	} {
		if out := x.must(x.dir, append(tt.args, "--dry-run")...); !strings.Contains(out, tt.says) {
			t.Errorf("%q says %s", tt.args, out)
		}
	}
	if after := dump(t, x.dir); x.tail() != tail || after != before {
		t.Errorf("the log ends at %d instead of %d, or the database has changed", x.tail(), tail)
	}
	if n := len(x.unreadList(x.dir)); n != 1 {
		t.Errorf("%d unread reports, want 1", n)
	}
	if x.must(x.dir, "keys", "list") != keys || x.must(x.dir, "snapshot", "list") != snapshots {
		t.Error("there is a new key or a new snapshot")
	}
	x.w.end()
	if out := x.must(x.dir, "rebuild", "--from-log", "--dry-run"); !strings.Contains(out, "would be rebuilt up to entry") {
		t.Errorf("rebuild: %s", out)
	}
	if private.Exists(filepath.Join(x.dir, db.FileName+".before")) || dump(t, x.dir) != before {
		t.Error("rebuild has replaced the database")
	}
}

func TestPublish_DryRunListsDeadLettersWithoutAServer(t *testing.T) {
	good, err := os.ReadFile(oneLineFile(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	bad := eventLine(on(2, "created"), event("two", "created", fmt.Sprintf(content, "nobody", 2)))
	out, errs := do(t, onlyDir(t.TempDir()), exitFailure, "publish", eventsFile(t, string(good), bad), "--dry-run")
	if !strings.Contains(out, "would publish 2: 1 valid, 1 dead letter\n") || !strings.Contains(out, "data.email") {
		t.Errorf("it prints %s", out)
	}
	if !strings.Contains(errs, "1 of 2 lines would be dead letters") {
		t.Errorf("it says %s", errs)
	}
}

func TestAccounts_DryRunChecksAndWritesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	command := func(want int, args ...string) (out, errs string) {
		return do(t, onlyDir(dir), want, append([]string{"accounts"}, args...)...)
	}
	account := string(testAccount)
	if out, _ := command(exitOK, "add", "--sid", account, "--dry-run"); out != account+" would be added\n" {
		t.Errorf("add: %s", out)
	}
	if private.Exists(dir) {
		t.Error("add has made the directory")
	}
	command(exitOK, "add", "--sid", account)
	secret, _ := command(exitOK, "add-key", "--sid", account)
	key, _, _ := strings.Cut(secret, " ")
	before, err := os.ReadFile(filepath.Join(dir, "accounts"))
	if err != nil {
		t.Fatal(err)
	}
	for command, done := range map[string]string{"rotate": "given a new token", "disable": "disabled", "enable": "enabled", "add-key": "given an API key", "remove-key": "removed"} {
		sid := account
		if command == "remove-key" {
			sid = key
		}
		if out, _ := do(t, onlyDir(dir), exitOK, "accounts", command, "--sid", sid, "--dry-run"); out != sid+" would be "+done+"\n" {
			t.Errorf("%s: %s", command, out)
		}
		do(t, onlyDir(dir), exitFailure, "accounts", command, "--sid", "AC"+strings.Repeat("0", 32), "--dry-run")
	}
	if _, errs := command(exitFailure, "add", "--sid", account, "--dry-run"); !strings.Contains(errs, account+" exists") {
		t.Errorf("an account that is there: %s", errs)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "accounts")); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the file has changed: %v", err)
	}
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
