package catcher_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/internal/catcher"
)

func TestInbox_ListShowsNewestFirst(t *testing.T) {
	c, url := inbox(t)
	if _, page := get(t, url+"/"); !strings.Contains(page, "No mail yet") {
		t.Errorf("empty:\n%s", page)
	}
	send(t, c, "loa@example.com", letter, "owner@example.com")
	send(t, c, "", "\r\nx", "ops@example.com")
	_, page := get(t, url+"/")
	if diff := cmp.Diff([]string{"ops@example.com", "owner@example.com"}, listed(page)); diff != "" {
		t.Errorf("recipients (-want +got):\n%s", diff)
	}
	for _, want := range []string{"2 mails", "Grüße", "(no subject)", "from loa@example.com", `href="mails/1"`} {
		if !strings.Contains(page, want) {
			t.Errorf("does not say %q:\n%s", want, page)
		}
	}
}

func TestInbox_ListFiltersAndPages(t *testing.T) {
	c, url := inbox(t)
	client := dial(t, c)
	for i := range 120 {
		if err := deliver(client, "", fmt.Sprintf("Subject: letter %d\r\n\r\n", i%2), fmt.Sprintf("owner-%d@example.com", i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range []struct {
		query        string
		shown        int
		first        string
		newer, older string
	}{
		{"", 50, "owner-119@example.com", "", "?page=2"},
		{"?page=2", 50, "owner-69@example.com", "?page=1", "?page=3"},
		{"?page=3", 20, "owner-19@example.com", "?page=2", ""},
		{"?page=99", 20, "owner-19@example.com", "?page=2", ""},
		{"?page=-1", 50, "owner-119@example.com", "", "?page=2"},
		{"?page=x", 50, "owner-119@example.com", "", "?page=2"},
		{"?q=Owner-7%40", 1, "owner-7@example.com", "", ""},
		{"?q=LETTER+1", 50, "owner-119@example.com", "", "?page=2&q=LETTER+1"},
		{"?q=LETTER+1&page=2", 10, "owner-19@example.com", "?page=1&q=LETTER+1", ""},
		{"?q=nobody", 0, "", "", ""},
	} {
		t.Run(v.query, func(t *testing.T) {
			_, page := get(t, url+"/"+v.query)
			got := listed(page)
			if len(got) != v.shown || (v.shown > 0 && got[0] != v.first) {
				t.Errorf("shows %d, %v", len(got), got)
			}
			for text, href := range map[string]string{"← Newer": v.newer, "Older →": v.older} {
				var got string
				if m := regexp.MustCompile(`<a[^>]*href="([^"]*)">` + text).FindStringSubmatch(page); m != nil {
					got = html.UnescapeString(m[1])
				}
				if got != href {
					t.Errorf("%s leads to %q, want %q", text, got, href)
				}
			}
		})
	}
}

func TestInbox_EmailPage(t *testing.T) {
	c, url := inbox(t)
	send(t, c, "loa@example.com", letter, "owner@example.com")
	send(t, c, "", "Subject: text only\r\n\r\nsee https://example.com/a?b=1&c=2, (https://example.com/d) and http://x.\r\n", "owner@example.com")
	for path, v := range map[string]struct {
		code  int
		says  []string
		hides []string
	}{
		"/mails/1":             {200, []string{"<h1>Grüße</h1>", `src="1/html"`, `aria-current="page">HTML`, "Hosting Team &lt;loa@example.com&gt;", "Header, 5 fields"}, []string{"<pre"}},
		"/mails/1?view=text":   {200, []string{`aria-current="page">Text`, `Please sign:`, `<a href="https://example.com/sign/x">https://example.com/sign/x</a>.`}, []string{"<iframe"}},
		"/mails/1?view=source": {200, []string{`aria-current="page">Source`, "Please=20sign", "PGI&#43;c2lnbjwvYj4="}, []string{"<iframe"}},
		"/mails/2":             {200, []string{`aria-current="page">Text`, `<a href="https://example.com/a?b=1&amp;c=2">`, `<a href="https://example.com/d">https://example.com/d</a>)`, `<a href="http://x">http://x</a>.`}, []string{"<iframe", ">HTML</a>"}},
		"/mails/3":             {404, []string{"No such mail"}, nil},
		"/mails/x":             {404, []string{"No such mail"}, nil},
		"/mails/3/html":        {404, []string{"No such mail"}, nil},
	} {
		t.Run(path, func(t *testing.T) {
			resp, page := get(t, url+path)
			if resp.StatusCode != v.code {
				t.Errorf("status %d, want %d", resp.StatusCode, v.code)
			}
			for _, want := range v.says {
				if !strings.Contains(page, want) {
					t.Errorf("does not say %q:\n%s", want, page)
				}
			}
			for _, not := range v.hides {
				if strings.Contains(page, not) {
					t.Errorf("says %q", not)
				}
			}
		})
	}
}

func TestInbox_HTMLIsShownInASandbox(t *testing.T) {
	const flags = "allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
	c, url := inbox(t)
	for body, want := range map[string]string{
		`<html><head><title>x</title></head><body>a</body></html>`:         `<html><head><base target="_top"><title>x</title></head><body>a</body></html>`,
		`<!doctype html><HTML><HEAD lang="en"><body><header>a</header>`:    `<!doctype html><HTML><HEAD lang="en"><base target="_top"><body><header>a</header>`,
		`<header>a</header><script>alert(1)</script>`:                      `<!doctype html><base target="_top"><header>a</header><script>alert(1)</script>`,
		`<a href="https://example.com/sign/x" target="_blank">sign it</a>`: `<!doctype html><base target="_top"><a href="https://example.com/sign/x" target="_blank">sign it</a>`,
	} {
		send(t, c, "", "Content-Type: text/html\r\n\r\n"+body, "owner@example.com")
		resp, got := get(t, fmt.Sprintf("%s/mails/%d/html", url, c.Count()))
		if got = strings.TrimSpace(got); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		policy := resp.Header.Get("Content-Security-Policy")
		for _, rule := range []string{"default-src 'none'", "form-action 'none'", "frame-ancestors 'self'", "sandbox " + flags} {
			if !strings.Contains(policy, rule) {
				t.Errorf("policy %q is without %q", policy, rule)
			}
		}
		_, page := get(t, fmt.Sprintf("%s/mails/%d", url, c.Count()))
		if !strings.Contains(page, `sandbox="`+flags+`"`) {
			t.Errorf("the frame is no sandbox:\n%s", page)
		}
	}
}

func TestInbox_HostileEmailStaysText(t *testing.T) {
	c, url := inbox(t)
	const evil = `"><script>alert(1)</script>`
	send(t, c, "", "Subject: "+evil+"\r\nX-Evil: "+evil+"\r\n\r\n"+evil+" javascript:alert(1) http://x\"onclick=alert(1)\r\n", "owner@example.com")
	for _, path := range []string{"/", "/mails/1", "/mails/1?view=source", "/?q=" + evil, "/mails/" + evil} {
		_, page := get(t, url+strings.NewReplacer(`"`, "%22", "<", "%3C", ">", "%3E", "/script", "%2Fscript").Replace(path))
		if strings.Contains(page, "<script>alert") || strings.Contains(page, `href="javascript`) || strings.Contains(page, `" onclick`) {
			t.Errorf("%s:\n%s", path, page)
		}
	}
}

func TestInbox_EveryPageHasGuardHeadersAndRelativeLinks(t *testing.T) {
	c, url := inbox(t)
	send(t, c, "", letter, "owner@example.com")
	hash := func(page, tag string) string {
		_, s, _ := strings.Cut(page, "<"+tag+">")
		s, _, _ = strings.Cut(s, "</"+tag+">")
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	for _, path := range []string{"/", "/mails/1", "/mails/9"} {
		resp, page := get(t, url+path)
		policy := resp.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "style-src "+hash(page, "style")+";") {
			t.Errorf("%s: policy %q does not fit the style", path, policy)
		}
		if path == "/" && !strings.Contains(policy, "script-src "+hash(page, "script")+";") {
			t.Errorf("%s: policy %q does not fit the script", path, policy)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		for _, m := range regexp.MustCompile(`(?:href|src|action)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
			if strings.HasPrefix(m[1], "/") || strings.HasPrefix(m[1], "http") {
				t.Errorf("%s: the link %q leaves the prefix", path, m[1])
			}
		}
	}
}

func TestInbox_API(t *testing.T) {
	c, url := inbox(t)
	if _, body := get(t, url+"/api/mails"); strings.TrimSpace(body) != "[]" {
		t.Errorf("without mails: %s", body)
	}
	send(t, c, "loa@example.com", letter, "owner@example.com")
	send(t, c, "", "Subject: other\r\n\r\n<x>", "ops@example.com", "cc@example.com")
	one := map[string]any{
		"id": 1.0, "from": "loa@example.com", "to": []any{"owner@example.com"}, "subject": "Grüße", "message_id": "<1@example.com>",
		"text": "Please sign:\nhttps://example.com/sign/x.", "at": c.Mails()[0].At.UTC().Format("2006-01-02T15:04:05.999999999Z07:00"),
	}
	two := map[string]any{
		"id": 2.0, "from": "", "to": []any{"ops@example.com", "cc@example.com"}, "subject": "other", "message_id": "",
		"text": "<x>\n", "at": c.Mails()[1].At.UTC().Format("2006-01-02T15:04:05.999999999Z07:00"),
	}
	for path, want := range map[string]any{
		"/api/mails":             []any{two, one},
		"/api/mails?q=OWNER":     []any{one},
		"/api/mails?q=gr%C3%BC":  []any{one},
		"/api/mails?q=CC@":       []any{two},
		"/api/mails?q=from-none": []any{},
	} {
		if diff := cmp.Diff(want, getJSON(t, url+path, 200)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	full, _ := getJSON(t, url+"/api/mails/1", 200).(map[string]any)
	if full["html"] != "<b>sign</b>" || full["source"] != letter || full["text"] != one["text"] || len(full["header"].(map[string]any)) != 5 {
		t.Errorf("one mail: %v", full)
	}
	for _, path := range []string{"/api/mails/3", "/api/mails/0", "/api/mails/x"} {
		if missing, _ := getJSON(t, url+path, 404).(map[string]any); missing["error"] == "" {
			t.Errorf("%s: %v", path, missing)
		}
	}
}

func TestInbox_ChangesNothing(t *testing.T) {
	_, url := inbox(t)
	for _, path := range []string{"/", "/mails/1", "/api/mails"} {
		resp, err := http.Post(url+path, "text/plain", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: status %d", path, resp.StatusCode)
		}
	}
}

// inbox runs a catcher with its web inbox under a prefix.
func inbox(t *testing.T) (c *catcher.Catcher, url string) {
	t.Helper()
	c = start(t)
	mux := http.NewServeMux()
	mux.Handle("/inbox/", http.StripPrefix("/inbox", c.Handler()))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return c, srv.URL + "/inbox"
}

// listed is the recipients on a page of the list, from top to bottom.
func listed(page string) []string {
	var list []string
	for _, m := range regexp.MustCompile(`<span class="to">([^<]*)</span>`).FindAllStringSubmatch(page, -1) {
		list = append(list, m[1])
	}
	return list
}

func getJSON(t *testing.T, url string, code int) (v any) {
	t.Helper()
	resp, body := get(t, url)
	if resp.StatusCode != code || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("status %d, %s; want %d", resp.StatusCode, resp.Header.Get("Content-Type"), code)
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return v
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// TestInbox_BodyOfAGetIsNeverRead sends bodies of both kinds of forms.
func TestInbox_BodyOfAGetIsNeverRead(t *testing.T) {
	h := start(t).Handler()
	for _, path := range []string{"/", "/?q=x&page=2", "/mails/1", "/api/mails"} {
		for _, kind := range []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=b"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, untouched{t})
			r.Header.Set("Content-Type", kind)
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
}

// untouched is the body of a request that nobody may read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}
