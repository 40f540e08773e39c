package api_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

const (
	previewOrders = "/HostedNumbers/HostedNumberOrders"
	v2Orders      = "/v2/HostedNumber/Orders"
)

var given atomic.Int64

// number is a telephone number that no order has yet.
func number() string { return fmt.Sprintf("+1415555%04d", 200+given.Add(1)) }

// orderForm is a new order that nothing is wrong with, in both generations.
func (u *user) orderForm(edit ...string) url.Values {
	u.t.Helper()
	f := url.Values{
		"PhoneNumber": {number()}, "SmsCapability": {"true"}, "ContactPhoneNumber": {"+14155550100"}, "ContactTitle": {"Owner"},
		"AddressSid": {string(u.addressed().sid())}, "Email": {"owner@example.com"}, "CcEmails": {"ops@example.com", "legal@example.com"},
		"FriendlyName": {"Front desk"},
	}
	for i := 0; i < len(edit); i += 2 {
		f.Set(edit[i], edit[i+1])
	}
	return f
}

// ordered makes an order.
func (u *user) ordered(edit ...string) reply {
	u.t.Helper()
	return u.want(u.post(previewOrders, u.orderForm(edit...)), 201, 0)
}

// moved reports a status of an order, as the order service does.
func (s *site) moved(u *user, order workflow.SID, status workflow.OrderStatus) {
	s.t.Helper()
	s.append(events.OrderReported("/orders", string(newSID("RQ")), u.sid, order, workflow.OrderStatusChanged{Status: status, FailureReason: "as the test says"}))
}

func TestCreateOrder_AnswersInBothGenerations(t *testing.T) {
	s := newSite(t)
	u := s.user()
	f := u.orderForm(
		"UniqueName", "desk", "SmsUrl", "https://a.example/sms", "SmsMethod", "GET", "SmsFallbackUrl", "https://b.example/sms", "SmsFallbackMethod", "POST",
		"StatusCallbackUrl", "https://c.example/status", "StatusCallbackMethod", "POST", "SmsApplicationSid", string(newSID("AP")), "AccountSid", string(u.sid),
		"VerificationType", "phone-bill", "VerificationDocumentSid", string(newSID("RI")),
	)
	for _, path := range []string{previewOrders, v2Orders} {
		f.Set("PhoneNumber", " 1415-555."+number()[8:])
		f["PhoneNumber"][0] = "+" + f["PhoneNumber"][0][1:]
		r := u.want(u.post(path, f), 201, 0)
		kept, err := s.store.Order(t.Context(), u.sid, r.sid())
		if err != nil {
			t.Fatal(err)
		}
		want := workflow.OrderContent{
			PhoneNumber: strings.NewReplacer("-", "", ".", "").Replace(f.Get("PhoneNumber")), FriendlyName: "Front desk", AddressSID: workflow.SID(f.Get("AddressSid")),
			Email: "owner@example.com", CCEmails: f["CcEmails"], Capabilities: workflow.Capabilities{SMS: true}, SMSApplicationSID: workflow.SID(f.Get("SmsApplicationSid")),
			SMSURL: "https://a.example/sms", SMSMethod: "GET", SMSFallbackURL: "https://b.example/sms", SMSFallbackMethod: "POST",
			StatusCallbackURL: "https://c.example/status", StatusCallbackMethod: "POST",
		}
		if path == previewOrders {
			want.UniqueName, want.VerificationType, want.VerificationDocumentSID = "desk", "phone-bill", workflow.SID(f.Get("VerificationDocumentSid"))
		} else {
			want.ContactTitle, want.ContactPhoneNumber = "Owner", "+14155550100"
		}
		if diff := cmp.Diff(want, kept.OrderContent); diff != "" {
			t.Errorf("%s, kept: %s", path, diff)
		}
		common := map[string]any{
			"sid": string(r.sid()), "account_sid": string(u.sid), "incoming_phone_number_sid": nil, "address_sid": f.Get("AddressSid"), "signing_document_sid": nil,
			"phone_number": want.PhoneNumber, "capabilities": map[string]any{"mms": false, "sms": true, "voice": false, "fax": false}, "friendly_name": "Front desk",
			"status": "received", "failure_reason": "", "date_created": r.body["date_created"], "date_updated": r.body["date_created"], "email": "owner@example.com",
			"cc_emails": []any{"ops@example.com", "legal@example.com"}, "url": u.url + path + "/" + string(r.sid()), "verification_attempts": 0., "verification_code": nil,
		}
		if path == previewOrders {
			for k, v := range map[string]any{
				"unique_name": "desk", "verification_type": "phone-bill", "verification_document_sid": f.Get("VerificationDocumentSid"), "extension": nil,
				"call_delay": 0., "verification_call_sids": nil,
			} {
				common[k] = v
			}
		} else {
			for k, v := range map[string]any{
				"bulk_hosting_request_sid": nil, "next_step": nil, "contact_title": "Owner", "contact_phone_number": "+14155550100", "verification_type": "phone-call",
				"verification_call_sids": []any{}, "verification_call_delay": 0., "verification_call_extension": nil,
			} {
				common[k] = v
			}
		}
		if diff := cmp.Diff(common, r.body); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
		if diff := cmp.Diff(common, u.want(u.get(path+"/"+string(r.sid())), 200, 0).body); diff != "" {
			t.Errorf("fetched at %s: %s", path, diff)
		}
		f.Del("UniqueName")
	}
}

