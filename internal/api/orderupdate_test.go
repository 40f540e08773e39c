package api_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/events"
	"countersign/workflow"
)

func TestUpdateOrder_ChangesWhatIsGiven(t *testing.T) {
	s := newSite(t)
	u := s.user()
	one := u.ordered("UniqueName", "desk")
	at := previewOrders + "/" + string(one.sid())
	bill := string(newSID("RI"))
	for _, c := range []struct {
		form url.Values
		key  string
		want any
	}{
		{url.Values{"FriendlyName": {"Reception"}}, "friendly_name", "Reception"},
		{url.Values{"FriendlyName": {""}}, "friendly_name", nil},
		{url.Values{"UniqueName": {"desk"}}, "unique_name", "desk"},
		{url.Values{"UniqueName": {"reception"}}, "unique_name", "reception"},
		{url.Values{"Email": {"new@EXAMPLE.com"}}, "email", "new@example.com"},
		{url.Values{"CcEmails": {"a@example.com"}}, "cc_emails", []any{"a@example.com"}},
		{url.Values{"CcEmails": {""}}, "cc_emails", []any{}},
		{url.Values{"Extension": {"12#*w"}}, "extension", "12#*w"},
		{url.Values{"CallDelay": {"60"}}, "call_delay", 60.},
		{url.Values{"CallDelay": {"0"}}, "call_delay", 0.},
		{url.Values{"VerificationDocumentSid": {bill}}, "verification_document_sid", bill},
		{url.Values{"VerificationType": {"phone-bill"}}, "verification_type", "phone-bill"},
		{url.Values{"PhoneNumber": {"+14155550199"}}, "phone_number", one.str("phone_number")}, // fixed
	} {
		want := u.get(at)
		r := u.want(u.post(at, c.form), 200, 0)
		want.body[c.key], want.body["date_updated"] = c.want, r.body["date_updated"]
		if diff := cmp.Diff(want.body, r.body); diff != "" {
			t.Errorf("%v: %s", c.form, diff)
		}
	}
	u.want(u.post(at, url.Values{}), 200, 0)
	u.ordered("UniqueName", "taken")
	for _, c := range []struct {
		name, value string
		code        int
	}{
		{"FriendlyName", strings.Repeat("x", 65), 22116},
		{"UniqueName", strings.Repeat("x", 129), 22115},
		{"UniqueName", "taken", 22115},
		{"Email", "x", 22104},
		{"CcEmails", "x", 22104},
		{"Extension", "12a", 22117},
		{"CallDelay", "61", 20001},
		{"CallDelay", "-1", 20001},
		{"CallDelay", "x", 20001},
		{"CallDelay", "99999999999999999999", 20001},
		{"VerificationType", "letter", 22120},
		{"VerificationType", "", 22120},
		{"VerificationDocumentSid", "x", 22118},
		{"VerificationDocumentSid", "", 22118},
	} {
		r := u.want(u.post(at, url.Values{c.name: {c.value}}), 400, c.code)
		wantFault(t, c.name, r)
	}
}

