package api_test

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/events"
	"countersign/workflow"
)

// upstream puts documents on the log that an upstream service creates, and
// holds; the first is the oldest.
func (s *site) upstream(u *user, n int, edit func(i int, b *workflow.Created)) []workflow.SID {
	s.t.Helper()
	sids := make([]workflow.SID, n)
	for i := range n {
		sids[i] = newSID("PX")
		b := workflow.Created{AddressSID: newSID("AD"), Email: "owner@example.com", HostedNumberOrderSIDs: []workflow.SID{newSID("HR")}, Hold: true}
		if edit != nil {
			edit(i, &b)
		}
		s.append(events.Created("/orders", string(sids[i]), u.sid, sids[i], b))
	}
	return sids
}

// sids of a list's items.
func (r reply) sids() (out []workflow.SID) {
	items, _ := r.body["items"].([]any)
	for _, item := range items {
		out = append(out, workflow.SID(item.(map[string]any)["sid"].(string)))
	}
	return out
}

func (r reply) meta(key string) string {
	s, _ := r.body["meta"].(map[string]any)[key].(string)
	return s
}

// walk follows a list's pages, by next_page_url or previous_page_url, and
// returns the sids of each.
func (u *user) walk(from, by string) (pages [][]workflow.SID, last string) {
	u.t.Helper()
	for next := from; next != ""; {
		r := u.want(u.get(next), 200, 0)
		pages, last = append(pages, r.sids()), next
		next = r.meta(by)
	}
	return pages, last
}

func TestList_PagedBothWays(t *testing.T) {
	s := newSite(t)
	u := s.user()
	sids := s.upstream(u, 7, nil)
	slices.Reverse(sids)
	want := [][]workflow.SID{sids[:3], sids[3:6], sids[6:]}
	for _, path := range []string{previewPath, v2Path} {
		pages, last := u.walk(path+"?PageSize=3", "next_page_url")
		if diff := cmp.Diff(want, pages); diff != "" {
			t.Errorf("%s forth: %s", path, diff)
		}
		back, _ := u.walk(last, "previous_page_url")
		slices.Reverse(back)
		if diff := cmp.Diff(want, back); diff != "" {
			t.Errorf("%s back: %s", path, diff)
		}
	}
	first := u.get(previewPath + "?PageSize=3")
	second := first.meta("next_page_url")
	s.upstream(u, 2, nil)
	if diff := cmp.Diff(want[1], u.get(second).sids()); diff != "" {
		t.Errorf("the second page changed while documents arrived: %s", diff)
	}
}

func TestList_MetaHasItsSevenKeys(t *testing.T) {
	s := newSite(t)
	u := s.user()
	at := s.url + previewPath + "?Status=opened&Email=test%2Bhosted%40example.com&PageSize=2&Page="
	query := previewPath + "?Email=test%2Bhosted%40example.com&PageSize=2&Status=opened"
	empty := map[string]any{
		"first_page_url": at + "0", "key": "items", "next_page_url": nil, "page": 0.0, "page_size": 2.0, "previous_page_url": nil, "url": at + "0",
	}
	if diff := cmp.Diff(map[string]any{"meta": empty, "items": []any{}}, u.get(query).body); diff != "" {
		t.Error(diff)
	}
	sids := s.upstream(u, 5, func(_ int, b *workflow.Created) { b.Email = "test+hosted@example.com" })
	slices.Reverse(sids)
	middle := u.get(u.get(query).meta("next_page_url")).body["meta"]
	want := map[string]any{
		"first_page_url": at + "0", "key": "items", "page": 1.0, "page_size": 2.0,
		"url":               at + "1&PageToken=PA" + string(sids[1]),
		"next_page_url":     at + "2&PageToken=PA" + string(sids[3]),
		"previous_page_url": at + "0&PageToken=PB" + string(sids[2]),
	}
	if diff := cmp.Diff(any(want), middle); diff != "" {
		t.Error(diff)
	}
}

