package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// hookReceiver is a receiver of webhooks. It answers what code says.
type hookReceiver struct {
	*httptest.Server
	mu     sync.Mutex
	code   int
	types  map[string]int // of what it answered 200
	secret string
	bad    int // requests whose signature is not by secret
}

func newHookReceiver(t *testing.T) *hookReceiver {
	t.Helper()
	h := &hookReceiver{code: 200, types: map[string]int{}}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(h.secret, "whsec_"))
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(r.Header.Get("webhook-id") + "." + r.Header.Get("webhook-timestamp") + "." + string(body)))
		if !strings.Contains(r.Header.Get("webhook-signature"), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))) {
			h.bad++
		}
		if h.code == 200 {
			kind, _, _ := strings.Cut(string(body), ",")
			h.types[kind]++
		}
		w.WriteHeader(h.code)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hookReceiver) set(code int, secret string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.code, h.secret = code, secret
}

func (h *hookReceiver) told(kind string) (n, bad int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.types[`{"type":"`+kind+`"`], h.bad
}

// TestWebhooks_LifeOfAWebhook adds a webhook to a running worker, has it told, rotates
// its secret, lets its receiver be gone, redrives, and removes it.
func TestWebhooks_LifeOfAWebhook(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	h := newHookReceiver(t)
	w := start(t, x.env(dir, "COUNTERSIGN_WEBHOOK_ALLOW=127.0.0.0/8"))
	w.says("read to its end")
	webhooks := func(args ...string) string {
		t.Helper()
		return strings.TrimSpace(x.must(dir, append([]string{"webhooks", args[0], "--webhook-allow=127.0.0.0/8"}, args[1:]...)...))
	}

	if out := webhooks("add", "--account", string(testAccount), "--url", h.URL, "--dry-run"); !strings.Contains(out, "would get") {
		t.Errorf("dry run: %s", out)
	}
	sid, secret, _ := strings.Cut(webhooks("add", "--account", string(testAccount), "--url", h.URL), " ")
	h.set(200, secret)
	if out := webhooks("test", sid); !strings.Contains(out, "answered 200") {
		t.Errorf("test: %s", out)
	}
	x.create(0, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	eventstest.Wait(t, "opened and signing are told", func() bool { n, _ := h.told(workflow.TypeBecame); return n == 2 })

	_, fresh, _ := strings.Cut(webhooks("rotate", sid), " ")
	if fresh == secret {
		t.Error("rotating gives the same secret")
	}
	x.create(1, 1, "signer-%d@example.com") // signed by the old secret, too
	eventstest.Wait(t, "the second document is told", func() bool { n, _ := h.told(workflow.TypeBecame); return n == 4 })
	h.set(200, fresh)
	webhooks("test", sid)
	if tests, bad := h.told("webhook.test"); tests != 2 || bad != 0 {
		t.Errorf("%d tests, %d requests with another signature", tests, bad)
	}

	h.set(http.StatusGone, fresh)
	x.create(2, 1, "signer-%d@example.com")
	eventstest.Wait(t, "the webhook is disabled", func() bool {
		return strings.Contains(x.must(dir, "webhooks", "list", "--json"), "410 Gone")
	})
	h.set(200, fresh)
	if out := webhooks("enable", sid); !strings.Contains(out, "is enabled") {
		t.Errorf("enable: %s", out)
	}
	before, _ := h.told(workflow.TypeBecame)
	if out := webhooks("redrive", sid); strings.HasPrefix(out, "0 ") || !strings.Contains(out, "pending again") {
		t.Errorf("redrive: %s", out)
	}
	eventstest.Wait(t, "what was given up is told", func() bool { n, _ := h.told(workflow.TypeBecame); return n > before })
	if out := webhooks("disable", sid); !strings.Contains(out, "is disabled") {
		t.Errorf("disable: %s", out)
	}
	webhooks("remove", sid)
	if out := x.must(dir, "webhooks", "list", "--json"); out != "" {
		t.Errorf("after it was removed: %s", out)
	}
	x.wantNoSecret(dir, w, secret, fresh)
}

// wantNoSecret looks for secrets in the log of a worker, its metrics, and its files but
// the key.
func (x *town) wantNoSecret(dir string, w *running, secrets ...string) {
	x.t.Helper()
	_, metrics := get(x.t, "http://"+w.address("admin")+"/metrics")
	if !strings.Contains(metrics, "countersign_deliveries_total{") {
		x.t.Error("the metrics count no delivery")
	}
	texts := map[string]string{"metrics": metrics, "log": w.log.String(), "dump": dump(x.t, dir)}
	for _, name := range []string{"countersign.db", "countersign.db-wal"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			x.t.Fatal(err)
		}
		texts[name] = string(data)
	}
	for where, text := range texts {
		for _, secret := range secrets {
			if strings.Contains(text, strings.TrimPrefix(secret, "whsec_")) {
				x.t.Errorf("a secret is in the %s", where)
			}
		}
	}
}