// TestUpdateOrder_Status asks for every status in both generations.
func TestUpdateOrder_Status(t *testing.T) {
	s := newSite(t)
	u := s.user()
	for _, path := range []string{previewOrders, v2Orders} {
		at := path + "/" + string(u.ordered().sid())
		for _, status := range workflow.OrderStatuses {
			if status != workflow.OrderPendingVerification {
				u.want(u.post(at, url.Values{"Status": {string(status)}}), 400, 22112)
			}
		}
		u.want(u.post(at, url.Values{"Status": {"done"}}), 400, 22111)
		u.want(u.post(at, url.Values{"Status": {""}}), 400, 22111)
		for range 2 {
			if r := u.want(u.post(at, url.Values{"Status": {"pending-verification"}}), 200, 0); r.str("status") != "pending-verification" {
				t.Error(r.raw)
			}
		}
	}
	one := u.ordered().sid()
	v2 := v2Orders + "/" + string(one)
	u.want(u.post(v2, url.Values{"VerificationCallDelay": {"5"}}), 400, 20001) // v2 requires Status
	u.want(u.post(v2, url.Values{"Status": {"pending-verification"}, "VerificationCallDelay": {"61"}}), 400, 20001)
	u.want(u.post(v2, url.Values{"Status": {"pending-verification"}, "VerificationCallExtension": {"x"}}), 400, 22117)
	if r := u.get(v2); r.str("status") != "received" {
		t.Errorf("refused, and %s", r.str("status"))
	}
	r := u.want(u.post(v2, url.Values{"Status": {"pending-verification"}, "VerificationCallDelay": {"5"}, "VerificationCallExtension": {"7"}}), 200, 0)
	if r.body["verification_call_delay"] != 5. || r.str("verification_call_extension") != "7" {
		t.Error(r.raw)
	}
	if r.body["verification_attempts"] != 1. || r.body["verification_code"] != nil {
		t.Error(r.raw)
	}
	s.moved(u, one, workflow.OrderVerified)
	u.want(u.post(v2, url.Values{"Status": {"pending-verification"}}), 400, 22112)
	if r := u.want(u.post(v2, url.Values{"Status": {"pending-loa"}}), 200, 0); r.str("status") != "verified" {
		t.Errorf("an older client's pending-loa: %s", r.raw)
	}
}

// code returns the code that the log has for the verification of an order.
func (s *site) code(u *user, order workflow.SID) string {
	s.t.Helper()
	o, err := s.store.Order(context.Background(), u.sid, order)
	if err != nil {
		s.t.Fatal(err)
	}
	return o.Verification.Code
}

// wrongCode returns six digits that are not the code.
func wrongCode(code string) string {
	return map[bool]string{true: "000001", false: "000000"}[code == "000000"]
}

// TestUpdateOrder_VerificationCode gives the code back that the call says.
func TestUpdateOrder_VerificationCode(t *testing.T) {
	s := newSite(t)
	u := s.user()
	one := u.ordered().sid()
	at := previewOrders + "/" + string(one)
	u.want(u.post(at, url.Values{"VerificationCode": {"123456"}}), 400, 22114)
	asked := u.want(u.post(at, url.Values{"Status": {"pending-verification"}, "CallDelay": {"9"}, "Extension": {"7"}}), 200, 0)
	code := s.code(u, one)
	if len(code) != 6 || strings.Contains(asked.raw, code) || asked.body["verification_attempts"] != 1. || asked.body["call_delay"] != 9. || asked.str("extension") != "7" {
		t.Errorf("code %s: %s", code, asked.raw)
	}
	r := u.want(u.post(at, url.Values{"VerificationCode": {wrongCode(code)}}), 400, 22113)
	if !strings.Contains(r.str("message"), "2 of 3 attempts") {
		t.Error(r.raw)
	}
	u.want(u.post(at, url.Values{"VerificationCode": {"VerificationCode"}}), 400, 22113) // costs no attempt
	u.want(u.post(at, url.Values{"Status": {"pending-verification"}}), 200, 0)
	again := s.code(u, one)
	if r := u.want(u.post(at, url.Values{"VerificationCode": {again}, "Status": {"pending-verification"}, "FriendlyName": {"Done"}}), 200, 0); r.str("status") != "verified" || r.str("friendly_name") != "Done" {
		t.Error(r.raw)
	}
	u.want(u.post(at, url.Values{"VerificationCode": {again}}), 400, 22114)
	u.want(u.post(at, url.Values{"Status": {"pending-verification"}}), 400, 22112)
}

