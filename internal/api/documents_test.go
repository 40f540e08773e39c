package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/api"
	"countersign/internal/catcher"
	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
	"countersign/internal/ticket"
	"countersign/workflow"
)

var datePattern = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)

// TestFetch_DocumentHasItsNineKeys checks the answer in both generations, which
// differ in URLs alone.
func TestFetch_DocumentHasItsNineKeys(t *testing.T) {
	s := newSite(t)
	u := s.user()
	f := form()
	doc := u.want(u.post(previewPath, f), http.StatusCreated, 0)
	for _, path := range []string{previewPath, v2Path} {
		got := u.want(u.get(path+"/"+string(doc.sid())), http.StatusOK, 0)
		for _, key := range []string{"date_created", "date_updated"} {
			if !datePattern.MatchString(got.str(key)) {
				t.Errorf("%s is %q", key, got.str(key))
			}
			delete(got.body, key)
		}
		want := map[string]any{
			"address_sid": f.Get("AddressSid"), "cc_emails": []any{"ops@example.com", "legal@example.com"}, "email": "owner@example.com",
			"links": map[string]any{"dependent_hosted_number_orders": s.url + path + "/" + string(doc.sid()) + "/DependentHostedNumberOrders"},
			"sid":   string(doc.sid()), "status": "signing", "url": s.url + path + "/" + string(doc.sid()),
		}
		if diff := cmp.Diff(want, got.body); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	if !regexp.MustCompile(`^PX[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$`).MatchString(string(doc.sid())) {
		t.Errorf("the sid %s is no UUID of version 7", doc.sid())
	}
}

func TestCreate_NeedsWhatTheGenerationRequires(t *testing.T) {
	s := newSite(t)
	u := s.user()
	made := 0
	long := strings.Repeat("x", 64) + "x@example.com"
	for _, c := range []struct {
		name, field string
		values      []string // nil: left out
		preview, v2 int      // codes; 0: created
	}{
		{"no order", "HostedNumberOrderSids", nil, 20001, 20001},
		{"an empty order", "HostedNumberOrderSids", []string{""}, 22101, 22101},
		{"the page's placeholder for an order", "HostedNumberOrderSids", []string{"HostedNumberOrderSids"}, 22101, 22101},
		{"a comma between orders", "HostedNumberOrderSids", []string{string(newSID("HR") + "," + newSID("HR"))}, 22101, 22101},
		{"a thousand orders and one", "HostedNumberOrderSids", many(1001), 22101, 22101},
		{"no address", "AddressSid", nil, 20001, 20001},
		{"an empty address", "AddressSid", []string{""}, 22109, 22109},
		{"another resource for an address", "AddressSid", []string{string(newSID("AC"))}, 22109, 22109},
		{"two addresses", "AddressSid", []string{string(newSID("AD")), string(newSID("AD"))}, 20001, 20001},
		{"no signer", "Email", nil, 20001, 20001},
		{"an empty signer", "Email", []string{""}, 22104, 22104},
		{"the page's placeholder for a signer", "Email", []string{"Email"}, 22104, 22104},
		{"two signers", "Email", []string{"a@example.com", "b@example.com"}, 20001, 20001},
		{"a signer with too long a name", "Email", []string{long}, 22104, 22104},
		{"a bad cc", "CcEmails", []string{"a@example.com", "b"}, 22104, 22104},
		{"an empty cc beside another", "CcEmails", []string{"a@example.com", ""}, 22104, 22104},
		{"more than fifty in cc", "CcEmails", slices.Repeat([]string{"a@example.com"}, 51), 22104, 22104},
		{"no cc", "CcEmails", nil, 0, 0},
		{"an empty cc", "CcEmails", []string{""}, 0, 0},
		{"no title", "ContactTitle", nil, 20001, 0},
		{"an empty title", "ContactTitle", []string{""}, 20001, 0},
		{"a title in two lines", "ContactTitle", []string{"a\nb"}, 20001, 20001},
		{"no phone", "ContactPhoneNumber", nil, 20001, 20001},
		{"an empty phone", "ContactPhoneNumber", []string{""}, 22102, 22102},
		{"a national phone", "ContactPhoneNumber", []string{"(415) 555-0100"}, 22102, 22102},
		{"a phone that no plan has", "ContactPhoneNumber", []string{"+19999999999"}, 22102, 22102},
		{"a phone with spaces", "ContactPhoneNumber", []string{"+1 415 555 0100"}, 0, 0},
		{"what nobody knows", "FriendlyName", []string{"a", "b"}, 0, 0},
	} {
		for path, code := range map[string]int{previewPath: c.preview, v2Path: c.v2} {
			f := form()
			delete(f, c.field)
			if c.values != nil {
				f[c.field] = c.values
			}
			r := u.post(path, f)
			if code == 0 {
				made++
			}
			if code == 0 && r.status != 201 || code != 0 && r.status != 400 || r.code() != code {
				t.Errorf("%s at %s: got %d, %s; want code %d", c.name, path, r.status, r.raw, code)
			}
			if code != 0 && !strings.Contains(r.str("message"), c.field) {
				t.Errorf("%s at %s: the message does not name %s: %s", c.name, path, c.field, r.str("message"))
			}
			if code == 20001 && c.values == nil && r.str("message") != "Missing required parameter "+c.field+" in the post body" {
				t.Errorf("%s at %s: %s", c.name, path, r.str("message"))
			}
		}
	}
	if n := len(u.get(previewPath + "?PageSize=1000").body["items"].([]any)); n != made {
		t.Errorf("%d documents, want the %d that were created", n, made)
	}
}

func many(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("HR%032x", i))
	}
	return out
}

