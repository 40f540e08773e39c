package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"countersign/db"
	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/relay"
	"countersign/internal/test/eventstest"
	"countersign/internal/webhook"
	"countersign/workflow"
)

const hookAccount = workflow.SID("ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")

func hookSID(letters string, n int) workflow.SID {
	return workflow.SID(fmt.Sprintf("%s%032x", letters, n))
}

// hookWorker is a worker that does nothing but follow the log and deliver.
type hookWorker struct {
	store *db.Store
	stop  func() // of the deliveries; the follower goes on
}

// hookSite is a log with workers that deliver.
type hookSite struct {
	t   *testing.T
	log *eventlog.Log
	key *webhook.Key

	receivers relay.Receivers
	deadline  time.Duration
	events    int
}

func newHookSite(t *testing.T) *hookSite {
	t.Helper()
	key := webhook.OpenKey(filepath.Join(t.TempDir(), "webhook-key"), time.Now, eventstest.Logger())
	if err := key.Make(); err != nil {
		t.Fatal(err)
	}
	return &hookSite{t: t, log: eventstest.Log(t), key: key, deadline: time.Minute, receivers: webhook.New(webhook.Options{
		Key: key, Now: time.Now, Allow: webhook.Allow{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	})}
}

// worker starts a worker with an empty disk.
func (s *hookSite) worker() *hookWorker {
	s.t.Helper()
	store, err := db.Open(s.t.Context(), s.t.TempDir())
	if err != nil {
		s.t.Fatal(err)
	}
	following, unfollow := context.WithCancel(context.Background())
	delivering, stop := context.WithCancel(following)
	var follower, deliverer sync.WaitGroup
	follower.Go(func() { s.log.Follow(following, relay.Fold{Store: store, Logger: eventstest.Logger()}) })
	r := &relay.Deliveries{Store: store, Log: s.log, Receivers: s.receivers, Each: 2, Deadline: s.deadline, Logger: eventstest.Logger()}
	deliverer.Go(func() { r.Run(delivering) })
	w := &hookWorker{store: store, stop: func() { stop(); deliverer.Wait() }}
	s.t.Cleanup(func() {
		w.stop()
		unfollow()
		follower.Wait()
		store.Close()
	})
	return w
}

func (s *hookSite) append(e events.Event) uint64 {
	s.t.Helper()
	seq, err := s.log.Append(s.t.Context(), e)
	if err != nil {
		s.t.Fatal(err)
	}
	return seq
}

// webhook sets a webhook of the account.
func (s *hookSite) webhook(n int, url string, secrets ...int) workflow.WebhookSet {
	s.t.Helper()
	s.events++
	b := workflow.WebhookSet{SID: hookSID("WH", n), AccountSID: hookAccount, URL: url, Status: workflow.WebhookEnabled, Secrets: secrets}
	s.append(eventlog.WebhookSet(fmt.Sprintf("set.%d", s.events), s.log.Now(), b))
	return b
}

// document makes a document that becomes opened, is canceled, and so tells each
// webhook twice.
func (s *hookSite) document(n int) {
	s.t.Helper()
	sid := hookSID("PX", n)
	s.append(events.Created("/test", fmt.Sprintf("%s.created", sid), hookAccount, sid, workflow.Created{
		AddressSID: hookSID("AD", 1), Email: "owner@example.com", HostedNumberOrderSIDs: []workflow.SID{hookSID("HR", n)}, Hold: true,
	}))
	s.append(events.StatusChanged("/test", fmt.Sprintf("%s.canceled", sid), hookAccount, sid, workflow.StatusChanged{Status: workflow.Canceled}))
}

// received is a request that a receiver got.
type received struct {
	id, signature, at string
	body              []byte
	notice            struct {
		Type string
		Data struct {
			SID    workflow.SID
			Status string
		}
	}
}

// receiver is an HTTP server that keeps what it gets, and answers what answer says.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []received
}

func newReceiver(t *testing.T, answer func(n int, w http.ResponseWriter)) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		x := received{id: q.Header.Get("webhook-id"), signature: q.Header.Get("webhook-signature"), at: q.Header.Get("webhook-timestamp"), body: body}
		if err := json.Unmarshal(body, &x.notice); err != nil {
			t.Errorf("a body that is not JSON: %v", err)
		}
		r.mu.Lock()
		r.got = append(r.got, x)
		n := len(r.got)
		r.mu.Unlock()
		if answer != nil {
			answer(n, w)
		}
	}))
	t.Cleanup(r.Server.Close)
	return r
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// documents lists what it was told of a document, in order.
func (r *receiver) documents(sid workflow.SID) (statuses []string) {
	for _, x := range r.all() {
		if x.notice.Data.SID == sid {
			statuses = append(statuses, x.notice.Data.Status)
		}
	}
	return statuses
}

func (w *hookWorker) undelivered(t *testing.T) (pending, dead int) {
	t.Helper()
	counts, err := w.store.CountDeliveries(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counts {
		pending, dead = pending+c.Pending, dead+c.Dead
	}
	return pending, dead
}

// settled waits until nothing is pending.
func (w *hookWorker) settled(t *testing.T, log *eventlog.Log) {
	t.Helper()
	eventstest.Wait(t, "nothing is pending", func() bool {
		tail, err := log.Tail(context.Background())
		if err != nil || w.store.Position().Sequence < tail {
			return false
		}
		pending, _ := w.undelivered(t)
		return pending == 0
	})
}
