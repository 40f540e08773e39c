package api_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twilio/twilio-go"
	restclient "github.com/twilio/twilio-go/client"
	openapi "github.com/twilio/twilio-go/rest/api/v2010"
	numbers "github.com/twilio/twilio-go/rest/numbers/v2"

	"countersign/workflow"
)

// redirect sends what is meant for Twilio's hosts to a site.
type redirect struct {
	to   string
	next http.RoundTripper
}

func (r redirect) RoundTrip(req *http.Request) (*http.Response, error) {
	to, err := url.Parse(r.to)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(req.URL.Host, ".twilio.com") {
		req.URL.Scheme, req.URL.Host, req.Host = to.Scheme, to.Host, to.Host
	}
	return r.next.RoundTrip(req)
}

// twilioGo is twilio-go, pointed at the site.
func (u *user) twilioGo() *twilio.RestClient {
	c := &restclient.Client{
		Credentials: restclient.NewCredentials(u.name, u.secret),
		HTTPClient:  &http.Client{Transport: redirect{u.url, client.Transport}, CheckRedirect: client.CheckRedirect},
	}
	c.SetAccountSid(string(u.sid))
	return twilio.NewRestClientWithParams(twilio.ClientParams{Client: c})
}

// wantRestError checks an error as twilio-go reads it from the body.
func wantRestError(t *testing.T, err error, status, code int) {
	t.Helper()
	var e *restclient.TwilioRestError
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an error of the API with code %d", err, code)
	}
	if e.Status != status || e.Code != code || e.Message == "" || !strings.HasPrefix(e.MoreInfo, "https://www.twilio.com/docs/errors/") {
		t.Errorf("got %+v, want %d and code %d", e, status, code)
	}
}

// twilioGoParams creates a document with two orders and two people in cc.
func twilioGoParams(email string) *numbers.CreateAuthorizationDocumentParams {
	p := &numbers.CreateAuthorizationDocumentParams{}
	return p.SetAddressSid(string(newSID("AD"))).SetEmail(email).SetContactPhoneNumber("+14155550100").
		SetHostedNumberOrderSids([]string{string(newSID("HR")), string(newSID("HR"))}).SetCcEmails([]string{"ops@example.com", "legal@example.com"})
}

func TestHandler_TwilioGo(t *testing.T) {
	s := newSite(t)
	u := s.user()
	api := u.twilioGo().NumbersV2
	var sids []string
	for _, email := range []string{"a@example.com", "b@example.com", "a@example.com", "a@example.com", "a@example.com"} {
		doc, err := api.CreateAuthorizationDocument(twilioGoParams(email))
		if err != nil {
			t.Fatal(err)
		}
		if *doc.Status != "signing" || *doc.Email != email || doc.DateCreated.IsZero() || !strings.HasPrefix(*doc.Url, s.url+v2Path) ||
			!slices.Equal(*doc.CcEmails, []string{"ops@example.com", "legal@example.com"}) {
			t.Errorf("created %+v", doc)
		}
		sids = append(sids, *doc.Sid)
	}
	slices.Reverse(sids)
	doc, err := api.FetchAuthorizationDocument(sids[0])
	if err != nil || *doc.Sid != sids[0] {
		t.Fatalf("fetched %+v, %v", doc, err)
	}
	list := func(p *numbers.ListAuthorizationDocumentParams) (got []string) {
		t.Helper()
		docs, err := api.ListAuthorizationDocument(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			got = append(got, *d.Sid)
		}
		return got
	}
	if diff := cmp.Diff(sids, list((&numbers.ListAuthorizationDocumentParams{}).SetPageSize(2))); diff != "" {
		t.Errorf("listed in pages of 2: %s", diff)
	}
	if diff := cmp.Diff(sids[:3], list((&numbers.ListAuthorizationDocumentParams{}).SetPageSize(2).SetLimit(3))); diff != "" {
		t.Errorf("listed up to 3: %s", diff)
	}
	byEmail := []string{sids[0], sids[1], sids[2], sids[4]}
	if diff := cmp.Diff(byEmail, list((&numbers.ListAuthorizationDocumentParams{}).SetEmail("a@example.com").SetStatus("signing").SetPageSize(1))); diff != "" {
		t.Errorf("listed by signer and status: %s", diff)
	}
	page, err := api.PageAuthorizationDocument((&numbers.ListAuthorizationDocumentParams{}).SetPageSize(2), "PA"+sids[1], "1")
	if err != nil || len(page.Items) != 2 || *page.Items[0].Sid != sids[2] {
		t.Errorf("page by token: %+v, %v", page, err)
	}
}