func TestList_Filters(t *testing.T) {
	s := newSite(t)
	u := s.user()
	sids := s.upstream(u, 4, func(i int, b *workflow.Created) {
		b.Email = []string{"a@example.com", "b@example.com", "a@example.com", "a@exämple.com"}[i]
	})
	s.append(events.StatusChanged("/orders", "cancel", u.sid, sids[2], workflow.StatusChanged{Status: workflow.Canceled}))
	for query, want := range map[string][]workflow.SID{
		"":                      {sids[3], sids[2], sids[1], sids[0]},
		"Email=&Status=":        {sids[3], sids[2], sids[1], sids[0]},
		"Email=a%40example.com": {sids[2], sids[0]},
		"Email=a%40EXAMPLE.com": {sids[2], sids[0]},
		"Email=A%40example.com": nil,
		"Email=" + url.QueryEscape(` "a"@Example.com `): {sids[2], sids[0]}, // one mailbox, one spelling
		"Email=" + url.QueryEscape("a@exämple.com"):     {sids[3]},
		"Status=canceled":                     {sids[2]},
		"Status=opened&Email=a%40example.com": {sids[0]},
		"Status=signed":                       nil,
		"Unknown=1&Unknown=2":                 {sids[3], sids[2], sids[1], sids[0]},
	} {
		if diff := cmp.Diff(want, u.want(u.get(previewPath+"?"+query), 200, 0).sids()); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

func TestList_Parameters(t *testing.T) {
	s := newSite(t)
	u, other := s.user(), s.user()
	mine := s.upstream(u, 3, nil)
	theirs := s.upstream(other, 1, nil)
	for query, want := range map[string]struct{ code, size int }{
		"":                                      {0, 50},
		"PageSize=":                             {0, 50},
		"PageSize=1":                            {0, 1},
		"PageSize=0":                            {0, 1},
		"PageSize=-5":                           {0, 1},
		"PageSize=1000":                         {0, 1000},
		"PageSize=5000":                         {0, 1000},
		"PageSize=99999999999999999999":         {0, 1000},
		"PageSize=-99999999999999999999":        {0, 1},
		"PageSize=many":                         {20001, 0},
		"PageSize=1&PageSize=2":                 {20001, 0},
		"Page=0":                                {0, 50},
		"Page=1":                                {20001, 0},
		"Page=x":                                {20001, 0},
		"PageToken=":                            {0, 50},
		"PageToken=x":                           {20001, 0},
		"PageToken=PA":                          {20001, 0},
		"PageToken=PC" + string(mine[0]):        {20001, 0},
		"Page=1&PageToken=PA" + string(mine[2]): {0, 50},
		"PageToken=PA" + string(mine[2]):        {0, 50},
		"Page=1&PageToken=PA" + string(newSID("PX")): {20001, 0},
		"Page=1&PageToken=PA" + string(theirs[0]):    {20001, 0},
		"Page=1&PageToken=PB" + string(theirs[0]):    {20001, 0},
		"Page=1&PageToken=PA" + string(newSID("HR")): {20001, 0},
		"Status=done":                 {20001, 0},
		"Status=opened&Status=opened": {20001, 0},
		"Email=a%4":                   {20001, 0},
		"a=1;b=2":                     {20001, 0},
		"Email=%ff":                   {20001, 0},
	} {
		r := u.get(previewPath + "?" + query)
		status := 200
		if want.code != 0 {
			status = 400
		}
		if r.status != status || r.code() != want.code {
			t.Errorf("%s: got %d %s, want %d and code %d", query, r.status, r.raw, status, want.code)
			continue
		}
		if want.code == 0 && r.body["meta"].(map[string]any)["page_size"] != float64(want.size) {
			t.Errorf("%s: page size %v, want %d", query, r.body["meta"], want.size)
		}
	}
	if r := u.get(previewPath + "?Page=1"); r.str("message") != "PageToken is required for paging." {
		t.Error(r.raw)
	}
}

// TestDependents_Orders checks the fields of each generation, with and without
// what events tell.
func TestDependents_Orders(t *testing.T) {
	s := newSite(t)
	u := s.user()
	doc := u.created("CcEmails", "ops@example.com", "AddressSid", "AD000102030405060708090a0b0c0d0e0f")
	hr := u.get(previewPath + "/" + string(doc.sid()) + "/DependentHostedNumberOrders").sids()[0]
	s.append(events.OrderStatusChanged("/orders", "1", u.sid, doc.sid(), hr, workflow.OrderStatusChanged{
		Status: workflow.OrderFailed, PhoneNumber: "+14155550100", FailureReason: "no such line",
	}))
	common := map[string]any{
		"sid": string(hr), "account_sid": string(u.sid), "incoming_phone_number_sid": nil, "address_sid": "AD000102030405060708090a0b0c0d0e0f",
		"signing_document_sid": string(doc.sid()), "phone_number": "+14155550100", "friendly_name": nil, "status": "failed",
		"capabilities":   map[string]any{"mms": false, "sms": true, "voice": false, "fax": false},
		"failure_reason": "no such line", "email": "owner@example.com", "cc_emails": []any{"ops@example.com"},
	}
	for path, own := range map[string]map[string]any{
		previewPath: {
			"unique_name": nil, "verification_attempts": 0.0, "verification_type": "phone-call", "verification_document_sid": nil,
			"extension": nil, "call_delay": 0.0, "verification_code": nil, "verification_call_sids": nil,
		},
		v2Path: {
			"bulk_hosting_request_sid": nil, "next_step": nil, "contact_title": "Owner", "contact_phone_number": "+14155550100",
		},
	} {
		r := u.want(u.get(path+"/"+string(doc.sid())+"/DependentHostedNumberOrders"), 200, 0)
		got := r.body["items"].([]any)[0].(map[string]any)
		for _, key := range []string{"date_created", "date_updated"} {
			if !datePattern.MatchString(got[key].(string)) {
				t.Errorf("%s: %s is %q", path, key, got[key])
			}
			delete(got, key)
		}
		want := maps.Clone(common)
		maps.Copy(want, own)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
		if second := r.body["items"].([]any)[1:]; len(second) != 1 && path == v2Path {
			continue
		}
	}
	u.want(u.do("DELETE", v2Path+"/"+string(doc.sid()), ""), 204, 0)
	r := u.get(v2Path + "/" + string(doc.sid()) + "/DependentHostedNumberOrders")
	if got := r.body["items"].([]any)[0].(map[string]any)["signing_document_sid"]; got != nil {
		t.Errorf("the document is canceled, and its order's signing_document_sid %v", got)
	}
}

func TestDependents_PagedAndFiltered(t *testing.T) {
	s := newSite(t)
	u := s.user()
	var orders []workflow.SID
	sid := s.upstream(u, 1, func(_ int, b *workflow.Created) {
		b.HostedNumberOrderSIDs = nil
		for i := range 7 {
			orders = append(orders, newSID("HR"))
			b.HostedNumberOrders = append(b.HostedNumberOrders, workflow.OrderRef{SID: orders[i], PhoneNumber: fmt.Sprintf("+1415555010%d", i)})
		}
	})[0]
	for _, i := range []int{1, 4, 5} {
		s.append(events.OrderStatusChanged("/orders", fmt.Sprint(i), u.sid, sid, orders[i], workflow.OrderStatusChanged{Status: workflow.OrderTesting}))
	}
	path := previewPath + "/" + string(sid) + "/DependentHostedNumberOrders"
	pages, last := u.walk(path+"?PageSize=3", "next_page_url")
	if diff := cmp.Diff([][]workflow.SID{orders[:3], orders[3:6], orders[6:]}, pages); diff != "" {
		t.Error(diff)
	}
	back, _ := u.walk(last, "previous_page_url")
	if diff := cmp.Diff([][]workflow.SID{orders[6:], orders[3:6], orders[:3]}, back); diff != "" {
		t.Error(diff)
	}
	pages, _ = u.walk(path+"?PageSize=2&Status=testing", "next_page_url")
	if diff := cmp.Diff([][]workflow.SID{{orders[1], orders[4]}, {orders[5]}}, pages); diff != "" {
		t.Error(diff)
	}
	for query, want := range map[string][]workflow.SID{
		"PhoneNumber=%2B14155550102":                     {orders[2]},
		"PhoneNumber=%2B14155550104&Status=testing":      {orders[4]},
		"PhoneNumber=%2B14155550102&Status=testing":      nil,
		"FriendlyName=x":                                 nil,
		"UniqueName=x":                                   nil,
		"IncomingPhoneNumberSid=" + string(newSID("PN")): nil,
	} {
		if diff := cmp.Diff(want, u.want(u.get(path+"?"+query), 200, 0).sids()); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	for query, want := range map[string][2]int{ // codes in preview and v2
		"Status=testing": {0, 22111},
		"Status=done":    {22111, 22111},
		"FriendlyName=" + strings.Repeat("x", 65):      {22116, 0},
		"FriendlyName=" + strings.Repeat("x", 129):     {22116, 22116},
		"UniqueName=" + strings.Repeat("x", 129):       {22115, 0},
		"IncomingPhoneNumberSid=PN1":                   {20001, 20001},
		"Page=1":                                       {20001, 20001},
		"PageToken=PA" + string(newSID("HR")):          {20001, 20001},
		"PageToken=PA" + string(sid):                   {20001, 20001},
		"PageToken=PA" + string(orders[0]) + "&Page=1": {0, 0},
	} {
		for i, base := range []string{previewPath, v2Path} {
			status := 200
			if want[i] != 0 {
				status = 400
			}
			r := u.get(base + "/" + string(sid) + "/DependentHostedNumberOrders?" + query)
			if r.status != status || r.code() != want[i] {
				t.Errorf("%s at %s: got %d %s, want code %d", query, base, r.status, r.raw, want[i])
			}
		}
	}
}
