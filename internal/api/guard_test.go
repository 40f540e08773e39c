package api_test

import (
	"fmt"
	"io"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"countersign/internal/api"
	"countersign/workflow"
)

// TestFault_EveryErrorHasTwiliosBody asks for what cannot be, on many paths and by
// many methods.
func TestFault_EveryErrorHasTwiliosBody(t *testing.T) {
	s := newSite(t)
	u := s.user()
	sid := string(s.upstream(u, 1, nil)[0])
	doc, missing := previewPath+"/"+sid, previewPath+"/"+string(newSID("PX"))
	for _, c := range []struct {
		method, path string
		status, code int
		message      string // empty: any
	}{
		{"GET", "/", 404, 20404, "The requested resource / was not found"},
		{"GET", "/HostedNumbers", 404, 20404, ""},
		{"GET", "/HostedNumbers/Orders", 404, 20404, "The requested resource /HostedNumbers/Orders was not found"},
		{"GET", previewPath + "/", 404, 20404, ""},
		{"GET", "/" + previewPath, 404, 20404, ""},
		{"GET", "/./HostedNumbers/../HostedNumbers/AuthorizationDocuments", 404, 20404, ""},
		{"GET", previewPath + "/PXx", 404, 20404, ""},
		{"GET", previewPath + "/PXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX", 404, 20404, ""},
		{"GET", missing, 404, 20404, "The requested resource " + missing + " was not found"},
		{"GET", v2Path + strings.TrimPrefix(missing, previewPath), 404, 20404, "The requested resource " + v2Path + strings.TrimPrefix(missing, previewPath) + " was not found"},
		{"GET", missing + "/DependentHostedNumberOrders", 404, 20404, ""},
		{"GET", doc + "/", 404, 20404, ""},
		{"GET", doc + "/DependentHostedNumberOrders/", 404, 20404, ""},
		{"GET", doc + "/Others", 404, 20404, ""},
		{"GET", "/v1/HostedNumber/AuthorizationDocuments", 404, 20404, ""},
		{"GET", "/" + strings.Repeat("x", 5000), 404, 20404, ""},
		{"POST", missing, 404, 20404, ""},
		{"PUT", previewPath, 405, 20004, ""},
		{"DELETE", previewPath, 405, 20004, ""},
		{"OPTIONS", previewPath, 405, 20004, ""},
		{"PATCH", doc, 405, 20004, ""},
		{"DELETE", doc, 405, 20004, ""},
		{"POST", v2Path + "/" + sid, 405, 20004, ""},
		{"POST", doc + "/DependentHostedNumberOrders", 405, 20004, ""},
		{"BREW", doc, 405, 20004, ""},
		{"TRACE", "/nothing", 404, 20404, ""},
	} {
		r := u.want(u.do(c.method, c.path, ""), c.status, c.code)
		wantFault(t, c.method+" "+c.path, r)
		if c.message != "" && r.str("message") != c.message {
			t.Errorf("%s %s: %s", c.method, c.path, r.str("message"))
		}
		if c.status == 405 && r.header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c.method, c.path)
		}
	}
	if got := u.do("PUT", previewPath, "").header.Get("Allow"); got != "GET, HEAD, POST" {
		t.Errorf("Allow: %s", got)
	}
	if r := u.do("HEAD", doc, ""); r.status != 200 || r.raw != "" || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("HEAD: %d %q", r.status, r.raw)
	}
}

// wantFault checks the body of an error.
func wantFault(t *testing.T, what string, r reply) {
	t.Helper()
	keys := slices.Sorted(maps.Keys(r.body))
	want := []string{"code", "message", "more_info", "status"}
	if r.status == 401 {
		want = []string{"code", "detail", "message", "more_info", "status"}
	}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
	if r.body["status"] != float64(r.status) || r.str("more_info") != fmt.Sprintf("https://www.twilio.com/docs/errors/%d", r.code()) || r.str("message") == "" {
		t.Errorf("%s: %s", what, r.raw)
	}
	if got := r.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("%s: Content-Type %q", what, got)
	}
}

