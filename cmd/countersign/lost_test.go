package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/test/certtest"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// hasLog reports whether the stream is on the town's server.
func (x *town) hasLog() bool {
	x.t.Helper()
	js, err := jetstream.New(x.nc)
	if err != nil {
		x.t.Fatal(err)
	}
	_, err = js.Stream(x.t.Context(), events.StreamName)
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		x.t.Fatal(err)
	}
	return err == nil
}

// dropLog removes the stream.
func (x *town) dropLog() {
	x.t.Helper()
	js, err := jetstream.New(x.nc)
	if err == nil {
		err = js.DeleteStream(x.t.Context(), events.StreamName)
	}
	if err != nil {
		x.t.Fatal(err)
	}
}

// oneDocument is a town whose worker on dir has sent document 1 and was
// stopped, with a copy of the NATS server's store.
func oneDocument(t *testing.T, dir string, commands ...string) (x *town, backup string) {
	t.Helper()
	x = newTown(t)
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(1, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	x.rest(dir)
	for _, c := range commands {
		x.must(dir, strings.Fields(c)...)
	}
	w.end()
	x.nats.Stop()
	backup = filepath.Join(t.TempDir(), "backup")
	if err := os.CopyFS(backup, os.DirFS(x.nats.StoreDir())); err != nil {
		t.Fatal(err)
	}
	x.nats.Start()
	eventstest.Wait(t, "the connection", x.nc.IsConnected)
	return x, backup
}

// TestServe_RemovedStreamIsNotMadeAgain starts a worker that has applied entries
// on a server without the stream. It makes none, says how to restore it, and
// works once the stream is restored: with its own database, and with an empty
// directory for which there is a snapshot.
func TestServe_RemovedStreamIsNotMadeAgain(t *testing.T) {
	for name, dirs := range map[string]func(t *testing.T) (first, second string){
		"own database":  func(t *testing.T) (string, string) { dir := t.TempDir(); return dir, dir },
		"from snapshot": func(t *testing.T) (string, string) { return t.TempDir(), t.TempDir() },
	} {
		t.Run(name, func(t *testing.T) {
			first, second := dirs(t)
			x, backup := oneDocument(t, first, "snapshot take")
			x.dropLog()
			w := start(t, x.env(second))
			w.says("there is no stream AUTHDOCS on this server")
			w.says("nats stream restore DIR")
			w.says("another server's")
			if code, body := get(t, "http://"+w.address("admin")+"/readyz"); code != http.StatusServiceUnavailable {
				t.Errorf("ready: %s", body)
			}
			if x.hasLog() {
				t.Fatal("the worker has made an empty log")
			}
			x.nats.Stop()
			if err := errors.Join(os.RemoveAll(x.nats.StoreDir()), os.CopyFS(x.nats.StoreDir(), os.DirFS(backup))); err != nil {
				t.Fatal(err)
			}
			x.nats.Start()
			w.says("read to its end")
			x.statuses(second, workflow.Signing, 1)
			w.end()
		})
	}
}

// TestServe_AnotherServersURLMakesNoLog gives a worker the URL of another, empty
// server.
func TestServe_AnotherServersURLMakesNoLog(t *testing.T) {
	dir := t.TempDir()
	x, _ := oneDocument(t, dir)
	other := newTown(t)
	w := start(t, other.env(dir, "COUNTERSIGN_KEYS_FILE="+x.keys))
	w.says("Correct the URL")
	if other.hasLog() {
		t.Error("the worker has made a log on the other server")
	}
	w.end()
	if log := w.log.String(); strings.Contains(strings.ToLower(log), "delete") {
		t.Errorf("it advises to delete something: %s", log)
	}
}

// TestServe_EmbeddedStoreRemovedMakesNoLog removes the embedded server's store
// and leaves the database.
func TestServe_EmbeddedStoreRemovedMakesNoLog(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.embedded(dir))
	w.says("read to its end")
	do(t, onlyDir(dir), exitOK, "publish", oneLineFile(t, 1))
	x.statuses(dir, workflow.Signing, 1)
	w.end()
	if err := os.RemoveAll(filepath.Join(dir, "nats")); err != nil {
		t.Fatal(err)
	}
	w = start(t, x.embedded(dir))
	w.says("there is no stream AUTHDOCS on this server")
	w.end()
	_, errs := do(t, onlyDir(dir), exitUsage, "new-log")
	if !strings.Contains(errs, "1 signing") {
		t.Errorf("it does not say what is lost: %s", errs)
	}
}

// TestServe_AnotherLogIsNotFollowed has a stream that was made again: the worker
// ends and advises what loses nothing, and that works.
func TestServe_AnotherLogIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	x, _ := oneDocument(t, dir)
	x.dropLog()
	fresh := start(t, x.env(t.TempDir()))
	fresh.says("read to its end")
	_, errs := do(t, x.env(dir), exitFailure, "serve")
	if !strings.Contains(errs, "nats stream restore DIR") || !strings.Contains(errs, "countersign rebuild --from-log") || strings.Contains(strings.ToLower(errs), "delete") {
		t.Errorf("it says: %s", errs)
	}
	x.must(dir, "rebuild", "--from-log")
	if _, err := os.Stat(filepath.Join(dir, "countersign.db.before")); err != nil {
		t.Error(err)
	}
	w := start(t, x.env(dir))
	w.says("read to its end")
	w.end()
	fresh.end()
}

