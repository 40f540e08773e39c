package api_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign/events"
	"countersign/internal/api"
	"countersign/internal/test/eventstest"
)

// hurried counts the calls of Hurry that are not done.
type hurried struct {
	api.Log
	open   *atomic.Int64
	slowly *atomic.Bool // an event was appended while none was open
}

func (h hurried) Append(ctx context.Context, e events.Event) (uint64, error) {
	if h.open.Load() == 0 {
		h.slowly.Store(true)
	}
	return h.Log.Append(ctx, e)
}

func (h hurried) Hurry() (done func()) {
	h.open.Add(1)
	calm := h.Log.Hurry()
	return func() {
		calm()
		h.open.Add(-1)
	}
}

// TestCreate_HurriesTheFollower: while a client waits for its document, or for the
// document's email, the follower gathers no entries.
func TestCreate_HurriesTheFollower(t *testing.T) {
	h := hurried{open: new(atomic.Int64), slowly: new(atomic.Bool)}
	s := siteOn(t, eventstest.Server(t), func(c *api.Config) { // nobody sends the email
		h.Log = c.Log
		c.Log, c.SigningWait = h, time.Minute
	})
	u := s.user()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.url+previewPath, strings.NewReader(form().Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(u.name, u.secret)
	go func() { _, _ = u.client.Do(r) }() // it does not end before leave
	waitFor(t, "the document", func() bool { return len(u.get(previewPath).sids()) == 1 })
	waitFor(t, "its email", func() bool { return h.open.Load() == 1 })
	if h.slowly.Load() {
		t.Error("the event was appended without hurry")
	}
	leave()
	waitFor(t, "the end of the hurry", func() bool { return h.open.Load() == 0 })
}
