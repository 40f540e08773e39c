package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"countersign/internal/test/eventstest"
	"countersign/internal/test/logtest"
	"countersign/workflow"
)

// embedded is the environment of a worker with a NATS server of its own, which
// listens.
func (x *town) embedded(dir string, more ...string) []string {
	env := slices.DeleteFunc(x.env(dir), func(e string) bool {
		return strings.HasPrefix(e, "COUNTERSIGN_NATS_URL=") || strings.HasPrefix(e, "COUNTERSIGN_KEYS_FILE=")
	})
	return append(env, append([]string{"COUNTERSIGN_NATS_LISTEN=127.0.0.1:0"}, more...)...)
}

// onlyDir is the environment of a command that is given the data directory
// alone.
func onlyDir(dir string) []string { return []string{"COUNTERSIGN_DATA_DIR=" + dir} }

// do runs a command in this process.
func do(t *testing.T, env []string, want int, args ...string) (out, errs string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a worker that should not have started ends
	defer cancel()
	var o, e logtest.Buffer
	if code := run(ctx, args, env, &o, &e); code != want {
		t.Errorf("countersign %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, &o, &e)
	}
	return o.String(), e.String()
}

// oneLineFile writes a file that creates document n when it is published.
func oneLineFile(t *testing.T, n int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "events.jsonl")
	line := fmt.Sprintf(`{"subject":"authdocs.v1.%s.created","data":%s}`+"\n", strings.TrimSuffix(on(n, ""), "."),
		event(fmt.Sprint("created-", n), "created", fmt.Sprintf(content, "signer@example.com", n)))
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// wantPrivate fails for each file under dir that users other than its owner can
// use.
func wantPrivate(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // a running worker removes files
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		files++
		return err
	})
	if err != nil || files < 10 {
		t.Errorf("%d files, %v", files, err)
	}
}

// TestServe_WritesFilesForItsUserAlone runs the real program, and the commands
// that write files, with the usual umask of a shell.
func TestServe_WritesFilesForItsUserAlone(t *testing.T) {
	x, dir := newTown(t), filepath.Join(t.TempDir(), "data")
	k := x.launch(x.embedded(dir))
	k.says("read to its end")
	program := func(args ...string) {
		t.Helper()
		if c := launch(t, append(x.embedded(dir), "AS_PROGRAM=1"), args...); c.dies() != exitOK {
			t.Errorf("countersign %s: %s", strings.Join(args, " "), c.log)
		}
	}
	program("publish", oneLineFile(t, 1))
	s := x.signer(k.address("public"), testPX(1), 1)
	s.must("POST", "", s.form("sign"), 200)
	x.statuses(dir, workflow.Signed, 1)
	program("snapshot", "take")
	program("accounts", "add", "--sid", string(testAccount))
	program("keys", "rotate")
	program("evidence", string(testPX(1)), "-o", filepath.Join(dir, "evidence.zip"))
	wantPrivate(t, dir)
	k.kill()
	program("rebuild")
	wantPrivate(t, dir)
}

// TestDev_WritesFilesForItsUserAlone keeps what dev makes.
func TestDev_WritesFilesForItsUserAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	k := launch(t, []string{
		"AS_PROGRAM=1", "COUNTERSIGN_DATA_DIR=" + dir, "COUNTERSIGN_LISTEN=127.0.0.1:0",
		"COUNTERSIGN_ADMIN_LISTEN=127.0.0.1:0", "COUNTERSIGN_NATS_LISTEN=127.0.0.1:0",
	}, "dev")
	k.says("up until Ctrl-C")
	wantPrivate(t, dir)
	if !k.said("open: every user of this machine can publish") {
		t.Errorf("it does not say that its NATS server is open: %s", k.log)
	}
	nc, err := nats.Connect(urlOf(t, dir))
	if err != nil {
		t.Fatalf("dev is not open: %v", err)
	}
	nc.Close()
	do(t, onlyDir(dir), exitOK, "publish", oneLineFile(t, 1))
}

// urlOf is the URL of the embedded server of the worker on dir, without token.
func urlOf(t *testing.T, dir string) string {
	t.Helper()
	at, err := os.ReadFile(filepath.Join(dir, "nats-address"))
	if err != nil {
		t.Fatal(err)
	}
	return "nats://" + strings.TrimSpace(string(at))
}

func tokenOf(t *testing.T, dir string) string {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(dir, "nats-token"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(token))
}

