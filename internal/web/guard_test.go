package web_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/internal/ticket"
	"countersign/internal/web"
	"countersign/workflow"
)

// TestPost_RefusedBeforeBodyIsRead sends forms with nothing but a reason to
// refuse them by the address or the header.
func TestPost_RefusedBeforeBodyIsRead(t *testing.T) {
	ended := letter()
	ended.Status = workflow.Canceled
	busy := newSite(t, storeOf(letter()), func(c *web.Config) { c.LinkRate = 1e-9 })
	busy.handler.ServeHTTP(httptest.NewRecorder(), formPost(t, "/sign/"+busy.token(t, 2), strings.NewReader("action=decline")))
	s := newSite(t, storeOf(letter()))
	for _, c := range []struct {
		name, path string
		site       *site
		header     string
		length     int64 // of the body, as the header says; -1: it does not say
		code       int
	}{
		{"forged token", "/sign/" + strings.Repeat("A", 71), s, "", 500 << 10, 404},
		{"no token", "/sign/x", s, "", -1, 404},
		{"replaced link", "/sign/" + s.token(t, 1), s, "", 500 << 10, 410},
		{"ended letter", "/sign/", newSite(t, storeOf(ended)), "", -1, 200},
		{"another website", "/sign/" + s.token(t, 2), s, "cross-site", 500 << 10, 403},
		{"too often", "/sign/" + busy.token(t, 2), busy, "", 500 << 10, 429},
		{"too long", "/sign/" + s.token(t, 2), s, "", 512<<10 + 1, 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.path == "/sign/" {
				c.path += c.site.token(t, 2)
			}
			r := formPost(t, c.path, untouched{t})
			r.ContentLength = c.length
			r.Header.Set("Sec-Fetch-Site", c.header)
			w := httptest.NewRecorder()
			c.site.handler.ServeHTTP(w, r)
			if w.Code != c.code {
				t.Errorf("status %d, want %d", w.Code, c.code)
			}
		})
	}
}

func formPost(t *testing.T, path string, body io.Reader) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, body)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// brokenDrawing is one that a look at its header passes, and that cannot be
// decoded: who says that it is bad has decoded it.
func brokenDrawing(t *testing.T) string {
	t.Helper()
	picture := line(t, 300, 100)
	return drawn(append(bytes.Clone(picture[:len(picture)-40]), make([]byte, 40)...))
}

func drawn(png []byte) string {
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(png)
}

const badDrawing = "could not be read"

func TestPost_DrawingIsDecodedLast(t *testing.T) {
	o := newOffice(t)
	for name, change := range map[string]string{"name": "", "title": "\u202e", "authority": "", "statements": "", "consent": ""} {
		form := o.form()
		form.Set("drawn", brokenDrawing(t))
		form.Set(name, change)
		code, body := o.post(form)
		if code != 422 || strings.Contains(body, badDrawing) {
			t.Errorf("%s is wrong: status %d, and the drawing is decoded: %t", name, code, strings.Contains(body, badDrawing))
		}
	}
	form := o.form()
	form.Set("drawn", brokenDrawing(t))
	form.Set("version", "sha256:another")
	code, body := o.post(form)
	if code != 409 || field(t, body, "drawn") == "" {
		t.Errorf("another version: status %d, and the drawing is judged: %t", code, field(t, body, "drawn") == "")
	}
	form = o.form()
	form.Set("drawn", brokenDrawing(t))
	if code, body = o.post(form); code != 422 || !strings.Contains(body, badDrawing) {
		t.Errorf("nothing else is wrong: status %d", code)
	}
	o.stands(workflow.Signing)
}