// TestUpdate_LifeOfADocument goes through every move that a client can make.
func TestUpdate_LifeOfADocument(t *testing.T) {
	s := newSite(t)
	u := s.user()
	doc := u.created()
	if doc.str("status") != "signing" {
		t.Fatalf("created as %s", doc.str("status"))
	}
	path := previewPath + "/" + string(doc.sid())
	refused := u.want(u.post(path, url.Values{"Email": {"other@example.com"}}), 400, 22107)
	if !strings.Contains(refused.str("message"), "status opened first") {
		t.Errorf("the refusal does not say the mend: %s", refused.raw)
	}
	u.want(u.post(path, url.Values{"Status": {"signed"}}), 400, 22122)
	u.want(u.post(path, url.Values{"Status": {""}}), 400, 22122)
	if r := u.want(u.post(path, url.Values{}), 200, 0); r.str("status") != "signing" {
		t.Errorf("a POST of nothing changes the document: %s", r.raw)
	}

	recalled := u.want(u.post(path, url.Values{"Status": {"opened"}}), 200, 0)
	if recalled.str("status") != "opened" {
		t.Errorf("recalled, and %s", recalled.str("status"))
	}
	hr := string(newSID("HR"))
	changed := u.want(u.post(path, url.Values{"Email": {"other@example.com"}, "CcEmails": {""}, "HostedNumberOrderSids": {hr, hr}}), 200, 0)
	if changed.str("status") != "opened" || changed.str("email") != "other@example.com" || len(changed.body["cc_emails"].([]any)) != 0 {
		t.Errorf("changed into %s", changed.raw)
	}
	if n := len(u.get(path + "/DependentHostedNumberOrders").body["items"].([]any)); n != 1 {
		t.Errorf("%d orders, want the one of the new list", n)
	}
	again := u.want(u.post(path, url.Values{"Status": {"signing"}}), 200, 0)
	if again.str("status") != "signing" {
		t.Errorf("sent again, and %s", again.str("status"))
	}
	both := u.want(u.post(path, url.Values{"Status": {"opened"}, "Email": {"third@example.com"}}), 200, 0)
	if both.str("status") != "opened" || both.str("email") != "third@example.com" {
		t.Errorf("recalled and changed in one request: %s", both.raw)
	}
	sent := u.want(u.post(path, url.Values{"Status": {"signing"}, "Email": {"fourth@example.com"}}), 200, 0)
	if sent.str("status") != "signing" || sent.str("email") != "fourth@example.com" {
		t.Errorf("changed and sent in one request: %s", sent.raw)
	}

	s.sign(u.sid, doc.sid())
	for what, r := range map[string]reply{
		"update": u.post(path, url.Values{"Email": {"other@example.com"}}), "recall": u.post(path, url.Values{"Status": {"opened"}}),
		"send": u.post(path, url.Values{"Status": {"signing"}}), "delete": u.do("DELETE", v2Path+"/"+string(doc.sid()), ""),
	} {
		if r.status != 400 || r.code() != 22107 {
			t.Errorf("%s of a signed document: %d, %s", what, r.status, r.raw)
		}
	}
}

func TestRemove_Cancels(t *testing.T) {
	s := newSite(t)
	u := s.user()
	doc := u.created()
	path := v2Path + "/" + string(doc.sid())
	for range 2 {
		r := u.want(u.do("DELETE", path, ""), http.StatusNoContent, 0)
		if r.raw != "" || r.header.Get("Content-Type") != "" {
			t.Errorf("a deletion answers %q", r.raw)
		}
	}
	if got := u.want(u.get(path), 200, 0).str("status"); got != "canceled" {
		t.Errorf("fetched as %s", got)
	}
	d, err := s.store.Document(t.Context(), doc.sid())
	if err != nil || d.CanceledBy != "account" {
		t.Errorf("canceled by %q, %v", d.CanceledBy, err)
	}
	u.want(u.do("DELETE", previewPath+"/"+string(doc.sid()), ""), 405, 20004)
	u.want(u.post(path, url.Values{"Status": {"opened"}}), 405, 20004)
	u.want(u.do("DELETE", v2Path+"/"+string(newSID("PX")), ""), 404, 20404)
}

