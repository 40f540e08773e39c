package api_test

import (
	"strings"
	"testing"
)

// TestCreate_UnencodedPlusIsExplained sends forms as a client does that does not
// encode a plus sign, and forms with other faults.
func TestCreate_UnencodedPlusIsExplained(t *testing.T) {
	s := newSite(t)
	u := s.user()
	for name, c := range map[string]struct {
		field, value string // as it is sent
		code         int
		explained    bool
	}{
		"a number":           {"ContactPhoneNumber", "+14155550100", 22102, true},
		"a number in groups": {"ContactPhoneNumber", "+1+415+555+0100", 22102, true},
		"an email":           {"Email", "owner+loa@example.com", 22104, true},
		"an address in cc":   {"CcEmails", "ops+loa@example.com", 22104, true},
		"no plus":            {"ContactPhoneNumber", "14155550100", 22102, false},
		"a name":             {"Email", "nobody", 22104, false},
		"an encoded plus":    {"Email", "owner%2Bloa", 22104, false},
	} {
		for _, path := range []string{previewPath, v2Path} {
			f := form()
			f.Del(c.field)
			body := f.Encode() + "&" + c.field + "=" + c.value
			r := u.want(u.do("POST", path, body, "Content-Type", "application/x-www-form-urlencoded"), 400, c.code)
			if got := strings.Contains(r.str("message"), "%2B"); got != c.explained {
				t.Errorf("%s, %s: %s", name, path, r.str("message"))
			}
		}
	}
}

// TestNotFound_NamesTheWholePath: a path without its version is another path.
func TestNotFound_NamesTheWholePath(t *testing.T) {
	u := newSite(t).user()
	for _, path := range []string{"/v2/HostedNumber/Nothing", "/v2/HostedNumber/AuthorizationDocuments/PX0", "/v2/HostedNumbers/AuthorizationDocuments", "/HostedNumber/AuthorizationDocuments", "/v2"} {
		r := u.want(u.do("GET", path, ""), 404, 20404)
		if want := "The requested resource " + path + " was not found"; r.str("message") != want {
			t.Errorf("got %s, want %s", r.str("message"), want)
		}
	}
}
