package httpd_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"countersign/internal/httpd"
)

func TestForeign_OnlyWritesOfOtherWebsites(t *testing.T) {
	for _, c := range []struct {
		method, site, origin string
		want                 bool
	}{
		{"POST", "", "", false}, // a program
		{"POST", "same-origin", "https://sign.example.com", false},
		{"POST", "none", "", false},
		{"POST", "", "https://sign.example.com", false}, // an old browser
		{"POST", "cross-site", "", true},
		{"POST", "cross-site", "https://sign.example.com", true},
		{"POST", "same-site", "https://www.example.com", true},
		{"POST", "", "https://evil.example", true},
		{"POST", "", "null", true},
		{"DELETE", "cross-site", "", true},
		{"DELETE", "", "https://sign.example.com.evil.example", true},
		{"GET", "cross-site", "https://evil.example", false},
		{"HEAD", "cross-site", "", false},
	} {
		r := httptest.NewRequest(c.method, "https://sign.example.com/x", nil)
		for name, value := range map[string]string{"Sec-Fetch-Site": c.site, "Origin": c.origin} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		if got := httpd.Foreign(r); got != c.want {
			t.Errorf("%s, Sec-Fetch-Site %q, Origin %q: %t", c.method, c.site, c.origin, got)
		}
	}
}

func TestForHosts_OnlyNamesThatNobodyElseControls(t *testing.T) {
	const hint = "Use localhost."
	h := httpd.ForHosts(protocol, []string{"Admin.Example.com:8081", "countersign"}, hint)
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:8081": 200, "10.1.2.3:8081": 200, "[::1]": 200, "[::1]:8081": 200, "[fe80::1%25eth0]:8081": 200,
		"localhost": 200, "LOCALHOST:8081": 200, "localhost.:8081": 200, "inbox.localhost:8081": 200, "": 200,
		"admin.example.com": 200, "ADMIN.example.com.:1": 200, "countersign:8081": 200,
		"evil.example": 421, "evil.example:8081": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example:8081": 421,
		"notlocalhost": 421, "xadmin.example.com": 421, "admin.example.com.evil.example": 421, "127.0.0.1.nip.io:8081": 421,
		"7f000001.rbndr.us": 421, "0x7f.1": 421, "[::1].evil.example:8081": 421,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("host %q: status %d, want %d", host, w.Code, want)
		}
		if w.Code == 421 && (strings.TrimSpace(w.Body.String()) != hint || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain")) {
			t.Errorf("host %q: says %q as %s", host, w.Body, w.Header().Get("Content-Type"))
		}
	}
}

func TestOnlyHTTPS_HeaderGoesWithThePublicURL(t *testing.T) {
	for url, want := range map[string]string{"https://sign.example.com": "max-age=31536000", "http://127.0.0.1:8080": ""} {
		w := httptest.NewRecorder()
		httpd.OnlyHTTPS(protocol, url).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if got := w.Header().Get("Strict-Transport-Security"); got != want {
			t.Errorf("%s: Strict-Transport-Security %q, want %q", url, got, want)
		}
	}
}
