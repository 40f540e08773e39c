package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/events"
	"countersign/internal/test/certtest"
	"countersign/internal/test/eventstest"
	"countersign/internal/test/logtest"
	"countersign/workflow"
)

const (
	previewPath = "/HostedNumbers/AuthorizationDocuments"
	v2Path      = "/v2/HostedNumber/AuthorizationDocuments"
)

// apiUser is an account, and a way to a worker's REST API.
type apiUser struct {
	base      string // of the worker's URLs
	client    *http.Client
	sid       workflow.SID
	token     string
	forwarded string // where it says it comes from; empty: it does not say
}

// user adds an account to the accounts file that env names.
func user(t *testing.T, env []string, sid workflow.SID) *apiUser {
	t.Helper()
	var out, errs logtest.Buffer
	if code := run(t.Context(), []string{"accounts", "add", "--sid", string(sid)}, env, &out, &errs); code != exitOK {
		t.Fatalf("exit code %d: %s", code, &errs)
	}
	return &apiUser{client: &http.Client{
		Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 32},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, sid: sid, token: strings.TrimSpace(out.String())}
}

// apiAnswer is what the API said.
type apiAnswer struct {
	status   int
	sequence uint64 // X-Log-Sequence
	proto    string
	body     struct {
		SID, Email, Message string
		Status              any // of a document, or of HTTP
		Code                int
		Items               []struct{ SID workflow.SID }
		Meta                struct {
			NextPageURL string `json:"next_page_url"`
		}
	}
	raw string
}