// TestCreateOrder_Least gives only what each generation requires, and nothing of it.
func TestCreateOrder_Least(t *testing.T) {
	s := newSite(t)
	u := s.user()
	for path, required := range map[string][]string{
		previewOrders: {"PhoneNumber", "SmsCapability"}, v2Orders: {"PhoneNumber", "ContactPhoneNumber", "AddressSid", "Email"},
	} {
		whole := u.orderForm()
		least := url.Values{}
		for _, name := range required {
			least.Set(name, whole.Get(name))
		}
		r := u.want(u.post(path, least), 201, 0)
		if r.body["friendly_name"] != nil || !cmp.Equal(r.body["cc_emails"], []any{}) || r.body["capabilities"].(map[string]any)["sms"] != true {
			t.Errorf("%s: %s", path, r.raw)
		}
		for _, name := range required {
			f := u.orderForm()
			f.Del(name)
			if r := u.want(u.post(path, f), 400, 20001); r.str("message") != "Missing required parameter "+name+" in the post body" {
				t.Errorf("%s without %s: %s", path, name, r.raw)
			}
		}
	}
}

func TestCreateOrder_Refused(t *testing.T) {
	s := newSite(t)
	u, other := s.user(), s.user()
	for _, c := range []struct {
		name, value string
		code        [2]int // in preview and in v2; 0 if it is ignored there
	}{
		{"PhoneNumber", "", [2]int{22102, 22102}},
		{"PhoneNumber", "4155550100", [2]int{22102, 22102}},
		{"PhoneNumber", "+1999", [2]int{22102, 22102}},
		{"PhoneNumber", " 14155550100", [2]int{22102, 22102}},
		{"ContactPhoneNumber", "", [2]int{0, 22102}},
		{"ContactPhoneNumber", "x", [2]int{0, 22102}},
		{"SmsCapability", "false", [2]int{22119, 22119}},
		{"SmsCapability", "False", [2]int{22119, 22119}},
		{"SmsCapability", "", [2]int{22119, 22119}},
		{"SmsCapability", "yes", [2]int{22119, 22119}},
		{"AccountSid", string(other.sid), [2]int{22121, 22121}},
		{"AccountSid", "AC1", [2]int{22121, 22121}},
		{"FriendlyName", strings.Repeat("x", 65), [2]int{22116, 0}},
		{"FriendlyName", strings.Repeat("x", 129), [2]int{22116, 22116}},
		{"FriendlyName", "a\x00", [2]int{22116, 22116}},
		{"UniqueName", strings.Repeat("x", 129), [2]int{22115, 0}},
		{"Email", "Email", [2]int{22104, 22104}},
		{"Email", "", [2]int{0, 22104}},
		{"CcEmails", "x", [2]int{22104, 22104}},
		{"AddressSid", "AddressSid", [2]int{22109, 22109}},
		{"AddressSid", string(newSID("AD")), [2]int{22109, 22109}},
		{"AddressSid", string(other.addressed().sid()), [2]int{22109, 22109}},
		{"AddressSid", "", [2]int{0, 22109}},
		{"SmsUrl", "nowhere", [2]int{22105, 22105}},
		{"SmsUrl", "ftp://a.example", [2]int{22105, 22105}},
		{"SmsFallbackUrl", "javascript:alert(1)", [2]int{22105, 22105}},
		{"StatusCallbackUrl", "https://", [2]int{22105, 22105}},
		{"SmsMethod", "PUT", [2]int{22106, 22106}},
		{"SmsFallbackMethod", "get", [2]int{22106, 22106}},
		{"StatusCallbackMethod", "DELETE", [2]int{22106, 22106}},
		{"SmsApplicationSid", "AP1", [2]int{22108, 22108}},
		{"ContactTitle", strings.Repeat("x", 257), [2]int{0, 20001}},
		{"VerificationType", "letter", [2]int{22120, 0}},
		{"VerificationType", "phone-bill", [2]int{22118, 0}},
		{"VerificationDocumentSid", "RI1", [2]int{22118, 0}},
	} {
		for i, path := range []string{previewOrders, v2Orders} {
			r := u.post(path, u.orderForm(c.name, c.value))
			if c.code[i] == 0 {
				u.want(r, 201, 0)
				continue
			}
			u.want(r, 400, c.code[i])
			wantFault(t, c.name, r)
			if !strings.HasPrefix(r.str("message"), c.name) && !strings.HasPrefix(c.name, "VerificationType") {
				t.Errorf("%s %q: %s", c.name, c.value, r.raw)
			}
		}
	}
	if r := u.post(previewOrders, u.orderForm("PhoneNumber", " 14155550100")); !strings.Contains(r.str("message"), "%2B") {
		t.Errorf("a lost plus sign: %s", r.raw)
	}
}

