package main

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"countersign/internal/catcher"
	"countersign/internal/test/certtest"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// hangUp sends SIGHUP and waits until the worker has said for the n-th time that
// it has read again what it can.
func (k *killable) hangUp(n int) {
	k.t.Helper()
	if err := k.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		k.t.Fatal(err)
	}
	eventstest.Wait(k.t, "the worker to have read again", func() bool {
		return strings.Count(k.log.String(), "SIGHUP: certificates, keys, accounts and the log level are read again") >= n
	})
}

// TestServe_HangupReloadsAndEndsNothing sends SIGHUP while the mail server has an
// email and has not answered: the worker reads everything again, and the email
// goes out once.
func TestServe_HangupReloadsAndEndsNothing(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	settings := filepath.Join(dir, "settings.yaml")
	write := func(text string) {
		if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("log-level: info\n")
	certFile, keyFile, _ := certtest.Files(t, dir, 1)
	var inFlight atomic.Int32
	goOn := make(chan struct{})
	x.box.Script(func(s catcher.Step) error {
		if s.Phase == catcher.Data {
			inFlight.Add(1)
			<-goOn
		}
		return nil
	})
	w := x.process(x.env(dir, "COUNTERSIGN_CONFIG="+settings, "COUNTERSIGN_TLS_CERT="+certFile, "COUNTERSIGN_TLS_KEY="+keyFile,
		"COUNTERSIGN_PUBLIC_URL=https://127.0.0.1"))
	x.create(1, 1, "signer-%d@example.com")
	eventstest.Wait(t, "an email in flight", func() bool { return inFlight.Load() == 1 })

	write("log-level: debug\n")
	certtest.Files(t, dir, 2)
	token := strings.TrimSpace(x.must(dir, "accounts", "add", "--sid", string(testAccount)))
	x.must(dir, "keys", "rotate")
	w.hangUp(1)
	for _, part := range []string{"log level", "TLS certificate", "keys of links", "seal", "accounts"} {
		if !strings.Contains(w.log.String(), `"level":"DEBUG","msg":"SIGHUP: read again","what":"`+part+`"`) {
			t.Errorf("it does not say that it read %s again", part)
		}
	}
	w.says("a new TLS certificate is in use")
	x.wantReloaded(w, token)

	write("log-level: loud\n") // what is broken stays as it was, and keeps nothing else
	if err := os.WriteFile(keyFile, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.hangUp(2)
	w.says(`"failed":2,"log-level":"DEBUG"`)
	w.says("stays as it was")
	x.wantReloaded(w, token)

	close(goOn)
	x.statuses(dir, workflow.Signing, 1)
	x.rest(dir)
	if n := x.box.Count(); n != 1 {
		t.Errorf("%d emails, want 1", n)
	}
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := w.dies(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestServe_HangupWhileItWaitsEndsNothing(t *testing.T) {
	broker := eventstest.Server(t)
	x, dir := townAt(t, broker), t.TempDir()
	broker.Stop()
	w := x.launch(x.env(dir))
	w.says("countersign is up")
	for range 50 { // NATS is away, and nobody has read the log
		if err := w.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	w.hangUp(1)
	broker.Start()
	w.says("read to its end")
	eventstest.Wait(t, "the test's own connection", x.nc.IsConnected)
	x.create(1, 3, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 3)
}

func TestDev_HangupEndsItAsCtrlCDoes(t *testing.T) {
	k := launch(t, []string{
		"AS_PROGRAM=1", "COUNTERSIGN_DATA_DIR=" + t.TempDir(), "COUNTERSIGN_LISTEN=127.0.0.1:0",
		"COUNTERSIGN_ADMIN_LISTEN=127.0.0.1:0", "COUNTERSIGN_NATS_LISTEN=127.0.0.1:0",
	}, "dev")
	k.says("up until Ctrl-C")
	if err := k.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if code := k.dies(); code != exitOK {
		t.Errorf("exit code %d, want %d", code, exitOK)
	}
}

// wantReloaded asks the worker for its certificate, which has to be the second,
// and for an account that it was not started with.
func (x *town) wantReloaded(w *killable, token string) {
	x.t.Helper()
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(x.t.Context(), "GET", "https://"+w.address("public")+"/v2/HostedNumber/AuthorizationDocuments", nil)
	if err != nil {
		x.t.Fatal(err)
	}
	r.SetBasicAuth(string(testAccount), token)
	answer, err := client.Do(r)
	if err != nil {
		x.t.Fatal(err)
	}
	defer answer.Body.Close()
	if n := answer.TLS.PeerCertificates[0].SerialNumber.Int64(); n != 2 || answer.StatusCode != http.StatusOK {
		x.t.Errorf("certificate %d, status %d", n, answer.StatusCode)
	}
}

// TestMain_APanicEndsAsTheUnitRestarts panics in a goroutine of the program and
// holds the way it ends against the unit in deploy/systemd.
func TestMain_APanicEndsAsTheUnitRestarts(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := x.built(build(t, "failpoints"), x.env(dir, "FAILPOINT=claim=panic"))
	w.says("read to its end")
	x.create(1, 1, "signer-%d@example.com")
	w.dies()
	w.says("panic: failpoint claim")
	status := w.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() || status.Signal() != syscall.SIGABRT || status.CoreDump() {
		t.Errorf("it ends with %v, core dumped: %t", w.cmd.ProcessState, status.CoreDump())
	}
	unit, err := os.ReadFile("../../deploy/systemd/countersign.service")
	if err != nil {
		t.Fatal(err)
	}
	never := regexp.MustCompile(`(?m)^RestartPreventExitStatus=(.*)$`).FindSubmatch(unit)
	if !strings.Contains(string(unit), "\nRestart=on-failure\n") || never == nil || string(never[1]) != "2" {
		t.Errorf("the unit restarts otherwise: RestartPreventExitStatus=%s", never)
	}
}
