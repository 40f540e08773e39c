package api_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/api"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	eventstest.WaitFor(t, 20*time.Second, what, cond)
}

// TestCreate_ManyWritersAtOnce has twenty clients of two accounts write at once, while
// others read page by page: each document is in its account's list once.
func TestCreate_ManyWritersAtOnce(t *testing.T) {
	s := newSite(t, func(c *api.Config) { c.SigningWait = time.Millisecond })
	users := []*user{s.user(), s.user()}
	const writers, each = 20, 10
	var mu sync.Mutex
	made := map[workflow.SID]*user{}
	var group sync.WaitGroup
	for w := range writers {
		u := users[w%len(users)]
		group.Go(func() {
			for i := range each {
				f := form()
				if i%2 == 0 {
					f.Set("Email", fmt.Sprintf("w%d@example.com", w))
				}
				r, err := u.try("POST", previewPath, f.Encode())
				if err != nil || r.status != http.StatusCreated {
					t.Errorf("create: %v, %d %s", err, r.status, r.raw)
					return
				}
				mu.Lock()
				if made[r.sid()] != nil {
					t.Errorf("%s was made twice", r.sid())
				}
				made[r.sid()] = u
				mu.Unlock()
				at := previewPath + "/" + string(r.sid())
				change := url.Values{"Status": {"opened"}, "ContactTitle": {"Director"}}
				if r, err := u.try("POST", at, change.Encode()); err != nil || r.status != 200 || r.str("status") != "opened" {
					t.Errorf("update: %v, %d %s", err, r.status, r.raw)
				}
				if r, err := u.try("GET", previewPath+"?PageSize=7", ""); err != nil || r.status != 200 {
					t.Errorf("list: %v, %d %s", err, r.status, r.raw)
				}
			}
		})
	}
	group.Wait()
	seen := map[workflow.SID]bool{}
	for _, u := range users {
		pages, _ := u.walk(v2Path+"?PageSize=13", "next_page_url")
		for _, page := range pages {
			for _, sid := range page {
				if seen[sid] || made[sid] != u {
					t.Errorf("%s is in a list twice, or in another account's", sid)
				}
				seen[sid] = true
			}
		}
	}
	if len(seen) != writers*each || len(made) != writers*each {
		t.Errorf("%d documents listed and %d made, want %d", len(seen), len(made), writers*each)
	}
}

// TestCreate_OneIdempotencyKeyAtOnce repeats one create from many clients at once.
func TestCreate_OneIdempotencyKeyAtOnce(t *testing.T) {
	s := newSite(t)
	u := s.user()
	f := form().Encode()
	sids := make(chan workflow.SID, 10)
	for range cap(sids) {
		go func() {
			r, err := u.try("POST", previewPath, f, "Idempotency-Key", "one")
			if err != nil || r.status != http.StatusCreated {
				t.Errorf("%v, %d %s", err, r.status, r.raw)
			}
			sids <- r.sid()
		}()
	}
	first := <-sids
	for range cap(sids) - 1 {
		if sid := <-sids; sid != first {
			t.Errorf("made %s and %s", first, sid)
		}
	}
	if n := len(u.get(previewPath).sids()); n != 1 {
		t.Errorf("%d documents, want one", n)
	}
}

// fuzzed is a site that one process's fuzzing shares. Time stands still, so
// that wrong credentials are soon refused at once. ones are the paths of what it has:
// a document, an order and an address.
func fuzzed(f *testing.F) (u *user, ones []string) {
	now := time.Now()
	s := newSite(f, func(c *api.Config) {
		c.SigningWait, c.SequenceWait, c.Now = time.Millisecond, time.Millisecond, func() time.Time { return now }
	})
	u = s.user()
	document, order := "/"+string(u.created().sid()), "/"+string(u.ordered().sid())
	return u, []string{previewPath + document, v2Path + document, previewOrders + order, v2Orders + order, u.addresses(u.addressed().sid())}
}

// collections are the paths of all lists.
func (u *user) collections() []string {
	return []string{previewPath, v2Path, previewOrders, v2Orders, u.addresses()}
}

// sound checks what holds of an answer to any request whatever. An error is
// that of a client that does not send such a thing.
func sound(t *testing.T, r reply, err error) {
	t.Helper()
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		t.Fatal(err)
	}
	ours := r.header.Get("X-Request-Id") != ""
	if err != nil || !ours && (r.raw == "400 Bad Request" || r.status == http.StatusExpectationFailed) {
		return // what is no HTTP, or expects what HTTP does not have, is answered by net/http itself
	}
	if r.status >= 500 && r.status != 503 || r.status >= 300 && r.status < 400 {
		t.Fatalf("%d %s", r.status, r.raw)
	}
	if r.status == http.StatusNoContent {
		return
	}
	if r.body == nil || r.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d with no JSON: %s", r.status, r.raw)
	}
	if r.status >= 400 {
		wantFault(t, "an error", r)
	}
}