func TestHandler_EveryAnswerHasGuardHeaders(t *testing.T) {
	s := newSite(t, func(c *api.Config) { c.PublicURL = "https://loa.example.com" })
	u := s.user()
	doc := u.created()
	nobody := *u
	nobody.name = ""
	for what, r := range map[string]reply{
		"created": doc, "fetched": u.get(previewPath + "/" + string(doc.sid())), "listed": u.get(v2Path), "lost": u.get("/x"),
		"refused": u.post(previewPath, url.Values{}), "deleted": u.do("DELETE", v2Path+"/"+string(doc.sid()), ""),
		"unknown": nobody.get(previewPath),
	} {
		want := map[string]string{
			"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
			"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
		}
		got := map[string]string{}
		for name := range want {
			got[name] = r.header.Get(name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		if id := r.header.Get("X-Request-Id"); !strings.HasPrefix(id, "RQ") || len(id) != 34 {
			t.Errorf("%s: request id %q", what, id)
		}
		if known := what != "lost" && what != "unknown"; (r.header.Get("X-Log-Sequence") != "") != known {
			t.Errorf("%s: X-Log-Sequence %q", what, r.header.Get("X-Log-Sequence"))
		}
	}
	if !strings.HasPrefix(doc.str("url"), "https://loa.example.com/HostedNumbers/") {
		t.Errorf("url %s", doc.str("url"))
	}
}

func TestAuthenticate_Credentials(t *testing.T) {
	s := newSite(t)
	u := s.user()
	sid := string(s.upstream(u, 1, nil)[0])
	try := func(name, secret string) reply {
		t.Helper()
		v := *u
		v.name, v.secret = name, secret
		return v.get(previewPath + "/" + sid)
	}
	none := u.want(try("", ""), 401, 20003)
	if none.str("message") != "Authentication Error - No credentials provided" || !strings.HasPrefix(none.header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("%s, %s", none.raw, none.header)
	}
	wantFault(t, "no credentials", none)
	u.want(try(u.name, u.secret), 200, 0)
	wrong := u.want(try(u.name, u.secret+"x"), 401, 20003)
	if wrong.str("message") != "Authenticate" || wrong.str("detail") != "Your AccountSid or AuthToken was incorrect." {
		t.Error(wrong.raw)
	}
	unknown := u.want(try(string(newSID("AC")), u.secret), 401, 20003)
	if unknown.str("message") != wrong.str("message") {
		t.Errorf("an unknown account is told apart: %s", unknown.raw)
	}
	if got := counted(t, s, "countersign_api_authentication_failures_total"); got != 2 {
		t.Errorf("%v failures counted, want 2", got)
	}
	key, secret, err := s.files.AddKey(u.sid)
	if err != nil {
		t.Fatal(err)
	}
	u.want(try(string(key), secret), 200, 0)
	u.want(try(string(key), u.secret), 401, 20003)
	token, err := s.files.Rotate(u.sid)
	if err != nil {
		t.Fatal(err)
	}
	u.want(try(u.name, token), 200, 0)
	u.want(try(u.name, u.secret), 200, 0)
	if err := s.files.Disable(u.sid, true); err != nil {
		t.Fatal(err)
	}
	u.want(try(u.name, token), 401, 20003)
	u.want(try(string(key), secret), 401, 20003)
}

// counted is the value of a metric of the site's API, summed over its labels.
func counted(t *testing.T, s *site, name string) (n float64) {
	t.Helper()
	all := prometheus.NewPedanticRegistry()
	if err := all.Register(s.config.Metrics); err != nil {
		t.Fatal(err)
	}
	families, err := all.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// TestAuthenticate_FailuresAreSlowed guesses from one address until that is
// refused; right credentials go through all the same.
func TestAuthenticate_FailuresAreSlowed(t *testing.T) {
	s := newSite(t)
	u := s.user()
	guess := *u
	guess.secret = strings.Repeat("x", 32)
	replies := make(chan int, 20)
	for range cap(replies) {
		go func() {
			r, err := guess.try("GET", previewPath, "")
			if err != nil {
				t.Error(err)
			}
			replies <- r.status
		}()
	}
	u.want(u.get(previewPath), 200, 0)
	count := map[int]int{}
	for range cap(replies) {
		count[<-replies]++
	}
	if count[401] == 0 || count[429] == 0 || count[401]+count[429] != 20 {
		t.Errorf("statuses %v, want 401s and then 429s", count)
	}
}

func TestHandler_RateLimits(t *testing.T) {
	start, passed := time.Now(), atomic.Int64{}
	clock := func() time.Time { return start.Add(time.Duration(passed.Load())) }
	s := newSite(t, func(c *api.Config) { c.AccountRate, c.Now = 2, clock })
	u, other := s.user(), s.user()
	for range 4 {
		u.want(u.get(previewPath), 200, 0)
	}
	for range 10 { // which do not count
		r := u.want(u.get(previewPath), 429, 20429)
		wantFault(t, "over the limit", r)
		if r.header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
		}
	}
	other.want(other.get(previewPath), 200, 0)
	passed.Add(int64(time.Second / 2))
	u.want(u.get(previewPath), 200, 0)
	u.want(u.get(previewPath), 429, 20429)
	_, s.url = s.serve(s.store, func(c *api.Config) { c.AddressRate, c.Now = 1, clock })
	u.url, other.url = s.url, s.url
	u.want(u.get("/x"), 404, 20404)
	u.want(u.get(previewPath), 200, 0)
	other.want(other.get(previewPath), 429, 20429)
}

// TestHandler_AddressesBehindAProxy has the limit see who is behind a proxy that is
// known, and nobody who claims to be behind another.
func TestHandler_AddressesBehindAProxy(t *testing.T) {
	now := time.Now()
	known := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	s := newSite(t, func(c *api.Config) {
		c.AddressRate, c.Proxies, c.Now = 0.5, known, func() time.Time { return now }
	})
	u := s.user()
	for _, c := range []struct {
		from   string
		status int
	}{
		{"203.0.113.1", 200},
		{"203.0.113.1", 429},
		{"203.0.113.9, 203.0.113.1", 429}, // said by the client itself
		{"203.0.113.1, 10.1.2.3", 429},    // through two proxies
		{"203.0.113.2", 200},              // another
		{"2001:db8:1:2::1", 200},          // IPv6
		{"2001:db8:1:2:ffff::1", 429},     // the same customer
		{"2001:db8:1:3::1", 200},          // another
		{"nonsense", 200},                 // counts as the proxy's own
		{"other nonsense", 429},           // likewise
	} {
		if r := u.get(previewPath, "X-Forwarded-For", c.from); r.status != c.status {
			t.Errorf("%s: got %d, want %d", c.from, r.status, c.status)
		}
	}
	_, s.url = s.serve(s.store, func(c *api.Config) { c.AddressRate, c.Now = 0.5, func() time.Time { return now } })
	u.url = s.url
	u.want(u.get(previewPath, "X-Forwarded-For", "203.0.113.1"), 200, 0)
	u.want(u.get(previewPath, "X-Forwarded-For", "203.0.113.2"), 429, 20429)
}

// TestHandler_AccountsDoNotSeeEachOther tries everything on another account's document.
func TestHandler_AccountsDoNotSeeEachOther(t *testing.T) {
	s := newSite(t)
	u, other := s.user(), s.user()
	doc := u.created()
	sid := string(doc.sid())
	for what, r := range map[string]reply{
		"fetch": other.get(previewPath + "/" + sid), "fetch in v2": other.get(v2Path + "/" + sid),
		"update": other.post(previewPath+"/"+sid, url.Values{"Email": {"mine@example.com"}}),
		"recall": other.post(previewPath+"/"+sid, url.Values{"Status": {"opened"}}),
		"delete": other.do("DELETE", v2Path+"/"+sid, ""), "dependents": other.get(previewPath + "/" + sid + "/DependentHostedNumberOrders"),
		"dependents in v2": other.get(v2Path + "/" + sid + "/DependentHostedNumberOrders"),
	} {
		if r.status != 404 || r.code() != 20404 || strings.Contains(r.raw, "owner@example.com") {
			t.Errorf("%s: %d %s", what, r.status, r.raw)
		}
	}
	if got := other.get(previewPath).sids(); len(got) != 0 {
		t.Errorf("listed %v", got)
	}
	if got := other.get(previewPath + "?Email=owner%40example.com").sids(); len(got) != 0 {
		t.Errorf("listed by signer %v", got)
	}
	if got := u.get(previewPath + "/" + sid); got.str("status") != "signing" || got.str("email") != "owner@example.com" {
		t.Errorf("changed: %s", got.raw)
	}
	life, err := s.store.Life(t.Context(), doc.sid())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range life.History {
		if strings.Contains(h.Detail, "by the REST API") && h.What != workflow.TypeCreated || h.What == "refused" {
			t.Errorf("another account's request got to the document: %+v", h)
		}
	}
}

// TestAnswer_WritesOfAnotherWebsitesPageAreRefused has a browser send what a page of
// another website tells it to, with the credentials that it knows.
func TestAnswer_WritesOfAnotherWebsitesPageAreRefused(t *testing.T) {
	s := newSite(t)
	u := s.user()
	doc := previewPath + "/" + string(u.created().sid())
	v2Doc := v2Path + strings.TrimPrefix(doc, previewPath)
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site", "Origin", "http://www.127.0.0.1"},
		{"Sec-Fetch-Site", "cross-site", "Origin", "null"},
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
		{"Origin", "http://127.0.0.1"}, // another port
	} {
		for _, c := range [][3]string{
			{"POST", previewPath, form().Encode()},
			{"POST", v2Path, form().Encode()},
			{"POST", doc, "Status=opened"},
			{"DELETE", v2Doc, ""},
		} {
			r := u.want(u.do(c[0], c[1], c[2], headers...), 403, 20403)
			wantFault(t, strings.Join(headers, " "), r)
		}
		nobody := *u
		nobody.secret = "wrong"
		nobody.want(nobody.do("POST", doc, "Status=opened", headers...), 403, 20403)
		u.want(u.get(doc, headers...), 200, 0)
	}
	if got := u.get(doc).str("status"); got != "signing" {
		t.Errorf("the document is %s", got)
	}
	if n := len(u.get(v2Path).body["items"].([]any)); n != 1 {
		t.Errorf("there are %d documents", n)
	}
	u.want(u.do("POST", doc, "Status=opened", "Origin", s.url, "Sec-Fetch-Site", "same-origin"), 200, 0)
	u.want(u.do("POST", doc, "Status=signing", "Origin", s.url), 200, 0)
	u.want(u.do("DELETE", v2Doc, ""), 204, 0)
}

// untouched is the body of a request that nobody may read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

func TestCreate_TitlesThatNobodyCanRead(t *testing.T) {
	s := newSite(t)
	u := s.user()
	for _, title := range []string{"\u3164", " ", "\u200b\u00ad", "Owner\u202e", "\u2066Owner", "a\u2028b"} {
		for _, path := range []string{previewPath, v2Path} {
			r := u.want(u.post(path, form("ContactTitle", title)), 400, 20001)
			if !strings.HasPrefix(r.str("message"), "ContactTitle is not valid: has ") {
				t.Errorf("%+q: %s", title, r.str("message"))
			}
		}
	}
}
