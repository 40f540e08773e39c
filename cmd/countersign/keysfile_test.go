package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"countersign/internal/private"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// TestServe_KeysLostStopTheStart removes the keys file while a document is out, and
// starts: with the database, from a snapshot or the log alone, and with --new-keys.
func TestServe_KeysLostStopTheStart(t *testing.T) {
	t.Parallel()
	x, dir := newTown(t), t.TempDir()
	w, _ := x.up(dir)
	x.create(1, 2, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 2)
	s := x.signer(w.address("public"), testPX(1), 1)
	s.must("POST", "", s.form("sign"), 200)
	x.rest(dir)
	out := x.signer(w.address("public"), testPX(2), 1)
	w.kill()
	keys, err := os.ReadFile(x.keys)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(x.keys); err != nil {
		t.Fatal(err)
	}
	wantRefused := func(dir string) {
		t.Helper()
		w := x.launch(x.quick(dir))
		if code := w.dies(); code != exitFailure {
			t.Errorf("exit code %d", code)
		}
		for _, says := range []string{x.keys, "links of 1 documents", "another certificate", "Restore the file from a backup", "--new-keys", "documents resend"} {
			if !w.said(says) {
				t.Errorf("it does not say %q: %s", says, w.log)
			}
		}
		if private.Exists(x.keys) {
			t.Error("new keys were made")
		}
	}
	wantRefused(dir)
	wantRefused(t.TempDir()) // knows by the log alone

	seal := regexp.MustCompile(`,?\s*"seal": \{[^}]*\}`)
	if err := os.WriteFile(x.keys, seal.ReplaceAll(keys, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if w := x.launch(x.quick(dir)); w.dies() != exitFailure || !w.said(`has no "seal", and letters were sealed`) {
		t.Errorf("without the seal: %s", w.log)
	}
	if err := os.Remove(x.keys); err != nil {
		t.Fatal(err)
	}
	again := launch(t, append(x.quick(dir), "AS_PROGRAM=1"), "serve", "--new-keys")
	again.says("read to its end")
	if !again.said(`links that were sent no longer work; countersign documents resend sends new ones","documents":1`) || !again.said("letters are sealed with a new certificate from now on") {
		t.Errorf("it does not say what breaks: %s", again.log)
	}
	out.url = "http://" + again.address("public") + out.url[strings.Index(out.url, "/sign/"):]
	out.must("GET", "", nil, 404)
	x.must(dir, "documents", "resend", string(testPX(2)))
	again.kill()
	x.process(x.quick(dir)).kill() // the flag is for one start
}

// TestServe_KeysLostBeforeAnyNeedIsNoFault starts a worker without keys on an empty
// log, while NATS is away, and on a log without a document that is out.
func TestServe_KeysLostBeforeAnyNeedIsNoFault(t *testing.T) {
	t.Parallel()
	x, dir := newTown(t), t.TempDir()
	x.nats.Stop()
	w := x.launch(x.quick(dir))
	w.says("countersign is up")
	if private.Exists(x.keys) {
		t.Error("keys are made before it is known whether there were any")
	}
	x.nats.Start()
	w.says("made the keys of signing links")
	w.says("read to its end")
	eventstest.WaitFor(t, inAMinute, "the connection", x.nc.IsConnected)
	x.create(1, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	x.cancel(1)
	x.rest(dir)
	w.kill()
	if err := os.Remove(x.keys); err != nil {
		t.Fatal(err)
	}
	x.process(x.quick(dir)).kill()
}
