package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"countersign/workflow"
)

// stranger is a user who owns no file: nobody, if the test runs as root, who
// can do all things; else the test's own user, whom modes hold back.
const stranger = 65534

// asStranger runs this test binary as the program, as the stranger.
func asStranger(t *testing.T, env []string, args ...string) (code int, out string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a worker that should not have started ends
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...) // the stranger cannot walk to the binary
	cmd.Env, cmd.Dir = append(env, "AS_PROGRAM=1"), "/"
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
	}
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), b.String()
}

// readable lets the stranger read all under dir, and write nothing.
func readable(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o440)
		if d.IsDir() {
			mode = 0o550
			if os.Geteuid() != 0 {
				t.Cleanup(func() { _ = os.Chmod(path, 0o700) }) // or the test cannot remove it
			}
		}
		if os.Geteuid() == 0 {
			err = os.Chown(path, 0, stranger)
		}
		return errors.Join(err, os.Chmod(path, mode))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// shared is a directory to which everybody can walk.
func shared(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "countersign-shared-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// copyFiles copies the files that lie in a data directory.
func copyFiles(t *testing.T, from, to string) {
	t.Helper()
	files, err := os.ReadDir(from)
	if err == nil {
		err = os.MkdirAll(to, 0o700)
	}
	for _, f := range files {
		if err != nil {
			break
		}
		if f.Type().IsRegular() {
			var data []byte
			data, err = os.ReadFile(filepath.Join(from, f.Name()))
			err = errors.Join(err, os.WriteFile(filepath.Join(to, f.Name()), data, 0o600))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// reading are the commands that only read, and what they print of a data
// directory with document 1 and dead letter letter.
func reading(letter string) map[string][]string {
	return map[string][]string{
		string(testPX(1)):    {"documents", "list"},
		"signer@example.com": {"documents", "show", string(testPX(1))},
		letter:               {"dead", "list"},
		"data.email":         {"dead", "show", letter},
		"parking-limit":      {"rules", "show"},
		"signing ":           {"keys", "list"},
		string(testAccount):  {"accounts", "list"},
		`["documents",`:      {"dump"},
		`"date_created":`:    {"documents", "show", string(testPX(1)), "--json"},
	}
}

// TestCountersign_ReadingCommandsNeedNoRightToWrite reads a data directory as a user who
// may only read: while a worker runs, after it has stopped, and after it was
// killed with a journal that is not empty.
func TestCountersign_ReadingCommandsNeedNoRightToWrite(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	k, letter := x.readOnlyTown(dir)
	killed, running, stopped := filepath.Join(shared(t), "data"), filepath.Join(shared(t), "data"), filepath.Join(shared(t), "data")
	copyFiles(t, dir, killed) // with -wal and -shm, as a kill leaves them
	if info, err := os.Stat(filepath.Join(killed, "countersign.db-wal")); err != nil || info.Size() == 0 {
		t.Fatalf("no journal: %v", err)
	}
	if err := k.cmd.Process.Signal(os.Interrupt); err != nil || k.dies() != exitOK {
		t.Fatal(err)
	}
	copyFiles(t, dir, stopped)
	if _, err := os.Stat(filepath.Join(stopped, "countersign.db-wal")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a journal is left: %v", err)
	}
	copyFiles(t, dir, running)
	r := x.process(x.env(running))
	for name, dir := range map[string]string{"killed": killed, "stopped": stopped, "running": running} {
		readable(t, dir)
		before := listing(t, dir)
		for want, args := range reading(letter) {
			if code, out := asStranger(t, onlyDir(dir), args...); code != exitOK || !strings.Contains(out, want) {
				t.Errorf("%s: countersign %s: exit code %d, no %q in %s", name, strings.Join(args, " "), code, want, out)
			}
		}
		if code, out := asStranger(t, x.env(dir), "verify"); code != exitOK {
			t.Errorf("%s: countersign verify: %s", name, out)
		}
		if after := listing(t, dir); after != before {
			t.Errorf("%s: files before:\n%s\nafter:\n%s", name, before, after)
		}
	}
	r.kill()
}

// readOnlyTown has a worker on dir with an account, document 1 and a dead
// letter, whose sequence it returns.
func (x *town) readOnlyTown(dir string) (k *killable, letter string) {
	x.t.Helper()
	x.keys = filepath.Join(dir, "keys")
	k = x.process(x.env(dir))
	do(x.t, x.env(dir), exitOK, "publish", oneLineFile(x.t, 1))
	letter = x.send(on(2, "created"), event("bad", "created", `{"email":"nobody"}`), nil)
	x.failed(dir, letter)
	x.statuses(dir, workflow.Signing, 1)
	do(x.t, x.env(dir), exitOK, "accounts", "add", "--sid", string(testAccount))
	return k, letter
}

// listing is the names, owners and modes in a directory.
func listing(t *testing.T, dir string) string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %s %d\n", info.Mode(), f.Name(), info.Sys().(*syscall.Stat_t).Uid)
	}
	return b.String()
}

// TestCountersign_ReadingCommandsWorkOnAReadOnlyMount reads a backup that is mounted read-only.
func TestCountersign_ReadingCommandsWorkOnAReadOnlyMount(t *testing.T) {
	if !alone(t) {
		return
	}
	x, dir := newTown(t), t.TempDir()
	k, letter := x.readOnlyTown(dir)
	if err := k.cmd.Process.Signal(os.Interrupt); err != nil || k.dies() != exitOK {
		t.Fatal(err)
	}
	disk := smallDisk(t, "64m")
	copyFiles(t, dir, disk)
	if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for want, args := range reading(letter) {
		if out, _ := do(t, onlyDir(disk), exitOK, args...); !strings.Contains(out, want) {
			t.Errorf("countersign %s: no %q in %s", strings.Join(args, " "), want, out)
		}
	}
	do(t, x.env(disk), exitOK, "verify")
}

// TestCountersign_RunAsRootLeavesNoFilesOfRoot runs commands as root, by accident, on a
// data directory whose worker runs as another user. Only root can try this.
func TestCountersign_RunAsRootLeavesNoFilesOfRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	x, dir := newTown(t), filepath.Join(shared(t), "data")
	w := start(t, x.embedded(dir))
	w.says("read to its end")
	do(t, onlyDir(dir), exitOK, "publish", oneLineFile(t, 1))
	x.statuses(dir, workflow.Signing, 1)
	w.end()
	own := func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, stranger, stranger))
	}
	if err := filepath.WalkDir(dir, own); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify"}, {"rebuild"}, {"snapshot", "take"}, {"serve"}, {"erase", string(testPX(1))}, {"evidence", string(testPX(1)), "-o", filepath.Join(t.TempDir(), "e")}} {
		_, errs := do(t, x.embedded(dir), exitFailure, args...)
		if !strings.Contains(errs, "belongs to another user") || !strings.Contains(errs, "sudo -u") {
			t.Errorf("countersign %s: %s", args[0], errs)
		}
	}
	for _, args := range [][]string{
		{"documents", "list"}, {"accounts", "add", "--sid", string(testAccount)}, {"accounts", "rotate", "--sid", string(testAccount)}, {"keys", "rotate"}, {"dump"},
	} {
		do(t, onlyDir(dir), exitOK, args...)
	}
	wantOwner(t, dir)
	for _, args := range [][]string{{"accounts", "rotate", "--sid", string(testAccount)}, {"keys", "list"}, {"verify"}} {
		if code, out := asStranger(t, onlyDir(dir), args...); code != exitOK {
			t.Errorf("as the worker's user: countersign %s: %s", args[0], out)
		}
	}
}

// wantOwner fails for what under dir is not the stranger's.
func wantOwner(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Sys().(*syscall.Stat_t).Uid != stranger {
			t.Errorf("%s is not the worker's user's", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestDocuments_ClosedDirectoryIsNotCalledMissing: there may be a database, but not for this user.
func TestDocuments_ClosedDirectoryIsNotCalledMissing(t *testing.T) {
	dir := filepath.Join(shared(t), "data")
	if err := os.Mkdir(dir, 0); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"documents", "list"}, {"dead", "list"}, {"rules", "show"}} {
		code, out := asStranger(t, onlyDir(dir), args...)
		if code != exitFailure || !strings.Contains(out, "permission denied") || !strings.Contains(out, "the worker's user") {
			t.Errorf("%v: exit code %d, %s", args, code, out)
		}
	}
}
