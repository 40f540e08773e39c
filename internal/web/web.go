// Package web serves the page behind a signing link, <public URL>/sign/<token>:
// the letter, the form that signs or declines it, and the letter as a PDF.
//
// GET and HEAD change nothing, whoever opens a link and however often: mail
// scanners follow links. A POST becomes an event on the log, and the answer
// shows what this worker's database says after it has applied the event. The
// page loads nothing from elsewhere and works without JavaScript. It is in the
// document's language, or else in the browser's.
package web

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sync/semaphore"

	"countersign/events"
	"countersign/internal/httpd"
	"countersign/internal/loa"
	"countersign/internal/ratelimit"
	"countersign/internal/ticket"
	"countersign/workflow"
)

// Documents reads documents, as of the last applied entry.
type Documents interface {
	// Document returns the document, or workflow.ErrNotFound. Any other error counts
	// as temporary.
	Document(ctx context.Context, sid workflow.SID) (workflow.Document, error)

	WaitApplied(ctx context.Context, sequence uint64) error

	// DocumentChanged returns a channel that is closed when the document is next
	// changed or erased, until forget is called.
	DocumentChanged(sid workflow.SID) (changed <-chan struct{}, forget func())
}

// Verifier reads the tokens of links.
type Verifier interface {
	// Verify returns ticket.ErrInvalid for a token that is not ours or is for
	// another purpose, and ticket.ErrExpired, together with the claims, for one
	// that has expired.
	Verify(token string, p ticket.Purpose, now time.Time) (ticket.Claims, error)
}

// Log appends events. Append tries until ctx ends. It fails with
// workflow.ErrUnavailable if the event may be on the log or not, and with a
// *workflow.Problem if it is no valid event.
type Log interface {
	Append(ctx context.Context, e events.Event) (sequence uint64, err error)
}

// Letters writes letters, and keeps those that are signed.
type Letters interface {
	// PDF returns the document's letter: the signed one if it is kept, and otherwise
	// an unsigned one in these words. It fails with
	// workflow.ErrNotFound if the document was signed with another letter.
	PDF(ctx context.Context, doc workflow.Document, words loa.Words) ([]byte, error)

	// Kept reports whether the document's signed letter is one of ours.
	Kept(doc workflow.Document) bool

	// Sign writes the signed letter, seals it and keeps it. It returns its
	// digest, "sha256:…", and the name that it is kept under.
	Sign(ctx context.Context, doc workflow.Document, s Signature) (digest, name string, err error)
}

// Signature is what a visitor contributes to the signed letter.
type Signature struct {
	Words   loa.Words
	Name    string
	Title   string
	Drawn   []byte // PNG, or nil
	Zone    string // the visitor's time zone, "America/New_York"; may be empty
	At      time.Time
	Address string // of the visitor
	Agent   string // the User-Agent of the browser
	Shown   string // digest of what was shown
}

// Config is what the pages need. A wait or rate of 0 has the default given with it.
type Config struct {
	Documents Documents
	Keys      Verifier
	Log       Log
	Letters   Letters
	Provider  string           // name of the company that hosts the messages
	PublicURL string           // the origin of links; forms from pages of this origin are accepted, whatever Host a proxy passes on
	Now       func() time.Time // the log's time, for the expiry of links and the time of signatures
	Logger    *slog.Logger

	// Signable returns why no signature can be accepted now; nil if it can. If
	// the field is nil, signatures are always accepted.
	Signable func() error

	// Proxies are the peers whose X-Forwarded-For says where a request comes
	// from.
	Proxies []netip.Prefix

	Wait        time.Duration // for the log to acknowledge an event, for the database to apply it, and for memory to be free: 5 s each
	AddressRate float64       // requests per second from one address, burst twenty times as many: 20
	LinkRate    float64       // answers and PDFs per second of one link, burst twenty times as many: 2
}

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS template.CSS

//go:embed page.js
var pageJS template.JS

var page = template.Must(template.New("page").Parse(pageHTML))

// policy lets a page use its own inline style and script and nothing else,
// from anywhere.
var policy = "default-src 'none'; style-src 'sha256-" + digest(string(pageCSS)) + "'; script-src 'sha256-" + digest(string(pageJS)) +
	"'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

type handler struct {
	Config
	addresses, links *ratelimit.Limiter
	forms            *httpd.Forms
	drawings         *semaphore.Weighted // one for each that is being decoded
	origin           string              // of PublicURL
}

// How much memory requests may take at once. Further requests wait, for Config.Wait
// at most. A form takes about four times its length while it is read and parsed, and
// a drawing takes 8 MiB: 50 MiB in all.
const (
	allForms    = 8 << 20 // bytes of forms
	formsOfLink = 1 << 20 // of one link
	maxDrawings = 2       // being decoded
)

