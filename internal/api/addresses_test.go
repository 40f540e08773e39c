package api_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/events"
	"countersign/workflow"
)

// addresses is the path of the user's addresses.
func (u *user) addresses(sid ...workflow.SID) string {
	path := "/2010-04-01/Accounts/" + string(u.sid) + "/Addresses"
	for _, s := range sid {
		path += "/" + string(s)
	}
	return path + ".json"
}

// addressForm is a new address that nothing is wrong with.
func addressForm(edit ...string) url.Values {
	f := url.Values{
		"CustomerName": {"Bayview Law LLP"}, "Street": {"1 Market Street"}, "StreetSecondary": {"Suite 5"}, "City": {"San Francisco"}, "Region": {"CA"},
		"PostalCode": {"94105"}, "IsoCountry": {"US"}, "FriendlyName": {"Office"}, "EmergencyEnabled": {"false"}, "AutoCorrectAddress": {"true"},
	}
	for i := 0; i < len(edit); i += 2 {
		f.Set(edit[i], edit[i+1])
	}
	return f
}

// addressed makes an address.
func (u *user) addressed(edit ...string) reply {
	u.t.Helper()
	return u.want(u.post(u.addresses(), addressForm(edit...)), 201, 0)
}

// places are the sids of a list of addresses.
func (r reply) places() (out []workflow.SID) {
	items, _ := r.body["addresses"].([]any)
	for _, item := range items {
		out = append(out, workflow.SID(item.(map[string]any)["sid"].(string)))
	}
	return out
}

func TestCreateAddress_IsOnTheLogAndInTheAnswer(t *testing.T) {
	s := newSite(t)
	u := s.user()
	a := u.addressed("IsoCountry", "us", "EmergencyEnabled", "True", "AutoCorrectAddress", "")
	want := map[string]any{
		"account_sid": string(u.sid), "city": "San Francisco", "customer_name": "Bayview Law LLP", "date_created": a.body["date_created"],
		"date_updated": a.body["date_updated"], "emergency_enabled": true, "friendly_name": "Office", "iso_country": "US", "postal_code": "94105",
		"region": "CA", "sid": string(a.sid()), "street": "1 Market Street", "street_secondary": "Suite 5", "validated": false, "verified": false,
		"uri": u.addresses(a.sid()),
	}
	if diff := cmp.Diff(want, a.body); diff != "" {
		t.Error(diff)
	}
	kept, err := s.store.Address(t.Context(), u.sid, a.sid())
	if err != nil || kept.CustomerName != "Bayview Law LLP" || !kept.EmergencyEnabled || !kept.AutoCorrect {
		t.Errorf("kept %+v, %v", kept, err)
	}
	bare := addressForm()
	for _, name := range []string{"StreetSecondary", "FriendlyName", "EmergencyEnabled", "AutoCorrectAddress"} {
		bare.Del(name)
	}
	if r := u.want(u.post(u.addresses(), bare), 201, 0); r.body["street_secondary"] != nil || r.body["friendly_name"] != nil || r.body["emergency_enabled"] != false {
		t.Errorf("what is not given: %s", r.raw)
	}
}

// TestCreateAddress_Refused lacks each required field, and has values that no address
// can have.
func TestCreateAddress_Refused(t *testing.T) {
	s := newSite(t)
	u := s.user()
	for _, name := range []string{"CustomerName", "Street", "City", "Region", "PostalCode", "IsoCountry"} {
		f := addressForm()
		f.Del(name)
		if r := u.want(u.post(u.addresses(), f), 400, 20001); !strings.Contains(r.str("message"), name) {
			t.Errorf("without %s: %s", name, r.raw)
		}
		for _, value := range []string{"", strings.Repeat("x", 300), "a\x00b"} {
			r := u.want(u.post(u.addresses(), addressForm(name, value)), 400, 21628)
			wantFault(t, name, r)
			if !strings.HasPrefix(r.str("message"), name+" is not valid: ") {
				t.Errorf("%s %.10q: %s", name, value, r.raw)
			}
		}
	}
	for _, c := range []struct {
		name, value string
		code        int
	}{
		{"IsoCountry", "USA", 21628},
		{"IsoCountry", "1", 21628},
		{"StreetSecondary", strings.Repeat("x", 300), 21628},
		{"FriendlyName", strings.Repeat("x", 129), 20001},
		{"EmergencyEnabled", "yes", 20001},
		{"AutoCorrectAddress", "2", 20001},
	} {
		u.want(u.post(u.addresses(), addressForm(c.name, c.value)), 400, c.code)
	}
	twice := addressForm()
	twice.Add("City", "Oakland")
	u.want(u.post(u.addresses(), twice), 400, 20001)
	if got := u.get(u.addresses()).places(); len(got) != 0 {
		t.Errorf("there are %v", got)
	}
}