func TestPost_DrawingIsBoundedByItsHeader(t *testing.T) {
	o := newOffice(t)
	for name, picture := range map[string]image.Image{
		"wide": image.NewGray(image.Rect(0, 0, 1201, 1)), "high": image.NewGray(image.Rect(0, 0, 1, 401)),
		"deep":                image.NewNRGBA64(image.Rect(0, 0, 10, 10)),
		"deep without alpha":  image.NewRGBA64(image.Rect(0, 0, 10, 10)),
		"deep, in grey":       image.NewGray16(image.Rect(0, 0, 10, 10)),
		"wide, with few inks": image.NewPaletted(image.Rect(0, 0, 40_000, 1), color.Palette{color.Black, color.White}),
	} {
		var b bytes.Buffer
		if err := png.Encode(&b, picture); err != nil {
			t.Fatal(err)
		}
		form := o.form()
		form.Set("drawn", drawn(b.Bytes()))
		code, body := o.post(form)
		if code != 422 || !strings.Contains(body, badDrawing) {
			t.Errorf("%s: status %d", name, code)
		}
	}
	o.stands(workflow.Signing)
	form := o.form()
	form.Set("drawn", drawn(line(t, 900, 270))) // as the page draws
	if code, _ := o.post(form); code != 200 || o.signed[0].Drawn == nil {
		t.Errorf("the page's own drawing: status %d", code)
	}
}

