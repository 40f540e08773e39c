package main

import (
	"path/filepath"
	"strings"
	"testing"

	"countersign/workflow"
)

// TestServe_LinkIsNotInvalidWhileTheLogIsRead has a worker with an empty disk asked
// for a letter before it can read the log: neither the page nor the REST API says
// that there is none.
func TestServe_LinkIsNotInvalidWhileTheLogIsRead(t *testing.T) {
	x, dir, second := newTown(t), t.TempDir(), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(1, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	s, u := x.signer(w.address("public"), testPX(1), 1), user(t, x.env(dir), testAccount)
	ask := func(w *running, n, want int) {
		t.Helper()
		u.base = "http://" + w.address("public")
		u.call(t, "GET", previewPath+"/"+string(testPX(n)), nil, want)
	}
	ask(w, 1, 200)
	ask(w, 2, 404)
	w.end()
	x.nats.Stop()
	two := start(t, x.env(second, "COUNTERSIGN_KEYS_FILE="+x.keys, "COUNTERSIGN_ACCOUNTS_FILE="+filepath.Join(dir, "accounts")))
	s.url = strings.Replace(s.url, w.address("public"), two.address("public"), 1)
	if page := s.must("GET", "", nil, 503); !strings.Contains(page, "Please try again in a moment") {
		t.Errorf("the page says\n%s", page)
	}
	ask(two, 1, 503)
	x.nats.Start()
	two.says("the log is read to its end") // not what the answers above say of it
	s.must("GET", "", nil, 200)
	ask(two, 1, 200)
	ask(two, 2, 404)
	two.end()
}
