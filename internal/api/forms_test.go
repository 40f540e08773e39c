package api_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"countersign/internal/api"
)

func TestReceive_Forms(t *testing.T) {
	s := newSite(t)
	u := s.user()
	good := func() string { return form().Encode() }
	for _, c := range []struct {
		name, body, kind string
		status, code     int
	}{
		{"no content type", good(), "", 201, 0},
		{"a charset", good(), "application/x-www-form-urlencoded; charset=utf-8", 201, 0},
		{"a charset in capitals", good(), "Application/X-WWW-Form-URLEncoded; Charset=UTF-8", 201, 0},
		{"a charset without its hyphen, case b2", good(), "application/x-www-form-urlencoded; charset=utf8", 201, 0},
		{"an older label of UTF-8", good(), `application/x-www-form-urlencoded;charset="Unicode-1-1-UTF-8"`, 201, 0},
		{"a parameter that cannot be read", good(), "application/x-www-form-urlencoded; charset=", 201, 0},
		{"Latin-1", good(), "application/x-www-form-urlencoded; charset=iso-8859-1", 415, 20001},
		{"another charset", good(), "application/x-www-form-urlencoded; charset=utf-16", 415, 20001},
		{"json", "{}", "application/json", 415, 20001},
		{"a form of parts", good(), "multipart/form-data; boundary=x", 415, 20001},
		{"no media type at all", good(), ";;", 415, 20001},
		{"half a percent sign", good() + "&x=%2", "application/x-www-form-urlencoded", 400, 20001},
		{"no UTF-8", good() + "&x=%ff", "application/x-www-form-urlencoded", 400, 20001},
		{"no UTF-8 in a name", good() + "&%ff=x", "application/x-www-form-urlencoded", 400, 20001},
		{"a NUL", "ContactTitle=%00&" + strings.ReplaceAll(good(), "ContactTitle", "X"), "application/x-www-form-urlencoded", 400, 20001},
		{"no body", "", "application/x-www-form-urlencoded", 400, 20001},
		{"just too large", strings.Repeat("x", 256<<10+1), "application/x-www-form-urlencoded", 413, 20001},
		{"large", good() + "&x=" + strings.Repeat("x", 200<<10), "application/x-www-form-urlencoded", 201, 0},
		{"too large", strings.Repeat("x", 1<<20), "application/x-www-form-urlencoded", 413, 20001},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := u.do("POST", previewPath, c.body, "Content-Type", c.kind)
			if r.status != c.status || r.code() != c.code {
				t.Errorf("got %d %s, want %d and code %d", r.status, r.raw, c.status, c.code)
			}
			if c.code != 0 {
				wantFault(t, c.name, r)
			}
		})
	}
}

// TestReceive_BodyOfUnknownLengthIsBounded sends a body in chunks, which says nowhere how
// long it is.
func TestReceive_BodyOfUnknownLengthIsBounded(t *testing.T) {
	s := newSite(t)
	u := s.user()
	req, err := http.NewRequest("POST", s.url+previewPath, struct{ *strings.Reader }{strings.NewReader(strings.Repeat("x", 300<<10))})
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(u.name, u.secret)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 413 {
		t.Errorf("got %d", resp.StatusCode)
	}
}

// TestReceive_FormsOfOneAccountHaveBoundedRoom has as many forms of the greatest
// length on their way as an account gets: its next one has to come again, and
// other accounts notice nothing.
func TestReceive_FormsOfOneAccountHaveBoundedRoom(t *testing.T) {
	s := newSite(t)
	u, other := s.user(), s.user()
	h := api.New(s.config)
	post := func(u *user, body io.Reader, length int64) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), "POST", previewPath, body)
		r.ContentLength = length
		r.SetBasicAuth(u.name, u.secret)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	var clients []*io.PipeWriter
	var all sync.WaitGroup
	for range 8 { // of 256 KiB each
		body, client := io.Pipe()
		clients = append(clients, client)
		all.Go(func() { post(u, body, -1) })
		client.Write(nil) // returns when the body is being read
	}
	text := form().Encode()
	if w := post(u, strings.NewReader(text), int64(len(text))); w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"code":20503`) {
		t.Errorf("a form too many: %d %s", w.Code, w.Body)
	}
	if w := post(other, strings.NewReader(text), int64(len(text))); w.Code != 201 {
		t.Errorf("another account's form: %d %s", w.Code, w.Body)
	}
	for _, client := range clients {
		client.Close()
	}
	all.Wait()
	text = form().Encode()
	if w := post(u, strings.NewReader(text), int64(len(text))); w.Code != 201 {
		t.Errorf("when the others have left: %d %s", w.Code, w.Body)
	}
}

func TestAnswer_RefusedBeforeBodyIsRead(t *testing.T) {
	s := newSite(t)
	u := s.user()
	h := api.New(s.config)
	for _, c := range []struct {
		name, path, user, site string
		length                 int64
		status                 int
	}{
		{"nobody", previewPath, "", "", 256 << 10, 401},
		{"another secret", previewPath, "x", "", -1, 401},
		{"no path of the API", "/HostedNumbers/x", u.name, "", 256 << 10, 404},
		{"another website", previewPath, u.name, "cross-site", -1, 403},
		{"too long", previewPath, u.name, "", 256<<10 + 1, 413},
		{"far too long", v2Path, u.name, "", 1 << 40, 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), "POST", c.path, untouched{t})
			r.ContentLength = c.length
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", c.site)
			if c.user != "" {
				r.SetBasicAuth(c.user, u.secret)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.status {
				t.Errorf("got %d %s, want %d", w.Code, w.Body, c.status)
			}
		})
	}
}