func TestUpdateAddress_ChangesWhatIsGiven(t *testing.T) {
	s := newSite(t)
	u := s.user()
	a := u.addressed()
	at := u.addresses(a.sid())
	for name, key := range map[string]string{
		"CustomerName": "customer_name", "Street": "street", "StreetSecondary": "street_secondary", "City": "city", "Region": "region",
		"PostalCode": "postal_code", "FriendlyName": "friendly_name",
	} {
		want := u.get(at)
		r := u.want(u.post(at, url.Values{name: {"new"}}), 200, 0)
		want.body[key], want.body["date_updated"] = "new", r.body["date_updated"]
		if diff := cmp.Diff(want.body, r.body); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if r := u.want(u.post(at, url.Values{"EmergencyEnabled": {"true"}}), 200, 0); r.body["emergency_enabled"] != true {
		t.Error(r.raw)
	}
	if r := u.want(u.post(at, url.Values{"StreetSecondary": {""}, "IsoCountry": {"CA"}}), 200, 0); r.body["street_secondary"] != nil || r.str("iso_country") != "US" {
		t.Error(r.raw)
	}
	u.want(u.post(at, url.Values{}), 200, 0)
	u.want(u.post(at, url.Values{"Street": {""}}), 400, 21628)
	u.want(u.post(at, url.Values{"City": {"\u202e"}}), 400, 21628)
	u.want(u.post(u.addresses(newSID("AD")), url.Values{"City": {"x"}}), 404, 20404)
}

func TestRemoveAddress_IsGoneForItsAccount(t *testing.T) {
	s := newSite(t)
	u := s.user()
	a := u.addressed()
	at := u.addresses(a.sid())
	if r := u.want(u.do("DELETE", at, ""), 204, 0); r.raw != "" {
		t.Errorf("body %q", r.raw)
	}
	for _, r := range []reply{u.get(at), u.post(at, url.Values{"City": {"x"}}), u.do("DELETE", at, "")} {
		u.want(r, 404, 20404)
	}
	if got := u.get(u.addresses()).places(); len(got) != 0 {
		t.Errorf("listed: %v", got)
	}
}

// TestListAddresses_PagedBothWays walks the list of 2010 by its URIs, which are paths.
func TestListAddresses_PagedBothWays(t *testing.T) {
	s := newSite(t)
	u := s.user()
	sids := make([]workflow.SID, 7)
	for i := range sids {
		sids[i] = u.addressed().sid()
	}
	slices.Reverse(sids)
	walk := func(from, by string) (pages [][]workflow.SID, last string) {
		t.Helper()
		for next := from; next != ""; {
			r := u.want(u.get(next), 200, 0)
			n := len(r.places())
			if page := int(r.body["page"].(float64)); r.body["page_size"] != 3. || r.body["start"] != float64(3*page) || r.body["end"] != float64(3*page+n-1) {
				t.Errorf("%s: page %v of %v, %v to %v", next, r.body["page"], r.body["page_size"], r.body["start"], r.body["end"])
			}
			pages, last, next = append(pages, r.places()), next, r.str(by)
			if next != "" && !strings.HasPrefix(next, "/2010-04-01/Accounts/"+string(u.sid)+"/Addresses.json?FriendlyName=Office&PageSize=3&Page=") {
				t.Fatalf("%s: %s", by, next)
			}
		}
		return pages, last
	}
	want := [][]workflow.SID{sids[:3], sids[3:6], sids[6:]}
	pages, last := walk(u.addresses()+"?PageSize=3&FriendlyName=Office", "next_page_uri")
	if diff := cmp.Diff(want, pages); diff != "" {
		t.Errorf("forth: %s", diff)
	}
	pages, _ = walk(last, "previous_page_uri")
	slices.Reverse(pages)
	if diff := cmp.Diff(want, pages); diff != "" {
		t.Errorf("back: %s", diff)
	}
	empty := u.want(u.get(u.addresses()+"?FriendlyName=None"), 200, 0)
	if empty.body["start"] != 0. || empty.body["end"] != 0. || empty.body["next_page_uri"] != nil || empty.body["previous_page_uri"] != nil || empty.places() != nil {
		t.Errorf("an empty list: %s", empty.raw)
	}
}

func TestListAddresses_Filters(t *testing.T) {
	s := newSite(t)
	u := s.user()
	a := u.addressed("FriendlyName", "a", "CustomerName", "One & Co").sid()
	b := u.addressed("FriendlyName", "b", "IsoCountry", "CA").sid()
	c := u.addressed("FriendlyName", "a", "EmergencyEnabled", "true").sid()
	for query, want := range map[string][]workflow.SID{
		"":                                   {c, b, a},
		"FriendlyName=a":                     {c, a},
		"CustomerName=One+%26+Co":            {a},
		"FriendlyName=a&CustomerName=Nobody": nil,
		"IsoCountry=CA":                      {b},
		"IsoCountry=ca":                      {b},
		"EmergencyEnabled=true":              {c},
		"EmergencyEnabled=False":             {b, a},
		"EmergencyEnabled=":                  {c, b, a},
	} {
		if diff := cmp.Diff(want, u.want(u.get(u.addresses()+"?"+query), 200, 0).places()); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	for _, query := range []string{"EmergencyEnabled=x", "Page=1", "PageToken=PA" + string(newSID("AD")), "PageToken=PA" + string(newSID("HR")), "FriendlyName=a&FriendlyName=b"} {
		u.want(u.get(u.addresses()+"?"+query), 400, 20001)
	}
	if r := u.want(u.get(u.addresses()+"?Page=9223372036854775807&PageToken=PA"+string(c)), 200, 0); r.body["start"].(float64) < 0 || r.body["end"].(float64) < 0 {
		t.Error(r.raw)
	}
}

// TestFind_AnotherAccountsPath asks for another account by its path, with good
// credentials of one's own: it is not found, and nothing says whether it exists.
func TestFind_AnotherAccountsPath(t *testing.T) {
	s := newSite(t)
	u, other := s.user(), s.user()
	a := u.addressed()
	for _, sid := range []workflow.SID{u.sid, newSID("AC")} {
		theirs := *other
		theirs.sid = sid
		for _, r := range []reply{
			other.get(theirs.addresses()), other.post(theirs.addresses(), addressForm()), other.get(theirs.addresses(a.sid())),
			other.post(theirs.addresses(a.sid()), url.Values{"City": {"x"}}), other.do("DELETE", theirs.addresses(a.sid()), ""),
		} {
			u.want(r, 404, 20404)
			wantFault(t, "another account's", r)
		}
	}
	for _, r := range []reply{
		other.get(other.addresses(a.sid())), other.post(other.addresses(a.sid()), url.Values{"City": {"x"}}), other.do("DELETE", other.addresses(a.sid()), ""),
	} {
		u.want(r, 404, 20404)
	}
	if got := u.get(u.addresses(a.sid())).str("city"); got != "San Francisco" {
		t.Errorf("city %s", got)
	}
	key, secret, err := s.files.AddKey(u.sid)
	if err != nil {
		t.Fatal(err)
	}
	byKey := *u
	byKey.name, byKey.secret = string(key), secret
	byKey.want(byKey.get(u.addresses(a.sid())), 200, 0)
}

// TestIdentity_OfAddressesAndOrders sends the same request under the same key again,
// another one, and the same after what it made was deleted.
func TestIdentity_OfAddressesAndOrders(t *testing.T) {
	s := newSite(t)
	u, other := s.user(), s.user()
	for _, c := range []struct {
		path, name, letters string
		form                url.Values
	}{
		{u.addresses(), "City", "AD", addressForm()},
		{previewOrders, "FriendlyName", "HR", u.orderForm()},
		{v2Orders, "FriendlyName", "HR", u.orderForm()},
	} {
		key := []string{"Idempotency-Key", "k " + c.path}
		key[1] = strings.ReplaceAll(key[1], " ", "")
		first := u.want(u.post(c.path, c.form, key...), 201, 0)
		again := u.want(u.post(c.path, c.form, key...), 201, 0)
		if first.sid() != again.sid() || !strings.HasPrefix(string(first.sid()), c.letters) {
			t.Errorf("%s made %s, then %s", c.path, first.sid(), again.sid())
		}
		changed := url.Values{}
		for k, v := range c.form {
			changed[k] = v
		}
		changed.Set(c.name, "Other")
		u.want(u.post(c.path, changed, key...), 400, 20001)
		u.want(u.post(c.path, c.form, "Idempotency-Key", "a b"), 400, 20001)
		at := strings.TrimSuffix(c.path, ".json") + "/" + string(first.sid()) + c.path[len(strings.TrimSuffix(c.path, ".json")):]
		u.want(u.do("DELETE", at, ""), 204, 0)
		u.want(u.post(c.path, c.form, key...), 400, 20001)
	}
	if a, b := u.post(u.addresses(), addressForm(), "Idempotency-Key", "same"), other.post(other.addresses(), addressForm(), "Idempotency-Key", "same"); a.sid() == b.sid() {
		t.Errorf("two accounts made %s under one key", a.sid())
	}
}

// TestFetchAddress_FromEvents shows an address of which an upstream service has said
// almost nothing.
func TestFetchAddress_FromEvents(t *testing.T) {
	s := newSite(t)
	u := s.user()
	sid := newSID("AD")
	s.append(events.AddressCreated("/crm", string(sid), u.sid, sid, workflow.AddressCreated{AddressContent: workflow.AddressContent{Street: "1 Market Street"}}))
	r := u.want(u.get(u.addresses(sid)), 200, 0)
	if r.str("street") != "1 Market Street" || r.body["city"] != nil || r.body["iso_country"] != nil {
		t.Error(r.raw)
	}
	readTwilios(t, "2010-addresses").check("get /2010-04-01/Accounts/{AccountSid}/Addresses/{Sid}.json", r)
}