// TestCreateOrder_NumberIsHostedOnce orders a number again: while the account has an
// order of it that did not fail, that is refused. Another account learns nothing.
func TestCreateOrder_NumberIsHostedOnce(t *testing.T) {
	s := newSite(t)
	u, other := s.user(), s.user()
	first := u.ordered("UniqueName", "desk")
	again := u.orderForm("PhoneNumber", first.str("phone_number")[:5]+" "+first.str("phone_number")[5:])
	for _, path := range []string{previewOrders, v2Orders} {
		if r := u.want(u.post(path, again), 400, 22110); !strings.Contains(r.str("message"), string(first.sid())) {
			t.Error(r.raw)
		}
	}
	other.want(other.post(previewOrders, other.orderForm("PhoneNumber", first.str("phone_number"))), 201, 0)
	if r := u.want(u.post(previewOrders, u.orderForm("UniqueName", "desk")), 400, 22115); !strings.Contains(r.str("message"), string(first.sid())) {
		t.Error(r.raw)
	}
	other.ordered("UniqueName", "desk")
	s.moved(u, first.sid(), workflow.OrderFailed)
	u.want(u.post(previewOrders, again), 201, 0)
}

// TestCreateOrder_NumberOfADocument orders a number that another order has on a live
// document. The document is named to its own account only.
func TestCreateOrder_NumberOfADocument(t *testing.T) {
	s := newSite(t)
	u, other := s.user(), s.user()
	taken := number()
	doc := s.upstream(u, 1, func(_ int, b *workflow.Created) {
		b.HostedNumberOrderSIDs, b.HostedNumberOrders = nil, []workflow.OrderRef{{SID: newSID("HR"), PhoneNumber: taken}}
	})[0]
	if r := u.want(u.post(previewOrders, u.orderForm("PhoneNumber", taken)), 400, 22110); !strings.HasPrefix(r.str("message"), "PhoneNumber cannot be hosted") || !strings.Contains(r.str("message"), string(doc)) {
		t.Error(r.raw)
	}
	if r := other.want(other.post(v2Orders, other.orderForm("PhoneNumber", taken)), 400, 22110); strings.Contains(r.raw, string(doc)) || strings.Contains(r.raw, string(u.sid)) {
		t.Error(r.raw)
	}
}

// TestFetchOrder_FollowsItsDocument has an order and its document go their way
// together, from the address to the registration.
func TestFetchOrder_FollowsItsDocument(t *testing.T) {
	s := newSite(t)
	s.append(eventlog.RulesActivated("rules", time.Now(), workflow.RulesActivated{
		Version: 1, ParkingLimitSeconds: 3600, LetterRequires: []workflow.LetterPart{workflow.PartNumber, workflow.PartSubscriber, workflow.PartAddress},
	}))
	u := s.user()
	one := u.ordered()
	f := form("AddressSid", one.str("address_sid"))
	f["HostedNumberOrderSids"] = []string{string(one.sid())}
	doc := u.want(u.post(previewPath, f), 201, 0)
	if doc.str("status") != "signing" {
		t.Errorf("a document that lacks nothing: %s", doc.raw)
	}
	in := func(status string) {
		t.Helper()
		for _, path := range []string{previewOrders, v2Orders} {
			if r := u.want(u.get(path+"/"+string(one.sid())), 200, 0); r.str("status") != status || r.str("signing_document_sid") != string(doc.sid()) {
				t.Errorf("want %s: %s", status, r.raw)
			}
			if got := u.get(path + "?Status=" + status).sids(); len(got) != 1 {
				t.Errorf("listed as %s: %v", status, got)
			}
		}
	}
	in("pending-loa")
	u.want(u.post(previewOrders+"/"+string(one.sid()), url.Values{"Status": {"pending-loa"}}), 200, 0)
	s.sign(u.sid, doc.sid())
	s.seesSigned(u, string(doc.sid()))
	in("carrier-processing")
	u.want(u.do("DELETE", previewOrders+"/"+string(one.sid()), ""), 400, 22112)
	s.moved(u, one.sid(), workflow.OrderCompleted)
	in("completed")

	f = form()
	f["HostedNumberOrderSids"] = []string{string(u.ordered().sid())}
	if r := u.want(u.post(v2Path, f), 201, 0); r.str("status") != "opened" {
		t.Errorf("a document without an address: %s", r.raw)
	}
}

