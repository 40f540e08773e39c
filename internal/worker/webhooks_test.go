package worker

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/db"
	"countersign/internal/eventlog"
	"countersign/internal/relay"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// TestDeliveries_TellEachWebhookOnceInOrder has two workers, many documents, and a
// webhook whose secrets rotate. The signature is computed here by hand.
func TestDeliveries_TellEachWebhookOnceInOrder(t *testing.T) {
	s := newHookSite(t)
	r := newReceiver(t, nil)
	hook := s.webhook(1, r.URL, 2, 1)
	one, two := s.worker(), s.worker()
	const n = 30
	for i := range n {
		s.document(i)
	}
	one.settled(t, s.log)
	two.settled(t, s.log)
	ids := map[string]bool{}
	for _, x := range r.all() {
		if ids[x.id] || strings.Contains(x.id, ".") {
			t.Errorf("id %q came twice, or has a full stop", x.id)
		}
		ids[x.id] = true
		for i, version := range hook.Secrets {
			secret, err := s.key.Secret(hook.SID, version)
			if err != nil {
				t.Fatal(err)
			}
			key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
			if err != nil || len(key) != 32 {
				t.Fatalf("secret of %d bytes: %v", len(key), err)
			}
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(x.id + "." + x.at + "." + string(x.body)))
			if got := strings.Fields(x.signature); len(got) != 2 || got[i] != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
				t.Errorf("version %d signs %q", version, x.signature)
			}
		}
	}
	for i := range n {
		if got := r.documents(hookSID("PX", i)); !slices.Equal(got, []string{"opened", "canceled"}) {
			t.Errorf("document %d: told %q", i, got)
		}
		if got := r.documents(hookSID("HR", i)); !slices.Equal(got, []string{"received"}) {
			t.Errorf("order %d: told %q", i, got)
		}
	}
	if same(t, one.store) != same(t, two.store) {
		t.Error("the two workers' databases differ")
	}
}

func same(t *testing.T, s *db.Store) string {
	t.Helper()
	hash, err := s.StateHash(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// TestDeliveries_SlowReceiverDelaysNoOther has a receiver that answers nothing
// while another one gets everything.
func TestDeliveries_SlowReceiverDelaysNoOther(t *testing.T) {
	s := newHookSite(t)
	release := make(chan struct{})
	slow := newReceiver(t, func(int, http.ResponseWriter) { <-release })
	fast := newReceiver(t, nil)
	s.webhook(1, slow.URL, 1)
	s.webhook(2, fast.URL, 1)
	w := s.worker()
	answer := sync.OnceFunc(func() { close(release) })
	t.Cleanup(answer) // before the worker and the receiver end
	const n = 20
	for i := range n {
		s.document(i)
	}
	eventstest.Wait(t, "the fast receiver has everything", func() bool { return len(fast.all()) == 3*n })
	if got := len(slow.all()); got > 2 {
		t.Errorf("%d requests to the slow one are in flight, and it has 2 places", got)
	}
	answer()
	w.settled(t, s.log)
	for i := range n {
		if got := slow.documents(hookSID("PX", i)); !slices.Equal(got, []string{"opened", "canceled"}) {
			t.Errorf("document %d: told %q", i, got)
		}
	}
}

// TestDeliveries_FailedOneIsTriedAgainBeforeTheNext answers the first request of a
// document with 500.
func TestDeliveries_FailedOneIsTriedAgainBeforeTheNext(t *testing.T) {
	s := newHookSite(t)
	r := newReceiver(t, nil)
	first := true
	r.Config.Handler = failing(r.Config.Handler, func(x string) bool {
		failed := first && strings.Contains(x, "PX")
		first = first && !failed
		return failed
	})
	s.webhook(1, r.URL, 1)
	w := s.worker()
	s.document(1)
	eventstest.WaitFor(t, time.Minute, "everything is told", func() bool { return len(r.all()) >= 4 })
	w.settled(t, s.log)
	if got := r.documents(hookSID("PX", 1)); !slices.Equal(got, []string{"opened", "opened", "canceled"}) {
		t.Errorf("told %q", got)
	}
	var ids []string
	for _, x := range r.all() {
		if x.notice.Data.Status == "opened" {
			ids = append(ids, x.id)
		}
	}
	if ids[0] != ids[1] {
		t.Errorf("the second try has another id: %q", ids)
	}
	history, err := w.store.History(t.Context(), hookSID("PX", 1))
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(history); !strings.Contains(text, "500 Internal Server Error") || strings.Count(text, "webhook delivered") != 3 {
		t.Errorf("the history: %s", text)
	}
}

// failing answers 500 to requests whose id fails says so of.
func failing(h http.Handler, fails func(id string) bool) http.Handler {
	var mu sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		bad := fails(q.Header.Get("webhook-id"))
		mu.Unlock()
		if !bad {
			h.ServeHTTP(w, q)
			return
		}
		h.ServeHTTP(httptest.NewRecorder(), q)
		w.WriteHeader(http.StatusInternalServerError)
	})
}