// TestNewLog_KeepsTheDatabaseAndAsksFirst begins an empty log on purpose.
func TestNewLog_KeepsTheDatabaseAndAsksFirst(t *testing.T) {
	dir := t.TempDir()
	x, _ := oneDocument(t, dir, "snapshot take")
	if _, errs := x.call(dir, exitFailure, "new-log", "--yes"); !strings.Contains(errs, "the stream AUTHDOCS is there") {
		t.Errorf("with a log: %s", errs)
	}
	x.dropLog()
	before := listing(t, dir)
	if _, errs := x.call(dir, exitUsage, "new-log"); !strings.Contains(errs, "1 signing") || !strings.Contains(errs, "nothing was changed") {
		t.Errorf("without --yes: %s", errs)
	}
	if _, errs := x.call(dir, exitOK, "new-log", "--dry-run"); !strings.Contains(errs, "1 signing") {
		t.Errorf("with --dry-run: %s", errs)
	}
	if after := listing(t, dir); after != before {
		t.Errorf("without --yes the files were:\n%s\nand are:\n%s", before, after)
	}
	elsewhere := t.TempDir()
	x.call(elsewhere, exitFailure, "new-log", "--yes")
	x.call(filepath.Join(elsewhere, "none"), exitFailure, "new-log", "--yes")
	x.must(dir, "new-log", "--yes")
	if kept, err := filepath.Glob(filepath.Join(dir, "countersign.db.lost-*Z")); err != nil || len(kept) != 1 {
		t.Errorf("kept: %v %v", kept, err)
	}
	if x.hasLog() {
		t.Error("the command has made a log")
	}
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(2, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	w.end()
}

// TestServe_UnreadableStoreIsNotCalledDamaged takes the right to read away from
// a part of the embedded server's store, at each depth.
func TestServe_UnreadableStoreIsNotCalledDamaged(t *testing.T) {
	x, dir := newTown(t), filepath.Join(shared(t), "data")
	w := start(t, x.embedded(dir))
	w.says("read to its end")
	w.end()
	streams := filepath.Join(dir, "nats", "jetstream", "$G", "streams")
	for _, path := range []string{filepath.Join(streams, "AUTHDOCS", "meta.inf"), filepath.Join(streams, "AUTHDOCS"), streams} {
		give := func(path string) error { return os.Chmod(path, 0o700) }
		take := func(path string) error { return os.Chmod(path, 0) }
		if os.Geteuid() == 0 {
			give = func(path string) error { return os.Chown(path, stranger, stranger) }
			take = func(path string) error { return errors.Join(os.Chown(path, 0, 0), os.Chmod(path, 0o700)) }
			everyFile(t, dir, give)
		}
		if err := take(path); err != nil {
			t.Fatal(err)
		}
		code, out := asStranger(t, x.embedded(dir), "serve")
		if code != exitFailure || !strings.Contains(out, path) || !strings.Contains(out, "permission denied") || strings.Contains(out, "damaged") || !strings.Contains(out, "chown") {
			t.Errorf("%s: exit code %d: %s", path, code, out)
		}
		if err := give(path); err != nil {
			t.Fatal(err)
		}
	}
}

func everyFile(t *testing.T, dir string, do func(string) error) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error { return errors.Join(err, do(path)) })
	if err != nil {
		t.Fatal(err)
	}
}

// TestServe_NATSTroubleIsNamed starts workers that cannot connect. The log names
// host and port and the reason within seconds, and no password.
func TestServe_NATSTroubleIsNamed(t *testing.T) {
	x := newTown(t)
	broker := startSecured(t, usersConf, false)
	guarded := tlsNATS(t)
	_, port, err := net.SplitHostPort(guarded.addr)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		url  string
		ca   string
		want []string
	}{
		"password":    {strings.Replace(broker.URL(), "secret", "hush", 1), "", []string{broker.host, "Authorization Violation", "check the user and password"}},
		"no password": {"nats://" + broker.host, "", []string{broker.host, "Authorization Violation"}},
		"port":        {"nats://operator:hush@127.0.0.1:1", "", []string{"127.0.0.1:1", "connection refused", "host and port"}},
		"host":        {"nats://operator:hush@nats.invalid:4222", "", []string{"nats.invalid:4222", "lookup nats.invalid", "check the host"}},
		"TLS name":    {"tls://127.0.0.2:" + port, guarded.ca, []string{"127.0.0.2:" + port, "certificate", "as its certificate does"}},
		"TLS CA":      {"tls://" + guarded.addr, "", []string{guarded.addr, "x509", "--nats-ca"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, append(x.env(t.TempDir()), "COUNTERSIGN_NATS_URL="+tt.url, "COUNTERSIGN_NATS_CA="+tt.ca))
			w.says("cannot connect to NATS")
			for _, want := range tt.want {
				w.says(want)
			}
			w.end()
			if log := w.log.String(); strings.Contains(log, "hush") || strings.Contains(log, "outbound buffer") {
				t.Errorf("it says:\n%s", log)
			}
		})
	}
}

// TestServe_NATSPermissionIsNamed runs a worker as a user who may only hand in
// reports.
func TestServe_NATSPermissionIsNamed(t *testing.T) {
	broker := startSecured(t, usersConf, false)
	x := townAt(t, broker)
	w := start(t, append(x.env(t.TempDir()), "COUNTERSIGN_NATS_URL="+broker.as("reports"), "COUNTERSIGN_NATS_INBOX_PREFIX=_INBOX_reports"))
	w.says("Permissions Violation")
	w.says("docs/nats.md")
	w.end()
}

// guarded is a NATS server that speaks TLS, with the name localhost and the
// address 127.0.0.1 in its certificate.
type guarded struct{ addr, ca string }

func tlsNATS(t *testing.T) guarded {
	t.Helper()
	dir := t.TempDir()
	cert, key, _ := certtest.Files(t, dir, 1)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.NewServer(&server.Options{
		Host: "0.0.0.0", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not answer")
	}
	return guarded{fmt.Sprintf("127.0.0.1:%d", s.Addr().(*net.TCPAddr).Port), cert}
}