func TestListOrders_PagedAndFiltered(t *testing.T) {
	s := newSite(t)
	u := s.user()
	sids := make([]workflow.SID, 7)
	made := make([]reply, 7)
	for i := range sids {
		made[i] = u.ordered("FriendlyName", fmt.Sprint("desk ", i%2), "UniqueName", fmt.Sprint("n", i))
		sids[i] = made[i].sid()
	}
	s.moved(u, sids[2], workflow.OrderTesting)
	incoming := newSID("PN")
	s.append(events.OrderUpdated("/orders", "pn", u.sid, sids[3], workflow.OrderUpdated{IncomingPhoneNumberSID: &incoming, Capabilities: &workflow.Capabilities{Voice: true}}))
	newest := slices.Clone(sids)
	slices.Reverse(newest)
	for _, path := range []string{previewOrders, v2Orders} {
		pages, last := u.walk(path+"?PageSize=3", "next_page_url")
		want := [][]workflow.SID{newest[:3], newest[3:6], newest[6:]}
		if diff := cmp.Diff(want, pages); diff != "" {
			t.Errorf("%s forth: %s", path, diff)
		}
		back, _ := u.walk(last, "previous_page_url")
		slices.Reverse(back)
		if diff := cmp.Diff(want, back); diff != "" {
			t.Errorf("%s back: %s", path, diff)
		}
		all := map[string][]workflow.SID{
			"Status=received&FriendlyName=desk+0": {sids[6], sids[4], sids[0]}, "Status=testing": {sids[2]}, "Status=twilio-processing": nil,
			"PhoneNumber=" + url.QueryEscape(made[1].str("phone_number")): {sids[1]}, "IncomingPhoneNumberSid=" + string(incoming): {sids[3]},
			"FriendlyName=desk+1": {sids[5], sids[3], sids[1]}, "Status=": newest,
		}
		if path == previewOrders {
			all["UniqueName=n4"], all["SmsCapability=false"] = []workflow.SID{sids[4]}, newest
		} else {
			all["UniqueName=n4"], all["SmsCapability=false"] = newest, []workflow.SID{sids[3]}
			all["SmsCapability=True&FriendlyName=desk+1"] = []workflow.SID{sids[5], sids[1]}
			pages, _ := u.walk(path+"?PageSize=1&SmsCapability=true&FriendlyName=desk+1", "next_page_url")
			if diff := cmp.Diff([][]workflow.SID{{sids[5]}, {sids[1]}}, pages); diff != "" {
				t.Errorf("by capability, in pages: %s", diff)
			}
		}
		for query, want := range all {
			if diff := cmp.Diff(want, u.want(u.get(path+"?"+query), 200, 0).sids()); diff != "" {
				t.Errorf("%s?%s: %s", path, query, diff)
			}
		}
	}
	for query, want := range map[string][2]int{ // codes in preview and v2
		"Status=done": {22111, 22111}, "FriendlyName=" + strings.Repeat("x", 65): {22116, 0}, "FriendlyName=" + strings.Repeat("x", 129): {22116, 22116},
		"UniqueName=" + strings.Repeat("x", 129): {22115, 0}, "IncomingPhoneNumberSid=PN1": {20001, 20001}, "SmsCapability=x": {0, 20001},
		"Page=1": {20001, 20001}, "PageToken=PA" + string(newSID("HR")): {20001, 20001}, "PageToken=PA" + string(newSID("PX")): {20001, 20001},
	} {
		for i, path := range []string{previewOrders, v2Orders} {
			if r := u.get(path + "?" + query); r.code() != want[i] || r.status != 200 && want[i] == 0 {
				t.Errorf("%s?%s: got %d %s, want code %d", path, query, r.status, r.raw, want[i])
			}
		}
	}
}
