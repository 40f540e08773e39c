package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/private"
	"countersign/workflow"
)

// TestAccountsAdd_WorksBeforeTheFirstStart adds an account where there is no data
// directory yet. A worker starts there afterwards.
func TestAccountsAdd_WorksBeforeTheFirstStart(t *testing.T) {
	x := newTown(t)
	dir := filepath.Join(t.TempDir(), "var", "countersign")
	token, _ := do(t, onlyDir(dir), exitOK, "accounts", "add", "--sid", string(testAccount))
	if len(strings.TrimSpace(token)) < 16 {
		t.Errorf("the token: %q", token)
	}
	for _, path := range []string{dir, filepath.Dir(dir)} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
	w := start(t, x.env(dir))
	w.says("read to its end")
	list, _ := do(t, onlyDir(dir), exitOK, "accounts", "list")
	if !strings.Contains(list, string(testAccount)) {
		t.Errorf("the accounts: %s", list)
	}
	w.end()
}

// TestAccountsAdd_FileElsewhereMakesItsDirectory adds an account to a file outside the
// data directory: the directory of the file is made.
func TestAccountsAdd_FileElsewhereMakesItsDirectory(t *testing.T) {
	dir := t.TempDir()
	file, key := filepath.Join(dir, "etc", "accounts.json"), filepath.Join(dir, "keys", "webhook-key")
	do(t, nil, exitOK, "accounts", "add", "--sid", string(testAccount), "--accounts-file", file, "--webhook-key", key)
	for _, made := range []string{file, key} {
		if _, err := os.Stat(made); err != nil {
			t.Error(err)
		}
	}
}

// TestAccounts_OthersMakeNoDirectory: only adding makes one; what is wrong with
// the call, or with the path, is said.
func TestAccounts_OthersMakeNoDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	for _, command := range []string{"rotate", "disable", "enable", "add-key"} {
		if _, errs := do(t, onlyDir(dir), exitFailure, "accounts", command, "--sid", string(testAccount)); !strings.Contains(errs, "accounts add") {
			t.Errorf("%s: %s", command, errs)
		}
	}
	do(t, onlyDir(dir), exitFailure, "accounts", "add", "--sid", "AC1")
	if private.Exists(dir) {
		t.Error("a directory was made")
	}
}

// TestVersion_FlagSaysWhatTheCommandSays, and stays inert on a terminal.
func TestVersion_FlagSaysWhatTheCommandSays(t *testing.T) {
	flag, _ := do(t, nil, exitOK, "--version")
	command, _ := do(t, nil, exitOK, "version")
	if flag != command || !strings.HasPrefix(flag, "countersign ") || strings.Count(flag, "\n") != 1 {
		t.Errorf("--version: %q, version: %q", flag, command)
	}
}

// TestPublish_UnknownTypeListsTheTypes misspells a type.
func TestPublish_UnknownTypeListsTheTypes(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	for n, typ := range []string{"authorization_document.create", "AuthorizationDocument.created", "hosted_number_order.completed"} {
		file := eventsFile(t, eventLine(on(n+1, "created"), strings.Replace(event("x", "created", "{}"), workflow.TypeCreated, typ, 1)))
		out, _ := x.call(dir, exitFailure, "publish", file, "--json")
		for _, want := range []string{"unknown_type", workflow.TypeCreated, workflow.TypeUpdated, workflow.TypeStatusChanged, workflow.TypeOrderStatusChanged, workflow.TypeResend, workflow.TypeBounced} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %s in %s", typ, want, out)
			}
		}
		if strings.Contains(out, workflow.TypeBecame) {
			t.Errorf("it lists what services must not send: %s", out)
		}
	}
	w.end()
}