// TestFetch_ErasedDocumentIsNotFound by any request, as if it had never been.
func TestFetch_ErasedDocumentIsNotFound(t *testing.T) {
	s := newSite(t)
	u := s.user()
	doc := u.created()
	path := v2Path + "/" + string(doc.sid())
	u.want(u.do("DELETE", path, ""), http.StatusNoContent, 0)
	s.append(eventlog.Erased(time.Now(), workflow.Erased{DocumentSID: doc.sid(), AccountSID: u.sid, Status: workflow.Canceled, Round: 1}))
	u.want(u.get(path), 404, 20404)
	u.want(u.get(path+"/DependentHostedNumberOrders"), 404, 20404)
	u.want(u.post(previewPath+"/"+string(doc.sid()), url.Values{"Email": {"other@example.com"}}), 404, 20404)
	u.want(u.do("DELETE", path, ""), 404, 20404)
	if list := u.want(u.get(v2Path), 200, 0); strings.Contains(list.raw, string(doc.sid())) {
		t.Errorf("it is listed: %s", list.raw)
	}
}

// TestCreate_OrderGoesOnOneDocument also checks that a refusal does not tell one
// account of another's document.
func TestCreate_OrderGoesOnOneDocument(t *testing.T) {
	s := newSite(t)
	u, other := s.user(), s.user()
	first := u.created("HostedNumberOrderSids", "HR000102030405060708090a0b0c0d0e0f")
	f := form("HostedNumberOrderSids", "HR000102030405060708090a0b0c0d0e0f")
	if r := u.want(u.post(previewPath, f), 400, 22110); !strings.Contains(r.str("message"), string(first.sid())) {
		t.Errorf("the message does not name the document: %s", r.raw)
	}
	if r := other.want(other.post(previewPath, f), 400, 22110); strings.Contains(r.raw, "PX") {
		t.Errorf("another account learns of the document: %s", r.raw)
	}
	second := u.created()
	r := u.want(u.post(previewPath+"/"+string(second.sid()), url.Values{
		"Status": {"opened"}, "HostedNumberOrderSids": {"HR000102030405060708090a0b0c0d0e0f"},
	}), 400, 22110)
	if got := u.get(previewPath + "/" + string(second.sid())).str("status"); got != "opened" {
		t.Errorf("refused with %s, and the recall before it left the document %s", r.str("message"), got)
	}
}

func TestCreate_IdempotencyKey(t *testing.T) {
	s := newSite(t)
	u, other := s.user(), s.user()
	f := form()
	first := u.want(u.post(previewPath, f, "Idempotency-Key", "k-1"), 201, 0)
	again := u.want(u.post(previewPath, f, "Idempotency-Key", "k-1"), 201, 0)
	if first.sid() != again.sid() || s.box.Count() > 3 {
		t.Errorf("two documents, %s and %s, or mails: %d", first.sid(), again.sid(), s.box.Count())
	}
	if got := u.want(u.post(v2Path, form(), "Idempotency-Key", "k-2"), 201, 0).sid(); got == first.sid() {
		t.Error("another key, and the same document")
	}
	if got := other.want(other.post(previewPath, form(), "Idempotency-Key", "k-1"), 201, 0).sid(); got == first.sid() {
		t.Error("another account, and the same document")
	}
	changed := form()
	changed.Set("Email", "other@example.com")
	r := u.want(u.post(previewPath, changed, "Idempotency-Key", "k-1"), 400, 20001)
	if !strings.Contains(r.str("message"), "Idempotency-Key was used before") {
		t.Error(r.raw)
	}
	taken := form("HostedNumberOrderSids", f["HostedNumberOrderSids"][0])
	for range 2 {
		u.want(u.post(previewPath, taken, "Idempotency-Key", "k-3"), 400, 22110)
	}
	for _, bad := range []string{"a b", "é", strings.Repeat("k", 256)} {
		u.want(u.post(previewPath, form(), "Idempotency-Key", bad), 400, 20001)
	}
	u.want(u.post(previewPath, form(), "Idempotency-Key", "a", "Idempotency-Key", "b"), 400, 20001)
}

