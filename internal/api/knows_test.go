package api_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/internal/api"
	"countersign/workflow"
)

// TestHandler_AccountsDoNotSeeEachOthersOrders tries everything on another account's
// order.
func TestHandler_AccountsDoNotSeeEachOthersOrders(t *testing.T) {
	s := newSite(t)
	u, other := s.user(), s.user()
	one := u.ordered("UniqueName", "desk")
	for _, path := range []string{previewOrders, v2Orders} {
		at := path + "/" + string(one.sid())
		for what, r := range map[string]reply{
			"fetch": other.get(at), "update": other.post(at, url.Values{"Status": {"pending-verification"}, "FriendlyName": {"mine"}}), "delete": other.do("DELETE", at, ""),
		} {
			if r.status != 404 || r.code() != 20404 || strings.Contains(r.raw, "owner@example.com") {
				t.Errorf("%s: %d %s", what, r.status, r.raw)
			}
		}
		for _, query := range []string{"", "?UniqueName=desk", "?PhoneNumber=" + url.QueryEscape(one.str("phone_number"))} {
			if got := other.get(path + query).sids(); len(got) != 0 {
				t.Errorf("listed by %s: %v", query, got)
			}
		}
		other.want(other.get(path+"?Page=1&PageToken=PA"+string(one.sid())), 400, 20001)
	}
	if r := u.get(previewOrders + "/" + string(one.sid())); r.str("status") != "received" || r.str("friendly_name") != "Front desk" {
		t.Errorf("changed: %s", r.raw)
	}
}

// TestDependents_ShowOrdersOwnFields lists a document with an order that its account
// has created, and one that it has not.
func TestDependents_ShowOrdersOwnFields(t *testing.T) {
	s := newSite(t)
	u := s.user()
	mine := u.ordered("UniqueName", "desk", "Email", "desk@example.com", "CcEmails", "cc@example.com")
	f := form()
	f["HostedNumberOrderSids"] = []string{string(mine.sid()), string(newSID("HR"))}
	doc := u.want(u.post(previewPath, f), 201, 0)
	for _, path := range []string{previewPath, v2Path} {
		at := path + "/" + string(doc.sid()) + "/DependentHostedNumberOrders"
		items := u.want(u.get(at), 200, 0).body["items"].([]any)
		known, unknown := items[0].(map[string]any), items[1].(map[string]any)
		if known["phone_number"] != mine.str("phone_number") || known["friendly_name"] != "Front desk" || known["email"] != "desk@example.com" ||
			known["address_sid"] != mine.str("address_sid") || !cmp.Equal(known["cc_emails"], []any{"cc@example.com"}) {
			t.Errorf("an order of the account: %v", known)
		}
		if unknown["phone_number"] != nil || unknown["friendly_name"] != nil || unknown["email"] != "owner@example.com" || unknown["address_sid"] != f.Get("AddressSid") {
			t.Errorf("an order that nobody created: %v", unknown)
		}
		if path == v2Path && (known["contact_title"] != nil || unknown["contact_title"] != "Owner") {
			t.Errorf("contacts: %v and %v", known["contact_title"], unknown["contact_title"])
		}
		for query, want := range map[string]int{
			"FriendlyName=Front+desk": 1, "PhoneNumber=" + url.QueryEscape(mine.str("phone_number")): 1, "FriendlyName=x": 0,
		} {
			if got := u.get(at + "?" + query).sids(); len(got) != want {
				t.Errorf("%s: %v", query, got)
			}
		}
	}
	if got := u.get(previewPath + "/" + string(doc.sid()) + "/DependentHostedNumberOrders?UniqueName=desk").sids(); len(got) != 1 {
		t.Errorf("by unique name: %v", got)
	}
}

// TestKnows_OnlyWithTheSetting names orders and an address that the account does not
// have: they are refused only if the API accepts nothing else.
func TestKnows_OnlyWithTheSetting(t *testing.T) {
	s := newSite(t, func(c *api.Config) { c.OnlyKnown = true })
	u, other := s.user(), s.user()
	known := form("AddressSid", string(u.addressed().sid()))
	known["HostedNumberOrderSids"] = []string{string(u.ordered().sid()), string(u.ordered().sid())}
	theirs := other.ordered()
	with := func(name, value string) url.Values {
		f := url.Values{}
		for k, v := range known {
			f[k] = slices.Clone(v)
		}
		f[name][len(f[name])-1] = value
		return f
	}
	for _, path := range []string{previewPath, v2Path} {
		for _, c := range []struct {
			name, value string
			code        int
		}{
			{"HostedNumberOrderSids", string(newSID("HR")), 22101},
			{"HostedNumberOrderSids", string(theirs.sid()), 22101},
			{"AddressSid", string(newSID("AD")), 22109},
			{"AddressSid", theirs.str("address_sid"), 22109},
			{"AddressSid", "", 22109},
		} {
			r := u.want(u.post(path, with(c.name, c.value)), 400, c.code)
			if !strings.Contains(r.str("message"), c.value) {
				t.Errorf("%s: %s", c.name, r.raw)
			}
		}
	}
	doc := u.want(u.post(previewPath, known, "Idempotency-Key", "k"), 201, 0)
	at := previewPath + "/" + string(doc.sid())
	u.want(u.post(at, url.Values{"Status": {"opened"}, "AddressSid": {string(newSID("AD"))}}), 400, 22109)
	u.want(u.post(at, url.Values{"HostedNumberOrderSids": {string(theirs.sid())}}), 400, 22101)
	u.want(u.do("DELETE", previewOrders+"/"+known["HostedNumberOrderSids"][0], ""), 204, 0)
	u.want(u.post(previewPath, known, "Idempotency-Key", "k"), 201, 0) // sent again, for what is there
	u.want(u.post(previewPath, known), 400, 22101)
	_, accepting := s.serve(s.store)
	u.want(u.post(accepting+previewPath, form()), 201, 0)
}

// TestFetchOrder_ReadAfterWriteThroughAnotherWorker sends the sequence of an answer to
// a worker that has not read the log.
func TestFetchOrder_ReadAfterWriteThroughAnotherWorker(t *testing.T) {
	s := newSite(t)
	u := s.user()
	one := u.ordered()
	second, _ := s.follower()
	_, other := s.serve(second)
	r := u.want(u.get(other+previewOrders+"/"+string(one.sid()), "X-Min-Log-Sequence", one.header.Get("X-Log-Sequence")), 200, 0)
	if r.sid() != one.sid() {
		t.Error(r.raw)
	}
	u.want(u.get(other+u.addresses(workflow.SID(one.str("address_sid"))), "X-Min-Log-Sequence", one.header.Get("X-Log-Sequence")), 200, 0)
	u.want(u.get(other+previewOrders, "X-Min-Log-Sequence", "x"), 400, 20001)
}