// TestPost_FormsOfOneLinkHaveBoundedRoom has two forms of the greatest length on
// their way: the next of the same link is asked to come again.
func TestPost_FormsOfOneLinkHaveBoundedRoom(t *testing.T) {
	s := newSite(t, storeOf(letter()))
	path := "/sign/" + s.token(t, 2)
	var clients []*io.PipeWriter
	var all sync.WaitGroup
	for _, length := range []int64{512 << 10, -1} {
		body, client := io.Pipe()
		clients = append(clients, client)
		all.Go(func() {
			r := formPost(t, path, body)
			r.ContentLength = length
			s.handler.ServeHTTP(httptest.NewRecorder(), r)
		})
		client.Write(nil) // returns when the body is being read
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, formPost(t, path+"?lang=es", strings.NewReader("action=decline")))
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(words(t, w.Body.String()), "Inténtelo de nuevo en un momento") {
		t.Errorf("status %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	for _, client := range clients {
		client.Close()
	}
	all.Wait()
	w = httptest.NewRecorder()
	s.handler.ServeHTTP(w, formPost(t, path, strings.NewReader("action=decline")))
	if w.Code != 409 { // it says no version
		t.Errorf("when the others have left: status %d", w.Code)
	}
}

// TestPost_SlowFormsLeaveForOthers has forms of eight links that take all the
// room there is, and never end: whoever answers another letter is served.
func TestPost_SlowFormsLeaveForOthers(t *testing.T) {
	docs := store{docs: map[workflow.SID]workflow.Document{}}
	s := newSite(t, docs)
	var links []string
	for i := range 9 {
		doc := letter()
		doc.SID = workflow.SID(fmt.Sprintf("PX%032x", i))
		docs.docs[doc.SID] = doc
		token, err := s.keys.Issue(ticket.Claims{Purpose: ticket.Sign, Document: doc.SID, Round: doc.Round, Expires: now.AddDate(0, 0, 7)})
		if err != nil {
			t.Fatal(err)
		}
		links = append(links, "/sign/"+token)
	}
	begun := make(chan struct{}, 16)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = announced{r.Body, begun}
		s.handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	post := func(path string, body io.Reader) int {
		r := formPost(t, server.URL+path, body)
		r.RequestURI = ""
		answer, err := server.Client().Do(r)
		if err != nil {
			return 0
		}
		defer answer.Body.Close()
		return answer.StatusCode
	}
	body, more := io.Pipe()
	var all sync.WaitGroup
	for _, link := range append(links[:8:8], links[:8]...) { // of 512 KiB each, because none says how long it is
		all.Go(func() { post(link, body) })
		<-begun
	}
	if code := post(links[8], strings.NewReader("action=decline")); code != 409 { // it says no version
		t.Errorf("behind forms that never end: status %d", code)
	}
	more.Close()
	all.Wait()
}

// announced is a body that says when it is read.
type announced struct {
	io.ReadCloser
	read chan<- struct{}
}

func (a announced) Read(p []byte) (int, error) {
	select {
	case a.read <- struct{}{}:
	default: // once is enough
	}
	return a.ReadCloser.Read(p)
}

func TestPost_NamesThatNobodyCanRead(t *testing.T) {
	o := newOffice(t)
	for _, c := range []struct{ field, value, says string }{
		{"name", "\u3164", "Type your full name"},
		{"name", "\u115f\u1160 \uffa0", "Type your full name"},
		{"name", "\u200b\u00ad\u2800", "Type your full name"},
		{"name", "Zoë \u202egnp.exe", "hidden characters"},
		{"name", "\u2067Zoë", "hidden characters"},
		{"name", "Zoë\u2028Owner", "no line breaks"},
		{"title", "\u3164", "at least one of them visible"},
		{"title", "\u200b", "at least one of them visible"},
		{"title", "Owner\u2066", "hidden characters"},
	} {
		form := o.form()
		form.Set(c.field, c.value)
		code, body := o.post(form)
		o.wants(code, 422, body, c.says)
		if !strings.Contains(body, `<a href="#`+c.field+`">`) {
			t.Errorf("%+q: the error does not lead to the field %s", c.value, c.field)
		}
	}
	o.stands(workflow.Signing)
	form := o.form()
	form.Set("name", "Zoë Auf\u200clager")
	if code, _ := o.post(form); code != 200 {
		t.Errorf("a name with a joiner in it: status %d", code)
	}
}

// TestPage_FreeTextLeadsNowhere has addresses in all that others can write: the
// page makes no link of any, and asks browsers that would (Safari's data
// detectors) not to.
func TestPage_FreeTextLeadsNowhere(t *testing.T) {
	const evil = "https://evil.example www.evil.example <a href='//evil.example'>x</a>"
	doc := letter()
	doc.ContactTitle, doc.Subscriber, doc.ServiceAddress.Street, doc.Orders[0].CurrentCarrier = evil, evil, evil, evil
	s := newSite(t, storeOf(doc))
	_, body := s.get(t, "/sign/"+s.token(t, 2))
	if n := strings.Count(words(t, body), "www.evil.example"); n < 4 {
		t.Errorf("the page shows %d of the texts", n)
	}
	for rest := body; ; {
		var tag string
		if _, rest, _ = strings.Cut(rest, "<a "); rest == "" {
			break
		}
		if tag, rest, _ = strings.Cut(rest, ">"); strings.Contains(tag, "evil") {
			t.Errorf("a link: %s", tag)
		}
	}
	if !strings.Contains(body, fmt.Sprintf(`<meta name="format-detection" content="%s">`, "telephone=no,date=no,address=no,email=no,url=no")) {
		t.Error("browsers may make links of what looks like one")
	}
}

func TestHandler_EveryAnswerHasGuardHeaders(t *testing.T) {
	s := newSite(t, storeOf(letter()))
	for name, path := range map[string]string{
		"ready": "/sign/" + s.token(t, 2), "replaced": "/sign/" + s.token(t, 1), "forged": "/sign/x", "front": "/", "nowhere": "/x",
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, body := do(t, req)
			script := ""
			if inline := between(body, "<script>", "</script>"); inline != "" {
				script = hash(inline)
			} else if name == "ready" {
				t.Error("no script")
			}
			want := map[string]string{
				"Cache-Control":          "no-store",
				"Content-Type":           "text/html; charset=utf-8",
				"Referrer-Policy":        "no-referrer",
				"X-Content-Type-Options": "nosniff",
				"X-Robots-Tag":           "noindex",
				"Content-Security-Policy": "default-src 'none'; style-src 'sha256-" + hash(between(body, "<style>", "</style>")) +
					"'; script-src 'sha256-" + script + "'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
			}
			got := make(map[string]string)
			for name := range want {
				got[name] = resp.Header.Get(name)
			}
			if script == "" { // the policy is the same on every page
				want["Content-Security-Policy"] = got["Content-Security-Policy"]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if m := regexp.MustCompile(`(?i)(src|href|action)="(?:https?:|//)|[\s:]url\(|@import|<script\s|\son\w+="`).FindString(body); m != "" {
				t.Errorf("loads or runs something: %q", m)
			}
		})
	}
}

func TestHandler_NoTokenInTheLog(t *testing.T) {
	s := newSite(t, storeOf(letter()))
	for _, round := range []int{1, 2} {
		s.get(t, "/sign/"+s.token(t, round))
	}
	s.get(t, "/sign/forged")
	if log := s.log.String(); log != "" {
		t.Errorf("visits that went well are in the log: %s", log)
	}
}