// TestCreate_IdempotencyKeyOutlastsTheLogsMemory repeats creates when the log has
// forgotten their ids, which it does after some minutes: the store knows.
func TestCreate_IdempotencyKeyOutlastsTheLogsMemory(t *testing.T) {
	s := newSite(t)
	js, err := jetstream.New(eventstest.Connect(t, s.nats))
	if err != nil {
		t.Fatal(err)
	}
	_, s.url = s.serve(s.store, func(c *api.Config) { c.Log = forgetful{js} })
	u := s.user()
	f := form()
	first := u.want(u.post(previewPath, f, "Idempotency-Key", "k-1"), 201, 0)
	if again := u.want(u.post(previewPath, f, "Idempotency-Key", "k-1"), 201, 0); again.sid() != first.sid() {
		t.Errorf("two documents, %s and %s", first.sid(), again.sid())
	}
	u.want(u.post(previewPath, f, "Idempotency-Key", "k-2"), 400, 22110)
	u.want(u.post(previewPath, f, "Idempotency-Key", "k-2"), 400, 22110)
}

func TestCreate_SidFollowsFromTheKeysFile(t *testing.T) {
	s := newSite(t)
	u := s.user()
	f := form()
	first := u.want(u.post(previewPath, f, "Idempotency-Key", "order-1"), 201, 0)
	fresh, err := ticket.Open(filepath.Join(t.TempDir(), "keys"), time.Now, eventstest.Logger())
	if err != nil {
		t.Fatal(err)
	}
	_, u.url = s.serve(s.store, func(c *api.Config) { c.Keys = rotated{fresh, s.keys} })
	if again := u.want(u.post(previewPath, f, "Idempotency-Key", "order-1"), 201, 0); again.sid() != first.sid() {
		t.Errorf("behind a new key the same request makes %s, want %s", again.sid(), first.sid())
	}
	// Whoever has other keys, or none, arrives at another sid: the order is taken,
	// because the document is not the first one.
	_, u.url = s.serve(s.store, func(c *api.Config) { c.Keys = fresh })
	u.want(u.post(previewPath, f, "Idempotency-Key", "order-1"), 400, 22110)
}

// rotated has the codes of new keys in front of those of old ones.
type rotated struct{ fresh, old *ticket.File }

func (r rotated) MACs(data []byte) [][]byte { return append(r.fresh.MACs(data), r.old.MACs(data)...) }

// forgetful has the log take each event as if it had never met it.
type forgetful struct{ js jetstream.JetStream }

func (f forgetful) Hurry() func() { return func() {} }

func (f forgetful) Append(ctx context.Context, e events.Event) (uint64, error) {
	m, err := e.Message()
	if err != nil {
		return 0, err
	}
	m.Header.Del(jetstream.MsgIDHeader)
	ack, err := f.js.PublishMsg(ctx, m)
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// TestCreate_SlowEmailIsOpened has the mail server put the signature mail off: the
// answer to a create waits for a while, and tells the truth.
func TestCreate_SlowEmailIsOpened(t *testing.T) {
	s := newSite(t, func(c *api.Config) { c.SigningWait = 50 * time.Millisecond })
	u := s.user()
	hold := make(chan struct{})
	s.box.Script(func(step catcher.Step) error {
		if step.Phase == catcher.RcptTo {
			<-hold
		}
		return nil
	})
	t.Cleanup(func() { s.box.Script(nil) })
	doc := u.created()
	if doc.str("status") != "opened" {
		t.Errorf("%s, and no mail server has taken the mail", doc.str("status"))
	}
	close(hold)
	eventstest.Wait(t, "the document to be signing", func() bool {
		return u.get(previewPath+"/"+string(doc.sid())).str("status") == "signing"
	})
}

func TestCreate_RejectedEmailIsFailed(t *testing.T) {
	s := newSite(t)
	u := s.user()
	s.box.Script(func(step catcher.Step) error {
		if step.Phase == catcher.RcptTo {
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such user here"}
		}
		return nil
	})
	if doc := u.created(); doc.str("status") != "failed" {
		t.Errorf("%s, and the mail server has refused the mail for good", doc.str("status"))
	}
}

// TestFetch_UpstreamEventsAreSeen reads a document that an upstream service created.
func TestFetch_UpstreamEventsAreSeen(t *testing.T) {
	s := newSite(t)
	u := s.user()
	sid := newSID("PX")
	s.append(events.Created("/orders", "1", u.sid, sid, workflow.Created{
		AddressSID: newSID("AD"), Email: "owner@example.com", HostedNumberOrderSIDs: []workflow.SID{newSID("HR")}, Hold: true,
	}))
	got := u.want(u.get(v2Path+"/"+string(sid)), 200, 0)
	if got.str("status") != "opened" || !strings.Contains(got.raw, `"cc_emails":[]`) {
		t.Error(got.raw)
	}
}