// TestServe_EmbeddedNATSRefusesClientsWithoutToken is another user of the
// machine who wants to publish and to read along.
func TestServe_EmbeddedNATSRefusesClientsWithoutToken(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.embedded(dir))
	w.says("read to its end")
	url, token := urlOf(t, dir), tokenOf(t, dir)
	for name, as := range map[string]nats.Option{
		"no token":    nats.Name("mallory"),
		"empty token": nats.Token(""),
		"wrong token": nats.Token(strings.ToLower(token)),
		"part of it":  nats.Token(token[:len(token)-1]),
		"as user":     nats.UserInfo("countersign", token),
		"as password": nats.UserInfo("", token),
	} {
		nc, err := nats.Connect(url, as)
		if err == nil {
			nc.Close()
		}
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v", name, err)
		}
	}
	nc, err := nats.Connect(url, nats.Token(token))
	if err != nil {
		t.Fatalf("an upstream service with the token: %v", err)
	}
	defer nc.Close()
	if _, err := nc.Request("authdocs.v1."+on(1, "created"), []byte(event("a", "created", fmt.Sprintf(content, "a@example.com", 1))), nats.DefaultTimeout); err != nil {
		t.Error(err)
	}
	x.statuses(dir, workflow.Signing, 1)
	if strings.Contains(w.log.String(), token) {
		t.Error("the token is in the log")
	}
	w.end()
	w = start(t, x.embedded(dir)) // the token outlives the worker
	w.says("read to its end")
	if tokenOf(t, dir) != token {
		t.Error("the token is another after a restart")
	}
	w.end()
}

// TestServe_NATSTokenFileOffOpensTheServer is the choice of an operator, and the
// worker warns.
func TestServe_NATSTokenFileOffOpensTheServer(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.embedded(dir, "COUNTERSIGN_NATS_TOKEN_FILE=off"))
	w.says("read to its end")
	w.says("nats-token-file is off")
	nc, err := nats.Connect(urlOf(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	do(t, onlyDir(dir), exitOK, "publish", oneLineFile(t, 1))
	w.end()
}

// TestCountersign_CommandsFindTheirWorkersServer runs two workers on one machine. Commands
// get a data directory and nothing else, and reach the worker there.
func TestCountersign_CommandsFindTheirWorkersServer(t *testing.T) {
	x, dirs := newTown(t), []string{t.TempDir(), t.TempDir()}
	var workers []*running
	for i, dir := range dirs {
		w := start(t, x.embedded(dir))
		w.says("read to its end")
		workers = append(workers, w)
		do(t, onlyDir(dir), exitOK, "publish", oneLineFile(t, i+1))
		x.statuses(dir, workflow.Signing, 1)
	}
	for i, dir := range dirs {
		env, mine, other := onlyDir(dir), string(testPX(i+1)), string(testPX(2-i))
		list, _ := do(t, env, exitOK, "documents", "list", "--json")
		if !strings.Contains(list, mine) || strings.Contains(list, other) {
			t.Errorf("the documents of worker %d: %s", i+1, list)
		}
		do(t, env, exitOK, "verify")
		do(t, env, exitOK, "snapshot", "take")
		do(t, env, exitOK, "replay", "--dry-run", oneLineFile(t, 7))
		do(t, env, exitOK, "documents", "resend", mine)
		do(t, env, exitOK, "documents", "cancel", mine, "--reason", "test")
		do(t, env, exitOK, "erase", "--yes", mine)
	}
	workers[0].end()
	_, errs := do(t, onlyDir(dirs[0]), exitFailure, "publish", oneLineFile(t, 3))
	if !strings.Contains(errs, "no worker") || !strings.Contains(errs, dirs[0]) {
		t.Errorf("without its worker: %s", errs)
	}
	do(t, onlyDir(dirs[0]), exitOK, "verify") // opens the log itself
	workers[1].end()
}

// TestPublish_NATSListenOffIsReported has a worker whose server no command can reach,
// whatever nats-listen the command itself has.
func TestPublish_NATSListenOffIsReported(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.embedded(dir, "COUNTERSIGN_NATS_LISTEN=off"))
	w.says("read to its end")
	if _, errs := do(t, onlyDir(dir), exitUsage, "publish", oneLineFile(t, 1)); !strings.Contains(errs, "nats-listen is off") {
		t.Error(errs)
	}
	w.end()
}

