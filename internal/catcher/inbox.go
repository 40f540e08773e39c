package catcher

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const pageSize = 50 // mails on a page of the list

//go:embed inbox.html
var inboxHTML string

//go:embed inbox.css
var inboxCSS template.CSS

//go:embed inbox.js
var inboxJS template.JS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"css":   func() template.CSS { return inboxCSS },
	"js":    func() template.JS { return inboxJS },
	"clock": clock,
	"join":  func(list []string) string { return strings.Join(list, ", ") },
}).Parse(inboxHTML))

// policy lets a page use its own inline style and script, and show a mail.
var policy = "default-src 'none'; style-src 'sha256-" + digest(string(inboxCSS)) + "'; script-src 'sha256-" + digest(string(inboxJS)) +
	"'; connect-src 'self'; frame-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// What a mail may do that is shown: be looked at, and have its links followed.
const (
	sandbox    = "allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
	mailPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; frame-ancestors 'self'; sandbox " + sandbox
)

// Handler returns the web inbox. It has relative links only, so that it can
// stand under a prefix:
//
//	mux.Handle("/inbox/", http.StripPrefix("/inbox", c.Handler()))
//
// For scripts, GET api/mails answers with the mails that are kept, the newest
// first, and with ?q= only those with q in a recipient or in the subject. GET
// api/mails/{id} answers with one mail, its HTML, header and source as well.
// Whoever reaches the inbox reads every mail: keep it on loopback.
func (c *Catcher) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.showList)
	mux.HandleFunc("GET /mails/{id}", c.showMail)
	mux.HandleFunc("GET /mails/{id}/html", c.showHTML)
	mux.HandleFunc("GET /api/mails", c.apiList)
	mux.HandleFunc("GET /api/mails/{id}", c.apiMail)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("Content-Security-Policy", policy)
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

// list is a page of the list.
type list struct {
	Query              string
	Mails              []Mail // the newest first
	Found, Kept, Count int
	Newer, Older       string // links to the pages beside; empty if there is none
}

func (c *Catcher) showList(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query().Get("q")
	mails, kept, count := c.find(query)
	last := max(1, (len(mails)+pageSize-1)/pageSize)
	n, err := strconv.Atoi(r.URL.Query().Get("page"))
	if err != nil {
		n = 1
	}
	n = min(max(n, 1), last)
	l := list{Query: query, Found: len(mails), Kept: kept, Count: count}
	l.Mails = mails[(n-1)*pageSize : min(n*pageSize, len(mails))]
	if n > 1 {
		l.Newer = pageLink(query, n-1)
	}
	if n < last {
		l.Older = pageLink(query, n+1)
	}
	show(w, http.StatusOK, "list", l)
}

func pageLink(query string, n int) string {
	v := url.Values{"page": {strconv.Itoa(n)}}
	if query != "" {
		v.Set("q", query)
	}
	return "?" + v.Encode()
}

// find returns the kept mails with the query in a recipient or in the subject,
// the newest first, how many are kept, and how many were ever caught.
func (c *Catcher) find(query string) (found []Mail, kept, count int) {
	c.mu.Lock()
	mails := slices.Clone(c.mails)
	count = c.count
	c.mu.Unlock()
	query = strings.ToLower(query)
	found = make([]Mail, 0, len(mails))
	for _, m := range slices.Backward(mails) {
		if query == "" || strings.Contains(strings.ToLower(strings.Join(m.To, " ")+" "+m.Subject), query) {
			found = append(found, m)
		}
	}
	return found, len(mails), count
}

// letter is the page of one email.
type letter struct {
	Mail
	View    string // "html", "text" or "source"
	Sandbox string
	Fields  []field
	Body    []piece // of the text or the source
}

// field is a line of a header.
type field struct{ Name, Value string }

// piece is a stretch of text; it is a link if URL is set.
type piece struct{ Text, URL string }

func (c *Catcher) showMail(w http.ResponseWriter, r *http.Request) {
	m, ok := c.named(r)
	if !ok {
		show(w, http.StatusNotFound, "missing", r.PathValue("id"))
		return
	}
	l := letter{Mail: m, View: r.URL.Query().Get("view"), Sandbox: sandbox, Fields: fields(m)}
	switch {
	case l.View == "source":
		l.Body = []piece{{Text: valid(m.Raw)}}
	case l.View == "text" || m.HTML == "":
		l.View, l.Body = "text", pieces(m.Text)
	default:
		l.View = "html"
	}
	show(w, http.StatusOK, "mail", l)
}

// showHTML serves the mail's HTML to the frame of its page.
func (c *Catcher) showHTML(w http.ResponseWriter, r *http.Request) {
	m, ok := c.named(r)
	if !ok {
		show(w, http.StatusNotFound, "missing", r.PathValue("id"))
		return
	}
	w.Header().Set("Content-Security-Policy", mailPolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(topLinks(m.HTML))) // the visitor may have left
}

func (c *Catcher) named(r *http.Request) (Mail, bool) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		return Mail{}, false
	}
	return c.mail(id)
}

var head = regexp.MustCompile(`(?i)<head(\s[^>]*)?>`)

// topLinks makes the links of a mail open in place of the inbox, not in the
// frame that the mail is shown in.
func topLinks(html string) string {
	const base = `<base target="_top">`
	if at := head.FindStringIndex(html); at != nil {
		return html[:at[1]] + base + html[at[1]:]
	}
	return "<!doctype html>" + base + html
}

// fields lists the header, what people look for first.
func fields(m Mail) []field {
	names := []string{"From", "To", "Cc", "Subject", "Date", "Message-Id"}
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	var list []field
	for _, name := range names {
		for _, value := range m.Header[name] {
			list = append(list, field{valid([]byte(name)), decodeWords(value)})
		}
	}
	return list
}

var link = regexp.MustCompile(`https?://[^\s<>"]*[^\s<>".,;:!?)\]']`)

// pieces finds the links in a text.
func pieces(text string) []piece {
	var list []piece
	at := 0
	for _, l := range link.FindAllStringIndex(text, -1) {
		list = append(list, piece{Text: text[at:l[0]]}, piece{Text: text[l[0]:l[1]], URL: text[l[0]:l[1]]})
		at = l[1]
	}
	return append(list, piece{Text: text[at:]})
}

// clock writes a time in this machine's zone, as short as a reader can place it.
func clock(t time.Time) string {
	t = t.Local()
	if y, m, d := time.Now().Date(); t.Equal(time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.Local)) {
		return t.Format("15:04:05")
	}
	return t.Format("2 Jan 15:04")
}

func show(w http.ResponseWriter, code int, name string, data any) {
	var body bytes.Buffer
	if err := pages.ExecuteTemplate(&body, name, data); err != nil {
		http.Error(w, fmt.Sprintf("write the page: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(body.Bytes()) // the visitor may have left
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}
