package api_test

import (
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/api"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

// limited puts the limits on the log that a worker without settings puts there.
func (s *site) limited() {
	s.t.Helper()
	s.append(eventlog.RulesActivated("limits", time.Now(), workflow.RulesActivated{
		Version: 1, ParkingLimitSeconds: 3600, MailLimits: &workflow.MailLimits{Interval: 10, PerDay: 30},
	}))
}

// letters counts the emails to an address that the mail server has accepted.
func (s *site) letters(to string) (n int) {
	for _, m := range s.box.Mails() {
		if m.To[0] == to {
			n++
		}
	}
	return n
}

// wantTooMany fails the test unless a reply is a 429 that says when to come again.
func wantTooMany(t *testing.T, r reply, atMost time.Duration) {
	t.Helper()
	wantFault(t, "too many emails", r)
	seconds, err := strconv.Atoi(r.header.Get("Retry-After"))
	if r.status != 429 || r.code() != 20429 || err != nil || seconds < 1 || seconds > int(atMost.Seconds())+1 {
		t.Fatalf("got %d, code %d, Retry-After %q: %s", r.status, r.code(), r.header.Get("Retry-After"), r.raw)
	}
}

// TestUpdate_RecallAndSendIsNoCannon recalls and sends one document 448 times.
func TestUpdate_RecallAndSendIsNoCannon(t *testing.T) {
	s := newSite(t)
	s.limited()
	u := s.user()
	path := previewPath + "/" + string(u.created("Email", "victim@example.com").sid())
	sent := 1
	for range 448 {
		u.want(u.post(path, url.Values{"Status": {"opened"}}), 200, 0)
		r := u.post(path, url.Values{"Status": {"signing"}, "ContactTitle": {fmt.Sprint("Owner ", sent)}})
		if r.status == 200 {
			sent++
			continue
		}
		wantTooMany(t, r, workflow.MailBurst*10*time.Second)
		if r := u.get(path); r.str("status") != "opened" {
			t.Fatalf("a document that may not be sent is %s", r.raw)
		}
	}
	// It takes longer than the five intervals if the machine is slow.
	if n := s.letters("victim@example.com"); n != sent || n > 30 || n == 448 {
		t.Errorf("%d emails for %d sends", n, sent)
	}
	if cc := s.letters("ops@example.com"); cc > sent {
		t.Errorf("%d notices to a cc for %d sends", cc, sent)
	}
}

// TestUpdate_CorrectingAnAddressTwiceInAMinute is what people do.
func TestUpdate_CorrectingAnAddressTwiceInAMinute(t *testing.T) {
	s := newSite(t, func(c *api.Config) { c.RecipientDay = 100 })
	s.limited()
	u := s.user()
	path := previewPath + "/" + string(u.created("Email", "onwer@example.com").sid())
	for _, email := range []string{"owner@exmaple.com", "owner@example.com"} {
		u.want(u.post(path, url.Values{"Status": {"opened"}}), 200, 0)
		r := u.want(u.post(path, url.Values{"Email": {email}, "Status": {"signing"}}), 200, 0)
		if r.str("status") != "signing" || s.letters(email) != 1 {
			t.Fatalf("%d emails to %s: %s", s.letters(email), email, r.raw)
		}
	}
}

// TestCreate_ManyDocumentsForOnePersonAreLimited creates 448 documents for one
// person, several at a time and with the address written in many ways.
func TestCreate_ManyDocumentsForOnePersonAreLimited(t *testing.T) {
	const most = 20
	s := newSite(t, func(c *api.Config) { c.RecipientDay = most })
	u, other := s.user(), s.user()
	u.created("Email", "else@example.com")
	var created atomic.Int32
	var group sync.WaitGroup
	for k := range 8 {
		group.Go(func() {
			for i := range 56 {
				email := []string{"victim@example.com", fmt.Sprintf("VICTIM+%d.%d@example.com", k, i), "vic.tim@Example.com"}[i%3]
				r, err := u.try("POST", previewPath, form("Email", email).Encode())
				switch {
				case err != nil:
					t.Error(err)
				case r.status == 201:
					created.Add(1)
				case r.status != 429 || r.code() != 20429 || r.header.Get("Retry-After") == "":
					t.Errorf("got %s", r.raw)
				}
			}
		})
	}
	group.Wait()
	if n := created.Load(); n > most || n < most-8 {
		t.Errorf("%d documents for one person, want %d", n, most)
	}
	for range int(most - created.Load()) {
		u.created("Email", "victim@example.com")
	}
	tail := s.store.Position().Sequence
	wantTooMany(t, u.post(previewPath, form("Email", "victim@example.com")), 24*time.Hour)
	if now := s.store.Position().Sequence; now != tail {
		t.Errorf("a request over the limit was appended: the log went from %d to %d", tail, now)
	}
	u.created("Email", "else@example.com")
	other.created("Email", "victim@example.com") // whose emails are counted apart
}

// TestUpdate_SendingToOnePersonIsLimited has documents for others redirected to
// one person.
func TestUpdate_SendingToOnePersonIsLimited(t *testing.T) {
	s := newSite(t, func(c *api.Config) { c.RecipientDay = 2 })
	u := s.user()
	to := url.Values{"Email": {"victim@example.com"}}
	for i := range 3 {
		path := previewPath + "/" + string(u.created("Email", fmt.Sprintf("s%d@example.com", i)).sid())
		u.want(u.post(path, url.Values{"Status": {"opened"}}), 200, 0)
		u.want(u.post(path, to), 200, 0) // it is held
		r := u.post(path, url.Values{"Status": {"signing"}})
		if i < 2 {
			u.want(r, 200, 0)
			continue
		}
		wantTooMany(t, r, 24*time.Hour)
		u.want(u.post(path, url.Values{"Email": {"s9@example.com"}, "Status": {"signing"}}), 200, 0)
	}
}

// TestCreate_AnIdempotentRequestIsAnsweredOverTheLimit sends the request that
// reached the limit once more.
func TestCreate_AnIdempotentRequestIsAnsweredOverTheLimit(t *testing.T) {
	s := newSite(t, func(c *api.Config) { c.RecipientDay = 1 })
	u, f := s.user(), form()
	first := u.want(u.post(previewPath, f, "Idempotency-Key", "k"), 201, 0)
	again := u.want(u.post(previewPath, f, "Idempotency-Key", "k"), 201, 0)
	if first.sid() != again.sid() {
		t.Errorf("%s and %s", first.sid(), again.sid())
	}
	wantTooMany(t, u.post(previewPath, form(), "Idempotency-Key", "l"), 24*time.Hour)
}