func TestHandler_TwilioGoOrdersAndErrors(t *testing.T) {
	s := newSite(t)
	u := s.user()
	api := u.twilioGo().NumbersV2
	var sids []string
	for range 2 {
		doc, err := api.CreateAuthorizationDocument(twilioGoParams("a@example.com"))
		if err != nil {
			t.Fatal(err)
		}
		sids = append(sids, *doc.Sid)
	}
	orders := func(sid string) []numbers.NumbersV2DependentHostedNumberOrder {
		t.Helper()
		orders, err := api.ListDependentHostedNumberOrder(sid, (&numbers.ListDependentHostedNumberOrderParams{}).SetPageSize(1))
		if err != nil || len(orders) != 2 {
			t.Fatalf("%d orders, %v", len(orders), err)
		}
		return orders
	}
	if o := orders(sids[0])[0]; *o.Status != "pending-loa" || *o.SigningDocumentSid != sids[0] {
		t.Errorf("an order: %+v", o)
	}
	s.sign(u.sid, workflow.SID(sids[0]))
	s.seesSigned(u, sids[0])
	if o := orders(sids[0])[1]; *o.Status != "carrier-processing" {
		t.Errorf("the document is signed, and its order %s", *o.Status)
	}
	wantRestError(t, api.DeleteAuthorizationDocument(sids[0]), 400, 22107)
	if err := api.DeleteAuthorizationDocument(sids[1]); err != nil {
		t.Error(err)
	}
	if doc, err := api.FetchAuthorizationDocument(sids[1]); err != nil || *doc.Status != "canceled" {
		t.Errorf("deleted, and fetched as %+v, %v", doc, err)
	}
	_, err := api.FetchAuthorizationDocument(string(newSID("PX")))
	wantRestError(t, err, 404, 20404)
	_, err = api.CreateAuthorizationDocument(twilioGoParams("Email"))
	wantRestError(t, err, 400, 22104)
	wrong := *u
	wrong.secret = strings.Repeat("x", 32)
	_, err = wrong.twilioGo().NumbersV2.FetchAuthorizationDocument(sids[0])
	wantRestError(t, err, 401, 20003)
}

// seesSigned waits until a document's orders are on their way to be registered.
func (s *site) seesSigned(u *user, sid string) {
	s.t.Helper()
	waitFor(s.t, "the orders to be registered", func() bool {
		r := u.get(previewPath + "/" + sid + "/DependentHostedNumberOrders?Status=carrier-processing")
		return len(r.sids()) > 0 && len(r.sids()) == len(u.get(previewPath+"/"+sid+"/DependentHostedNumberOrders").sids())
	})
	if got := u.get(previewPath + "/" + sid).str("status"); got != "signed" {
		s.t.Errorf("the document is %s", got)
	}
}