// TestUpdateOrder_VerificationUsedUp gives three wrong codes.
func TestUpdateOrder_VerificationUsedUp(t *testing.T) {
	s := newSite(t)
	u := s.user()
	one := u.ordered().sid()
	at := previewOrders + "/" + string(one)
	u.want(u.post(at, url.Values{"Status": {"pending-verification"}}), 200, 0)
	code := s.code(u, one)
	for range workflow.MaxAttempts {
		u.want(u.post(at, url.Values{"VerificationCode": {wrongCode(code)}}), 400, 22113)
	}
	if r := u.get(at); r.str("status") != "action-required" {
		t.Error(r.raw)
	}
	u.want(u.post(at, url.Values{"VerificationCode": {code}}), 400, 22114)
	u.want(u.post(at, url.Values{"Status": {"pending-verification"}}), 400, 22100)
	u.want(u.post(v2Orders+"/"+string(one), url.Values{"Status": {"pending-verification"}}), 400, 22100)
}

// TestUpdateOrder_VerificationByBill asks for a look at a bill, and has the telephony
// service report.
func TestUpdateOrder_VerificationByBill(t *testing.T) {
	s := newSite(t)
	u := s.user()
	one := u.ordered("VerificationType", "phone-bill", "VerificationDocumentSid", string(newSID("RI"))).sid()
	at := previewOrders + "/" + string(one)
	if r := u.want(u.post(at, url.Values{"Status": {"pending-verification"}}), 200, 0); r.str("verification_type") != "phone-bill" || s.code(u, one) != "" {
		t.Error(r.raw)
	}
	call := "CA" + string(newSID("CA"))[2:]
	s.append(events.VerificationReported("/telephony", "v", u.sid, one, workflow.VerificationReported{Result: "verified", CallSID: call}))
	for _, path := range []string{previewOrders, v2Orders} {
		if r := u.want(u.get(path+"/"+string(one)), 200, 0); r.str("status") != "verified" || !cmp.Equal(r.body["verification_call_sids"], []any{call}) {
			t.Error(r.raw)
		}
	}
}

// TestNewCode_IsOneOfAMillion makes codes from the ends of the range of random numbers.
func TestNewCode_IsOneOfAMillion(t *testing.T) {
	s := newSite(t)
	u := s.user()
	seen := map[string]bool{}
	for range 8 {
		one := u.ordered().sid()
		u.want(u.post(previewOrders+"/"+string(one), url.Values{"Status": {"pending-verification"}}), 200, 0)
		code := s.code(u, one)
		if len(code) != 6 || strings.Trim(code, "0123456789") != "" {
			t.Errorf("code %q", code)
		}
		seen[code] = true
	}
	if len(seen) < 7 { // two of eight are the same once in 35,000 runs, three never
		t.Errorf("only %d different codes of 8", len(seen))
	}
}

// TestRemoveOrder_ByStatus deletes an order in every status.
func TestRemoveOrder_ByStatus(t *testing.T) {
	s := newSite(t)
	u := s.user()
	for i, status := range workflow.OrderStatuses {
		one := u.ordered().sid()
		s.moved(u, one, status)
		at := []string{previewOrders, v2Orders}[i%2] + "/" + string(one)
		if !slices.Contains([]workflow.OrderStatus{"received", "pending-verification", "verified", "pending-loa"}, status) {
			u.want(u.do("DELETE", at, ""), 400, 22112)
			if r := u.want(u.get(at), 200, 0); r.str("status") != string(status) || r.str("failure_reason") != "as the test says" {
				t.Error(r.raw)
			}
			continue
		}
		if r := u.want(u.do("DELETE", at, ""), 204, 0); r.raw != "" {
			t.Errorf("body %q", r.raw)
		}
		for _, r := range []reply{u.get(at), u.post(at, url.Values{"Status": {"pending-verification"}}), u.do("DELETE", at, "")} {
			u.want(r, 404, 20404)
		}
		if slices.Contains(u.get(previewOrders).sids(), one) {
			t.Errorf("%s, deleted and listed", status)
		}
	}
}