// TestDeliveries_GoneDisablesTheWebhook answers 410, enables the webhook again, and
// redrives what became a dead letter.
func TestDeliveries_GoneDisablesTheWebhook(t *testing.T) {
	s := newHookSite(t)
	gone := newReceiver(t, func(_ int, w http.ResponseWriter) { w.WriteHeader(http.StatusGone) })
	s.webhook(1, gone.URL, 1)
	w := s.worker()
	s.document(1)
	eventstest.Wait(t, "the webhook is disabled", func() bool {
		all, err := w.store.Webhooks(t.Context(), hookAccount)
		if err != nil {
			t.Fatal(err)
		}
		return len(all) == 1 && all[0].Status == workflow.WebhookDisabled
	})
	w.settled(t, s.log)
	if _, dead := w.undelivered(t); dead != 3 {
		t.Fatalf("%d dead letters, want 3", dead)
	}
	s.document(2) // tells nobody
	r := newReceiver(t, nil)
	s.webhook(1, r.URL, 1)
	letters, err := w.store.Deliveries(t.Context(), string(hookSID("WH", 1)), workflow.DeliveryDead, 10)
	if err != nil {
		t.Fatal(err)
	}
	var ids []workflow.DeliveryID
	for _, x := range letters {
		ids = append(ids, x.ID)
	}
	s.append(eventlog.DeliveriesRedriven("redriven", s.log.Now(), workflow.DeliveriesRedriven{Deliveries: ids}))
	w.settled(t, s.log)
	if _, dead := w.undelivered(t); dead != 0 || len(r.all()) != 3 {
		t.Errorf("%d dead letters, %d requests after they were redriven", dead, len(r.all()))
	}
	if got := r.documents(hookSID("PX", 1)); !slices.Equal(got, []string{"opened", "canceled"}) {
		t.Errorf("told %q", got)
	}
}

// stuck is a worker's receivers, which never return in time.
type stuck struct {
	relay.Receivers
	release chan struct{}
}

func (s stuck) Deliver(ctx context.Context, x workflow.Delivery, w workflow.Webhook) workflow.DeliveryOutcome {
	<-s.release
	return workflow.DeliveryOutcome{Delivery: x.ID, Result: workflow.DeliveryFailed, Reply: "late"}
}

// TestDeliveries_ClaimWithoutOutcomeIsTakenOver has a worker that claims and hangs.
// The outcome that it reports late does not count.
func TestDeliveries_ClaimWithoutOutcomeIsTakenOver(t *testing.T) {
	s := newHookSite(t)
	s.deadline = 2 * time.Second
	r := newReceiver(t, nil)
	s.webhook(1, r.URL, 1)
	good := s.receivers
	hangs := stuck{good, make(chan struct{})}
	s.receivers = hangs
	first := s.worker()
	answer := sync.OnceFunc(func() { close(hangs.release) })
	t.Cleanup(answer)
	s.document(1)
	eventstest.Wait(t, "the first worker has claimed", func() bool {
		claims, err := first.store.OpenDeliveryClaims(context.Background())
		return err == nil && len(claims) > 0
	})
	s.receivers = good
	second := s.worker()
	eventstest.Wait(t, "the second worker delivers", func() bool { return len(r.all()) == 3 })
	answer()
	second.settled(t, s.log)
	first.settled(t, s.log)
	if pending, dead := first.undelivered(t); pending+dead != 0 {
		t.Errorf("%d pending, %d dead", pending, dead)
	}
	if same(t, first.store) != same(t, second.store) {
		t.Error("the two workers' databases differ")
	}
}
