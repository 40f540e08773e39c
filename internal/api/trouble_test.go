package api_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/db"
	"countersign/events"
	"countersign/internal/api"
	"countersign/internal/relay"
	"countersign/internal/test/eventstest"
	"countersign/internal/test/logtest"
	"countersign/workflow"
)

// late is a log that answers when it is told to.
type late struct {
	api.Log
	gate chan struct{}
}

func (l late) Append(ctx context.Context, e events.Event) (uint64, error) {
	<-l.gate
	return l.Log.Append(ctx, e)
}

// TestFetch_ReadAfterWriteThroughAnotherWorker has a second worker that lags behind.
func TestFetch_ReadAfterWriteThroughAnotherWorker(t *testing.T) {
	s := newSite(t)
	u := s.user()
	second, err := db.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { second.Close() })
	_, behind := s.serve(second, func(c *api.Config) { c.SequenceWait = 50 * time.Millisecond })
	_, patient := s.serve(second, func(c *api.Config) { c.SequenceWait = 10 * time.Second })
	doc := u.created()
	sequence := doc.header.Get("X-Log-Sequence")
	if n, err := strconv.ParseUint(sequence, 10, 64); err != nil || n == 0 {
		t.Fatalf("X-Log-Sequence %q", sequence)
	}
	at := previewPath + "/" + string(doc.sid())
	r := u.want(u.get(behind+at, "X-Min-Log-Sequence", sequence), 503, 20503)
	wantFault(t, "a worker that is behind", r)
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	u.want(u.get(behind+at), 404, 20404)
	got := make(chan reply, 1)
	go func() {
		r, err := u.try("GET", patient+at, "", "X-Min-Log-Sequence", sequence)
		if err != nil {
			t.Error(err)
		}
		got <- r
	}()
	s.run(func(ctx context.Context) error { return s.log.Follow(ctx, relay.Fold{Store: second}) })
	if r := <-got; r.status != 200 || r.str("status") != "signing" {
		t.Errorf("got %d %s", r.status, r.raw)
	}
	for _, bad := range []string{"x", "-1", "1.5", "18446744073709551616"} {
		u.want(u.get(at, "X-Min-Log-Sequence", bad), 400, 20001)
	}
	u.want(u.get(at, "X-Min-Log-Sequence", "1", "X-Min-Log-Sequence", "2"), 400, 20001)
}

// TestHandler_WithoutNATS reads on, and says of writes that they have to wait.
func TestHandler_WithoutNATS(t *testing.T) {
	s := newSite(t, func(c *api.Config) { c.AppendWait = 200 * time.Millisecond })
	u := s.user()
	doc := u.created()
	s.nats.Stop()
	for what, r := range map[string]reply{
		"create": u.post(previewPath, form()), "delete": u.do("DELETE", v2Path+"/"+string(doc.sid()), ""),
		"update": u.post(previewPath+"/"+string(doc.sid()), url.Values{"Status": {"opened"}}),
	} {
		if r.status != 503 || r.code() != 20503 {
			t.Errorf("%s: got %d %s", what, r.status, r.raw)
		}
		wantFault(t, what, r)
	}
	u.want(u.get(previewPath+"/"+string(doc.sid())), 200, 0)
	u.want(u.get(previewPath), 200, 0)
	u.want(u.post(previewPath, url.Values{}), 400, 20001)
	s.nats.Start()
	eventstest.WaitFor(t, 30*time.Second, "writes to go on", func() bool { return u.post(previewPath, form()).status == 201 })
}

// broken is a store that fails.
type broken struct{ fail func() error }

func (b broken) Document(context.Context, workflow.SID) (workflow.Document, error) {
	return workflow.Document{}, b.fail()
}

func (b broken) Page(context.Context, db.PageQuery) ([]db.Listed, error) {
	return nil, b.fail()
}

func (b broken) AskedBefore(context.Context, workflow.SID, string, int, time.Time) (time.Time, error) {
	return time.Time{}, b.fail()
}

func (b broken) Refusal(context.Context, workflow.Identity) (*workflow.Problem, error) {
	return nil, b.fail()
}

func (b broken) Order(context.Context, workflow.SID, workflow.SID) (workflow.HostedOrder, error) {
	return workflow.HostedOrder{}, b.fail()
}

func (b broken) Orders(context.Context, db.OrderQuery) ([]workflow.HostedOrder, error) {
	return nil, b.fail()
}

func (b broken) DependentOrders(context.Context, workflow.Document) ([]workflow.HostedOrder, error) {
	return nil, b.fail()
}

func (b broken) Address(context.Context, workflow.SID, workflow.SID) (workflow.Address, error) {
	return workflow.Address{}, b.fail()
}

func (b broken) Addresses(context.Context, db.AddressQuery) ([]workflow.Address, error) {
	return nil, b.fail()
}

// everywhere makes each read of the API fail.
func (b broken) everywhere(c *api.Config) { c.Documents, c.Orders, c.Addresses = b, b, b }

// TestHandler_InternalErrors has a request panic, and one fail for no reason that has
// a name.
func TestHandler_InternalErrors(t *testing.T) {
	var log logtest.Buffer
	for _, c := range []struct {
		name         string
		fail         func() error
		status, code int
	}{
		{"a panic", func() error { panic("a fault of ours") }, 500, 20500},
		{"an error", func() error { return errors.New("disk I/O error") }, 503, 20503},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, func(x *api.Config) {
				x.Documents, x.Logger = broken{c.fail}, slog.New(slog.NewTextHandler(&log, nil))
			})
			u := s.user()
			for _, path := range []string{previewPath, previewPath + "/" + string(newSID("PX"))} {
				r := u.want(u.get(path), c.status, c.code)
				wantFault(t, c.name, r)
				id := r.header.Get("X-Request-Id")
				if !strings.Contains(r.str("message"), id) || !strings.Contains(log.String(), id) {
					t.Errorf("the request id %s is not in %s, or not in the log: %s", id, r.raw, &log)
				}
			}
			if strings.Contains(log.String(), u.secret) {
				t.Error("the log has the secret")
			}
		})
	}
}

// TestHandler_ClientsThatLeave gives up in the middle of a create, and finds that
// nothing hangs on.
func TestHandler_ClientsThatLeave(t *testing.T) {
	gate := make(chan struct{})
	s := newSite(t, func(c *api.Config) { c.Log = late{c.Log, gate} })
	u := s.user()
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", s.url+previewPath, strings.NewReader(form().Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(u.name, u.secret)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	left := make(chan error, 1)
	go func() {
		_, err := client.Do(req)
		left <- err
	}()
	gate <- struct{}{} // the request has come to the log
	leave()
	if err := <-left; err == nil {
		return // it was quicker
	} else if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(gate)
	u.want(u.post(previewPath, form()), 201, 0)
}