// TestPublish_RefusedTokenIsReported publishes with a token that the server refuses:
// the error names the token's file, and publish does not wait.
func TestPublish_RefusedTokenIsReported(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.embedded(dir))
	w.says("read to its end")
	file, token := filepath.Join(dir, "nats-token"), tokenOf(t, dir)
	bare := strings.TrimPrefix(urlOf(t, dir), "nats://")
	for name, tt := range map[string]struct {
		change func() error
		env    []string
		want   []string
	}{
		"another token": {func() error { return os.WriteFile(file, []byte("0123456789abcdef0123"), 0o600) }, onlyDir(dir), []string{"uthorization", file}},
		"open token": {
			func() error { return errors.Join(os.WriteFile(file, []byte(token), 0o600), os.Chmod(file, 0o644)) },
			onlyDir(dir),
			[]string{file, "0644", "chmod 600 " + file},
		},
		"empty token": {func() error { return errors.Join(os.Chmod(file, 0o600), os.WriteFile(file, nil, 0o600)) }, onlyDir(dir), []string{file, "remove the file"}},
		"no token":    {func() error { return os.Remove(file) }, onlyDir(dir), []string{"uthorization", "requires a token"}},
		"by address":  {func() error { return nil }, []string{"COUNTERSIGN_NATS_LISTEN=" + bare, "COUNTERSIGN_DATA_DIR=" + t.TempDir()}, []string{"uthorization", "--data-dir"}},
		"by URL":      {func() error { return nil }, []string{"COUNTERSIGN_NATS_URL=nats://wrong-token@" + bare}, []string{"uthorization", "--nats-url"}},
	} {
		if err := errors.Join(os.RemoveAll(file), os.WriteFile(file, []byte(token), 0o600), tt.change()); err != nil {
			t.Fatal(err)
		}
		_, errs := do(t, tt.env, exitFailure, "publish", oneLineFile(t, 1))
		for _, want := range tt.want {
			if !strings.Contains(errs, want) {
				t.Errorf("%s: it does not say %q: %s", name, want, errs)
			}
		}
		if strings.Contains(errs, token) || strings.Contains(errs, "wrong-token") {
			t.Errorf("%s: the token is in the error: %s", name, errs)
		}
	}
	w.end()
}

// TestCountersign_CommandsGiveTheTokenToNoOtherServer kills a worker and lets somebody
// else listen where it did.
func TestCountersign_CommandsGiveTheTokenToNoOtherServer(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	k := x.process(x.embedded(dir))
	at := strings.TrimPrefix(urlOf(t, dir), "nats://")
	k.kill()
	var l net.Listener
	eventstest.Wait(t, "the address to be free", func() (free bool) {
		var err error
		l, err = net.Listen("tcp", at)
		return err == nil
	})
	defer l.Close()
	came := make(chan struct{})
	go func() {
		if c, err := l.Accept(); err == nil {
			c.Close()
			close(came)
		}
	}()
	for _, args := range [][]string{{"publish", oneLineFile(t, 1)}, {"documents", "list"}, {"verify"}} {
		var out, errs logtest.Buffer
		run(context.Background(), args, onlyDir(dir), &out, &errs)
	}
	select {
	case <-came:
		t.Error("a command connected to a stranger")
	default:
	}
}

// TestServe_FilesThatOthersCanChangeStopTheStart opens each file that a worker
// reads by itself.
func TestServe_FilesThatOthersCanChangeStopTheStart(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.embedded(dir))
	w.says("read to its end")
	w.end()
	do(t, onlyDir(dir), exitOK, "accounts", "add", "--sid", string(testAccount))
	for _, name := range []string{"accounts", "keys", "nats-token"} {
		file := filepath.Join(dir, name)
		for _, mode := range []os.FileMode{0o666, 0o644, 0o660} {
			if err := os.Chmod(file, mode); err != nil {
				t.Fatal(err)
			}
			if _, errs := do(t, x.embedded(dir), exitFailure, "serve"); !strings.Contains(errs, "chmod 600 "+file) {
				t.Errorf("%s with mode %#o: %s", name, mode, errs)
			}
		}
		if err := os.Chmod(file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestServe_DirectoryThatOthersCanWriteToIsSaid starts in a directory in which
// every user can replace the accounts file by another.
func TestServe_DirectoryThatOthersCanWriteToIsSaid(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	w := start(t, x.embedded(dir))
	w.says("run chmod o-w on it")
	w.end()
	if err := os.Chmod(dir, 0o770); err != nil { // as Kubernetes gives a volume to a group
		t.Fatal(err)
	}
	w = start(t, x.embedded(dir))
	w.says("read to its end")
	w.end()
	if strings.Contains(w.log.String(), "chmod o-w") {
		t.Error("it is said of a directory that others cannot write to")
	}
}