// TestHandler_TwilioGoPreview uses twilio-go's plain requests for the preview: no
// version that can be installed has methods for it.
func TestHandler_TwilioGoPreview(t *testing.T) {
	s := newSite(t)
	u := s.user()
	plain := u.twilioGo().RequestHandler
	at := "https://preview.twilio.com" + previewPath
	headers := func() map[string]any { return map[string]any{"Content-Type": "application/x-www-form-urlencoded"} }
	post := func(path string, form url.Values) (body map[string]any, err error) {
		t.Helper()
		resp, err := plain.Post(at+path, form, headers(), "")
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		return body, json.NewDecoder(resp.Body).Decode(&body)
	}
	doc, err := post("", form())
	if err != nil || doc["status"] != "signing" {
		t.Fatalf("created %v, %v", doc, err)
	}
	sid := "/" + doc["sid"].(string)
	_, err = post(sid, url.Values{"Email": {"other@example.com"}})
	wantRestError(t, err, 400, 22107)
	for _, step := range []struct {
		form   url.Values
		status string
	}{
		{url.Values{"Status": {"opened"}}, "opened"}, {url.Values{"Email": {"other@example.com"}}, "opened"}, {url.Values{"Status": {"signing"}}, "signing"},
	} {
		if doc, err = post(sid, step.form); err != nil || doc["status"] != step.status {
			t.Errorf("%v made %v, %v", step.form, doc, err)
		}
	}
	if doc["email"] != "other@example.com" {
		t.Errorf("updated into %v", doc)
	}
	for range 2 {
		if _, err := post("", form()); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	for next := at + "?PageSize=1"; next != ""; {
		resp, err := plain.Get(next, nil, headers(), "")
		if err != nil {
			t.Fatal(err)
		}
		var page map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		seen += len(page["items"].([]any))
		got, err := restclient.GetNext(at, page, func(url string) (any, error) { return url, nil })
		if err != nil {
			t.Fatal(err)
		}
		next = got.(string)
	}
	if seen != 3 {
		t.Errorf("%d documents over all pages, want 3", seen)
	}
}

// TestHandler_TwilioGoAddresses has twilio-go go through an address's life.
func TestHandler_TwilioGoAddresses(t *testing.T) {
	s := newSite(t)
	u := s.user()
	api := u.twilioGo().Api
	place := func() *openapi.CreateAddressParams {
		return (&openapi.CreateAddressParams{}).SetCustomerName("Bayview Law LLP").SetStreet("1 Market Street").SetCity("San Francisco").SetRegion("CA").
			SetPostalCode("94105").SetIsoCountry("US").SetEmergencyEnabled(true)
	}
	var sids []string
	for range 3 {
		a, err := api.CreateAddress(place())
		if err != nil {
			t.Fatal(err)
		}
		if *a.CustomerName != "Bayview Law LLP" || !*a.EmergencyEnabled || *a.AccountSid != u.name || a.StreetSecondary != nil {
			t.Errorf("created %+v", a)
		}
		sids = append(sids, *a.Sid)
	}
	if a, err := api.UpdateAddress(sids[0], (&openapi.UpdateAddressParams{}).SetCity("Oakland")); err != nil || *a.City != "Oakland" || *a.Street != "1 Market Street" {
		t.Errorf("updated %+v, %v", a, err)
	}
	slices.Reverse(sids)
	list, err := api.ListAddress((&openapi.ListAddressParams{}).SetPageSize(1).SetIsoCountry("US"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range list {
		got = append(got, *a.Sid)
	}
	if diff := cmp.Diff(sids, got); diff != "" {
		t.Errorf("listed in pages of 1: %s", diff)
	}
	if err := api.DeleteAddress(sids[0], nil); err != nil {
		t.Error(err)
	}
	_, err = api.FetchAddress(sids[0], nil)
	wantRestError(t, err, 404, 20404)
	_, err = api.CreateAddress(place().SetIsoCountry("USA"))
	wantRestError(t, err, 400, 21628)
}

// TestHandler_TwilioGoHostedOrders has twilio-go go through an order's life.
func TestHandler_TwilioGoHostedOrders(t *testing.T) {
	s := newSite(t)
	u := s.user()
	api := u.twilioGo().NumbersV2
	order := func() *numbers.CreateHostedNumberOrderParams {
		f := u.orderForm()
		return (&numbers.CreateHostedNumberOrderParams{}).SetPhoneNumber(f.Get("PhoneNumber")).SetContactPhoneNumber("+14155550100").SetAddressSid(f.Get("AddressSid")).
			SetEmail("owner@example.com").SetCcEmails([]string{"ops@example.com"}).SetSmsCapability(true).SetFriendlyName("Front desk")
	}
	var sids []string
	for range 3 {
		o, err := api.CreateHostedNumberOrder(order())
		if err != nil {
			t.Fatal(err)
		}
		if *o.Status != "received" || *o.FriendlyName != "Front desk" || !o.Capabilities.Sms || o.DateCreated.IsZero() || *o.AccountSid != u.name {
			t.Errorf("created %+v", o)
		}
		sids = append(sids, *o.Sid)
	}
	slices.Reverse(sids)
	list, err := api.ListHostedNumberOrder((&numbers.ListHostedNumberOrderParams{}).SetPageSize(1).SetStatus("received").SetSmsCapability(true))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range list {
		got = append(got, *o.Sid)
	}
	if diff := cmp.Diff(sids, got); diff != "" {
		t.Errorf("listed in pages of 1: %s", diff)
	}
	asked := (&numbers.UpdateHostedNumberOrderParams{}).SetStatus("pending-verification").SetVerificationCallDelay(5).SetVerificationCallExtension("7")
	if o, err := api.UpdateHostedNumberOrder(sids[0], asked); err != nil || *o.Status != "pending-verification" || o.VerificationCallDelay != 5 {
		t.Errorf("updated %+v, %v", o, err)
	}
	_, err = api.UpdateHostedNumberOrder(sids[0], (&numbers.UpdateHostedNumberOrderParams{}).SetStatus("completed"))
	wantRestError(t, err, 400, 22112)
	if err := api.DeleteHostedNumberOrder(sids[0]); err != nil {
		t.Error(err)
	}
	_, err = api.FetchHostedNumberOrder(sids[0])
	wantRestError(t, err, 404, 20404)
	_, err = api.CreateHostedNumberOrder(order().SetPhoneNumber("+1999"))
	wantRestError(t, err, 400, 22102)
}