// Handler serves /sign/{token} and the letter below it, the signed letter at
// /letter/{token}, a page at /, and a "not found" page for every other path. It
// never logs a token.
func Handler(c Config) http.Handler {
	c.Wait, c.AddressRate, c.LinkRate = cmp.Or(c.Wait, 5*time.Second), cmp.Or(c.AddressRate, 20), cmp.Or(c.LinkRate, 2)
	h := &handler{
		Config: c, origin: originOf(c.PublicURL), forms: httpd.NewForms(allForms, formsOfLink, maxBody, c.Wait), drawings: semaphore.NewWeighted(maxDrawings),
		addresses: ratelimit.New(c.AddressRate, 20*c.AddressRate), links: ratelimit.New(c.LinkRate, 20*c.LinkRate),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sign/{token}", h.get)
	mux.HandleFunc("POST /sign/{token}", h.post)
	mux.HandleFunc("GET /sign/{token}/letter.pdf", h.pdf)
	mux.HandleFunc("GET /letter/{token}", h.download)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		_, t := h.speak(r, "")
		h.show(w, r, h.plain(t, http.StatusOK, t.Front))
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		_, t := h.speak(r, "")
		h.show(w, r, h.plain(t, http.StatusNotFound, t.Nowhere))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("Content-Security-Policy", policy)
		header.Set("Referrer-Policy", "no-referrer") // whoever has the address of the page can sign
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Robots-Tag", "noindex")
		header.Set("Vary", "Accept-Language")
		if wait := h.addresses.Take(ratelimit.Key(h.address(r)), h.Now(), 0); wait > 0 {
			h.tooMany(w, r, wait)
			return
		}
		defer h.rescue(w, r)
		if path := unmangled(r.URL.Path); path != r.URL.Path {
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = path, ""
		}
		mux.ServeHTTP(w, r)
	})
}

// rescue answers and logs if a page has panicked: the server would only close the
// connection.
func (h *handler) rescue(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	h.Logger.ErrorContext(r.Context(), "a page panicked", "panic", p, "stack", string(debug.Stack()))
	_, t := h.speak(r, "")
	h.show(w, r, h.plain(t, http.StatusInternalServerError, t.Unavailable))
}

// speak finds the visitor's language: what the address asks for, else the
// document's locale, and else what the browser prefers.
func (h *handler) speak(r *http.Request, locale string) (loa.Words, *texts) {
	return speak(h.Provider, r.URL.Query().Get("lang"), locale, r.Header.Get("Accept-Language"))
}

func (h *handler) address(r *http.Request) netip.Addr { return ratelimit.Address(r, h.Proxies) }

func (h *handler) tooMany(w http.ResponseWriter, r *http.Request, wait time.Duration) {
	_, t := h.speak(r, "")
	w.Header().Set("Retry-After", strconv.Itoa(ratelimit.Seconds(wait)))
	h.show(w, r, h.plain(t, http.StatusTooManyRequests, t.TooMany))
}

func (h *handler) get(w http.ResponseWriter, r *http.Request) {
	visit := h.visit(r)
	page := visit.page
	if visit.access == signs {
		page = h.ready(visit.t, visit.doc, visit.token, visit.expires)
	}
	h.show(w, r, page)
}

// pdf sends the letter: the unsigned one for reading, or the signed one.
func (h *handler) pdf(w http.ResponseWriter, r *http.Request) {
	visit := h.visit(r)
	if visit.access == refused {
		h.show(w, r, visit.page)
		return
	}
	h.send(w, r, visit)
}

// download sends the signed letter to whoever has a link for that: a person in
// cc, who must not be able to do anything else.
func (h *handler) download(w http.ResponseWriter, r *http.Request) {
	visit := h.link(r, ticket.Download)
	switch {
	case visit.access == refused:
		h.show(w, r, visit.page)
	case visit.doc.Status != workflow.Signed:
		h.show(w, r, h.plain(visit.t, http.StatusNotFound, visit.t.Unknown))
	default:
		h.send(w, r, visit)
	}
}

// send sends the letter.
func (h *handler) send(w http.ResponseWriter, r *http.Request, visit *visit) {
	if wait := h.links.Take(visit.key(), h.Now(), 0); wait > 0 {
		h.tooMany(w, r, wait)
		return
	}
	pdf, err := h.Letters.PDF(r.Context(), visit.doc, visit.words)
	switch {
	case errors.Is(err, workflow.ErrNotFound):
		h.show(w, r, h.plain(visit.t, http.StatusNotFound, visit.t.Nowhere))
		return
	case err != nil:
		h.trouble(r.Context(), "cannot show the letter", visit.doc.SID, err)
		h.show(w, r, h.plain(visit.t, http.StatusServiceUnavailable, visit.t.Unavailable))
		return
	}
	header := w.Header()
	header.Set("Content-Type", "application/pdf")
	header.Set("Content-Disposition", fmt.Sprintf(`inline; filename="%s.pdf"`, visit.doc.SID))
	header.Set("Content-Length", strconv.Itoa(len(pdf)))
	_, _ = w.Write(pdf) // the visitor may have left
}

func (h *handler) show(w http.ResponseWriter, r *http.Request, v view) {
	v.CSS, v.Script = pageCSS, pageJS
	var body bytes.Buffer
	if err := page.Execute(&body, v); err != nil {
		h.Logger.ErrorContext(r.Context(), "a page could not be written", "err", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	if v.Code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "30") // seconds
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", v.T.Language)
	w.WriteHeader(v.Code)
	_, _ = w.Write(body.Bytes()) // the visitor may have left
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}