// try sends one request; headers are pairs. It fails where no whole answer
// came.
func (u *apiUser) try(ctx context.Context, method, path string, form url.Values, headers ...string) (a apiAnswer, err error) {
	if strings.HasPrefix(path, "/") {
		path = u.base + path
	}
	r, err := http.NewRequestWithContext(ctx, method, path, strings.NewReader(form.Encode()))
	if err != nil {
		return a, err
	}
	r.SetBasicAuth(string(u.sid), u.token)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if u.forwarded != "" {
		r.Header.Set("X-Forwarded-For", u.forwarded)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := u.client.Do(r)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	a.status, a.proto, a.raw = resp.StatusCode, resp.Proto, string(raw)
	a.sequence, _ = strconv.ParseUint(resp.Header.Get("X-Log-Sequence"), 10, 64)
	if len(raw) > 0 {
		err = json.Unmarshal(raw, &a.body)
	}
	return a, err
}

// call is try that has to be answered with a status.
func (u *apiUser) call(t *testing.T, method, path string, form url.Values, want int, headers ...string) apiAnswer {
	t.Helper()
	a, err := u.try(t.Context(), method, path, form, headers...)
	if err != nil || a.status != want {
		t.Fatalf("%s %s: %d, want %d: %s, %v", method, path, a.status, want, a.raw, err)
	}
	return a
}

// list reads all pages of a state that has applied the log up to sequence, and counts
// the sids.
func (u *apiUser) list(t *testing.T, sequence uint64) map[workflow.SID]int {
	t.Helper()
	count := map[workflow.SID]int{}
	for next := u.base + previewPath + "?PageSize=97"; next != ""; {
		a := u.call(t, "GET", next, nil, 200, "X-Min-Log-Sequence", fmt.Sprint(sequence))
		for _, item := range a.body.Items {
			count[item.SID]++
		}
		if next = a.body.Meta.NextPageURL; next != "" { // it names the public URL
			next = u.base + next[strings.Index(next, previewPath):]
		}
	}
	return count
}

// newForm is a document with orders of its own.
func newForm(n int) url.Values {
	return url.Values{
		"HostedNumberOrderSids": {fmt.Sprintf("HR%032x", n)}, "AddressSid": {"AD00000000000000000000000000000001"},
		"Email": {fmt.Sprintf("signer-%d@example.com", n)}, "ContactTitle": {"Owner"}, "ContactPhoneNumber": {"+14155550100"},
	}
}

// TestServe_APICreatesListsAndRecallsADocument adds an account and uses the REST API as a plain
// HTTP client does: a document is created, mailed, found in the list, recalled.
func TestServe_APICreatesListsAndRecallsADocument(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	u := user(t, x.env(dir), testAccount)
	u.base = "http://" + w.address("public")
	lacking := u.call(t, "POST", previewPath, newForm(2), 201)
	if lacking.body.Status != "opened" { // at once: nothing is on its way
		t.Errorf("created without a number: %s", lacking.raw)
	}
	x.say(events.OrderCreated("/orders", "o1", testAccount, testHR(1), workflow.OrderCreated{OrderContent: workflow.OrderContent{PhoneNumber: "+14152000001"}}))
	created := u.call(t, "POST", previewPath, newForm(1), 201)
	if created.body.Status != "signing" {
		t.Errorf("created: %s", created.raw)
	}
	path := previewPath + "/" + created.body.SID
	if a := u.call(t, "GET", v2Path, nil, 200); !strings.Contains(a.raw, created.body.SID) {
		t.Errorf("not in the list: %s", a.raw)
	}
	if a := u.call(t, "POST", path, url.Values{"Email": {"other@example.com"}}, 400); a.body.Code != 22107 {
		t.Errorf("an edit of what is out: %s", a.raw)
	}
	if a := u.call(t, "POST", path, url.Values{"Status": {"opened"}}, 200); a.body.Status != "opened" {
		t.Errorf("recalled: %s", a.raw)
	}
	u.call(t, "GET", "/HostedNumbers", nil, 404)
	u.call(t, "GET", "/2010-04-01", nil, 404)
	u.call(t, "GET", "/v2//HostedNumber/AuthorizationDocuments", nil, 404)
	if code, body := get(t, u.base+"/sign/none"); code != 404 || !strings.Contains(body, "<html") {
		t.Errorf("the signing page: %d %s", code, body)
	}
	w.end()
}

// TestServe_APIAcceptsOnlyKnownOrders makes an address, an order and a document of them
// at a worker that accepts no document whose orders it does not know.
func TestServe_APIAcceptsOnlyKnownOrders(t *testing.T) {
	x := newTown(t)
	env := x.env(t.TempDir(), "COUNTERSIGN_UNKNOWN_ORDERS=refuse")
	w := start(t, env)
	w.says("read to its end")
	u := user(t, env, testAccount)
	u.base = "http://" + w.address("public")
	if a := u.call(t, "POST", v2Path, newForm(1), 400); a.body.Code != 22101 {
		t.Errorf("an unknown order: %s", a.raw)
	}
	address := u.call(t, "POST", "/2010-04-01/Accounts/"+string(testAccount)+"/Addresses.json", url.Values{
		"CustomerName": {"Bayview Law LLP"}, "Street": {"1 Market Street"}, "City": {"San Francisco"}, "Region": {"CA"}, "PostalCode": {"94105"}, "IsoCountry": {"US"},
	}, 201)
	order := u.call(t, "POST", "/v2/HostedNumber/Orders", url.Values{
		"PhoneNumber": {"+14155550101"}, "ContactPhoneNumber": {"+14155550100"}, "AddressSid": {address.body.SID}, "Email": {"owner@example.com"},
	}, 201)
	form := newForm(2)
	form["HostedNumberOrderSids"] = []string{order.body.SID}
	if a := u.call(t, "POST", v2Path, form, 400); a.body.Code != 22109 {
		t.Errorf("an unknown address: %s", a.raw)
	}
	form["AddressSid"] = []string{address.body.SID}
	document := u.call(t, "POST", v2Path, form, 201)
	if document.body.Status != "signing" {
		t.Errorf("created: %s", document.raw)
	}
	if a := u.call(t, "GET", "/HostedNumbers/HostedNumberOrders/"+order.body.SID, nil, 200); a.body.Status != "pending-loa" {
		t.Errorf("the order: %s", a.raw)
	}
	w.end()
}

// TestServe_APIOverTLSLimitsEachProxiedClient serves the API with a certificate, over HTTP/2, to clients
// behind a proxy whose word counts, each within its own limit.
func TestServe_APIOverTLSLimitsEachProxiedClient(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	certFile, keyFile, roots := certtest.Files(t, t.TempDir(), 1)
	w := start(t, append(x.env(dir), "COUNTERSIGN_TLS_CERT="+certFile, "COUNTERSIGN_TLS_KEY="+keyFile,
		"COUNTERSIGN_TRUSTED_PROXIES=127.0.0.0/8", "COUNTERSIGN_API_ADDRESS_RATE=0.001", "COUNTERSIGN_API_ACCOUNT_RATE=0"))
	w.says("read to its end")
	u := user(t, x.env(dir), testAccount)
	u.base, u.forwarded = "https://"+w.address("public"), "192.0.2.1"
	u.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	if a := u.call(t, "POST", previewPath, newForm(1), 201); a.proto != "HTTP/2.0" {
		t.Errorf("it came over %s", a.proto)
	}
	u.call(t, "GET", previewPath, nil, 429)
	u.forwarded = "192.0.2.2"
	u.call(t, "GET", previewPath, nil, 200)
	w.end()

	var errs logtest.Buffer
	env := append(x.env(dir), "COUNTERSIGN_TLS_CERT="+certFile, "COUNTERSIGN_TLS_KEY="+certFile)
	if code := run(t.Context(), []string{"serve"}, env, io.Discard, &errs); code != exitFailure || !strings.Contains(errs.String(), "--tls-cert") {
		t.Errorf("exit code %d: %s", code, &errs)
	}
}

// writers is TestServe_APIWritesSurviveAKilledWorker at work.
type writers struct {
	t       *testing.T
	users   []*apiUser // each account through each worker
	written atomic.Int64
	down    atomic.Bool // a worker is, or was when a request was under way
	broken  atomic.Int64

	mu   sync.Mutex
	made map[workflow.SID]workflow.SID // documents whose create was answered with 201, and their account
	last uint64                        // the largest sequence of an answer
}

// write sends one request until it is answered with a status, and notes that.
// Where no answer comes, or 503, the worker has to be down.
func (w *writers) write(u *apiUser, path string, form url.Values, want int, headers ...string) apiAnswer {
	for ctx := w.t.Context(); ctx.Err() == nil; {
		wasDown := w.down.Load()
		a, err := u.try(ctx, "POST", path, form, headers...)
		switch {
		case err == nil && a.status == want:
			w.mu.Lock()
			w.last = max(w.last, a.sequence)
			w.mu.Unlock()
			w.written.Add(1)
			return a
		case err == nil && a.status != http.StatusServiceUnavailable:
			w.t.Errorf("POST %s: %d, want %d: %s", path, a.status, want, a.raw)
			return a
		case !wasDown && !w.down.Load():
			w.t.Errorf("POST %s with both workers up: %d %s, %v", path, a.status, a.raw, err)
			return a
		}
		w.broken.Add(1)
		select {
		case <-time.After(20 * time.Millisecond): // the worker is not back yet
		case <-ctx.Done():
		}
	}
	return apiAnswer{}
}

// life creates a document and changes it.
func (w *writers) life(u *apiUser, n int) {
	a := w.write(u, previewPath, newForm(n), 201, "Idempotency-Key", fmt.Sprint("k", n))
	sid := workflow.SID(a.body.SID)
	w.mu.Lock()
	if w.made[sid] != "" {
		w.t.Errorf("%s was made twice", sid)
	}
	w.made[sid] = u.sid
	w.mu.Unlock()
	email := fmt.Sprintf("changed-%d@example.com", n)
	a = w.write(u, previewPath+"/"+string(sid), url.Values{"Status": {"opened"}, "Email": {email}}, 200)
	if a.body.Email != email || a.body.Status != "opened" {
		w.t.Errorf("update answered %s", a.raw)
	}
}

// TestServe_APIWritesSurviveAKilledWorker has twenty clients of two accounts make and
// change a thousand documents through two workers, of which one is killed and
// started again meanwhile. All that was answered with success is on the log,
// and in its account's list once, on both workers.
func TestServe_APIWritesSurviveAKilledWorker(t *testing.T) {
	const clients, each = 20, 50
	x, dirs := newTown(t), []string{t.TempDir(), t.TempDir()}
	common := []string{
		"COUNTERSIGN_ACCOUNTS_FILE=" + filepath.Join(dirs[0], "accounts"), "COUNTERSIGN_API_ACCOUNT_RATE=0",
		"COUNTERSIGN_API_ADDRESS_RATE=0", "COUNTERSIGN_MAIL_DEADLINE=5s",
	}
	w := &writers{t: t, made: map[workflow.SID]workflow.SID{}}
	accounts := []*apiUser{user(t, append(x.env(dirs[0]), common...), testAccount), user(t, append(x.env(dirs[0]), common...), otherAccount)}
	var workers []*killable
	var envs [][]string
	for i, dir := range dirs {
		envs = append(envs, append(x.env(dir), common...))
		workers = append(workers, x.process(envs[i]))
		public := workers[i].address("public")
		envs[i] = append(envs[i], "COUNTERSIGN_LISTEN="+public) // for the next start
		for _, u := range accounts {
			through := *u
			through.base = "http://" + public
			w.users = append(w.users, &through)
		}
	}
	var group sync.WaitGroup
	for c := range clients {
		group.Go(func() {
			for i := range each {
				w.life(w.users[c%len(w.users)], c*each+i)
			}
		})
	}
	eventstest.WaitFor(t, 2*time.Minute, "a quarter to be written", func() bool { return w.written.Load() > clients*each/2 || t.Failed() })
	w.down.Store(true)
	workers[0].kill()
	eventstest.WaitFor(t, time.Minute, "requests to the dead worker", func() bool { return w.broken.Load() > 5 || t.Failed() })
	workers[0] = x.process(envs[0])
	before := w.written.Load()
	eventstest.WaitFor(t, 2*time.Minute, "writes through the restarted worker", func() bool { return w.written.Load() > before+200 || t.Failed() })
	w.down.Store(false)
	group.Wait()
	w.check(x)
	for _, k := range workers {
		if err := k.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if code := k.dies(); code != exitOK {
			t.Errorf("a worker ended with %d", code)
		}
	}
}

// check compares what was answered with the log and both workers' lists.
func (w *writers) check(x *town) {
	t := w.t
	t.Helper()
	if n := len(w.made); n != 1000 {
		t.Errorf("%d documents were made", n)
	}
	subjects := x.subjects()
	for sid, account := range w.made {
		prefix := string(account) + "." + string(sid) + ".by.api."
		// A create that was sent again, because its answer was lost, may be on the
		// log again. It made one document: it became opened once.
		if subjects[prefix+"created"] == 0 {
			t.Errorf("%s: no created event on the log", sid)
		}
		if n := subjects[string(account)+"."+string(sid)+".became.opened.1"]; n != 1 {
			t.Errorf("%s: became opened %d times", sid, n)
		}
		if subjects[prefix+"updated"] == 0 {
			t.Errorf("%s: no updated event on the log", sid)
		}
	}
	for _, u := range w.users {
		listed := u.list(t, w.last)
		wanted := 0
		for sid, account := range w.made {
			if account != u.sid {
				continue
			}
			if wanted++; listed[sid] != 1 {
				t.Errorf("%s is %d times in its account's list", sid, listed[sid])
			}
		}
		if len(listed) != wanted {
			t.Errorf("%d documents in a list, want %d", len(listed), wanted)
		}
	}
}