// FuzzHandler_Forms posts bodies of any content, to create and to update.
func FuzzHandler_Forms(f *testing.F) {
	for _, body := range []string{
		form().Encode(), "", "&&&", "%", "%zz=1", "Status=opened", "Status=signing", "Email=a%40b.c&Email=d%40e.f", "CcEmails=&CcEmails=",
		"HostedNumberOrderSids=HR1&AddressSid=AD", "ContactTitle=%00", "ContactPhoneNumber=%2B1415", "a=%ff", "Email=\xff", ";", "Email=a;b",
		"Email=%F0%9F%98%80%40example.com", "AddressSid=" + strings.Repeat("A", 5000), "Email=" + strings.Repeat("a", 400) + "%40example.com",
	} {
		f.Add(body, "application/x-www-form-urlencoded", false)
		f.Add(body, "application/x-www-form-urlencoded; charset=utf-8", true)
	}
	f.Add("{}", "application/json", true)
	f.Add("", "a/b;;", true)
	for _, body := range []string{
		"PhoneNumber=%2B14155550123&SmsCapability=true", "PhoneNumber=+1&SmsCapability=TRUE&AccountSid=AC", "CallDelay=61&Extension=%23", "CallDelay=-9e9",
		"VerificationCode=1&VerificationType=phone-bill", "VerificationDocumentSid=RI", "Status=pending-verification&VerificationCallDelay=x",
		"SmsUrl=http%3A%2F%2F%5B&SmsMethod=", "UniqueName=%00&FriendlyName=", "CustomerName=a&Street=b&City=c&Region=d&PostalCode=e&IsoCountry=us",
		"IsoCountry=%F0%9F%98%80&EmergencyEnabled=maybe", "Street=%E2%80%AE", "City=" + strings.Repeat("x", 5000),
	} {
		f.Add(body, "", false)
		f.Add(body, "", true)
	}
	u, ones := fuzzed(f)
	f.Fuzz(func(t *testing.T, body, kind string, update bool) {
		paths := u.collections()
		if update {
			paths = ones
		}
		for _, path := range paths {
			r, err := u.try("POST", path, body, "Content-Type", kind)
			sound(t, r, err)
		}
	})
}

// FuzzHandler_Queries asks for lists, and for paths of any kind.
func FuzzHandler_Queries(f *testing.F) {
	for _, query := range []string{
		"", "PageSize=1", "PageSize=-1&Page=-1", "Page=1&PageToken=PA", "PageToken=PAPX000102030405060708090a0b0c0d0e0f&Page=7", "Status=signing",
		"Email=a%40b", "%", "%zz", "&&&", "=", "Email=%ff", "PageSize=1e9", "Page=9223372036854775807&PageToken=PBPX000102030405060708090a0b0c0d0e0f",
		"Email=" + strings.Repeat("a", 3000), "Email=a@" + strings.Repeat("xn--", 100), "FriendlyName=x&UniqueName=y&PhoneNumber=%2B1",
	} {
		f.Add(query, "")
		f.Add(query, "/DependentHostedNumberOrders")
	}
	f.Add("", "/%2e%2e/x")
	f.Add("", "//")
	f.Add("", "/\x00")
	for _, query := range []string{
		"SmsCapability=x", "Status=received&SmsCapability=True", "PageToken=PBHR000102030405060708090a0b0c0d0e0f", "EmergencyEnabled=true&IsoCountry=%C3%9F",
		"CustomerName=%00&Page=9223372036854775807&PageToken=PAAD000102030405060708090a0b0c0d0e0f", "PageSize=1&Page=9223372036854775806&PageToken=PAAD",
	} {
		f.Add(query, "")
	}
	f.Add("", ".json")
	u, ones := fuzzed(f)
	f.Fuzz(func(t *testing.T, query, suffix string) {
		paths := u.collections()
		if suffix != "" {
			paths = ones
		}
		for _, path := range paths {
			path += suffix
			r, err := u.try("GET", path+"?"+query, "")
			sound(t, r, err)
		}
	})
}

// FuzzHandler_Headers sends headers of any content, and credentials.
func FuzzHandler_Headers(f *testing.F) {
	f.Add("Idempotency-Key", "k", "ACx", "y")
	f.Add("Idempotency-Key", strings.Repeat("k", 300), "", "")
	f.Add("X-Min-Log-Sequence", "1", "SKx", "")
	f.Add("X-Min-Log-Sequence", "99999999999999999999", "a:b", ":")
	f.Add("X-Forwarded-For", "::1, 1.2.3.4, x", "\xff", "\x00")
	f.Add("Content-Type", "a", "", "")
	f.Add("Accept", "text/html", "", "")
	f.Add("Authorization", "Basic !!!", "", "")
	f.Add("Content-Encoding", "gzip", "", "")
	f.Add("Expect", "100-continue", "", "")
	u, ones := fuzzed(f)
	f.Fuzz(func(t *testing.T, name, value, user, secret string) {
		if strings.EqualFold(name, "Content-Length") || strings.EqualFold(name, "Transfer-Encoding") || strings.EqualFold(name, "Host") ||
			strings.EqualFold(name, "Connection") || strings.EqualFold(name, "Upgrade") {
			return // the transport's own; what it makes of them is not ours
		}
		v := *u
		if user != "" {
			v.name, v.secret = user, secret
		}
		for _, method := range []string{"GET", "POST"} {
			r, err := v.try(method, ones[0], "", name, value)
			sound(t, r, err)
		}
	})
}
