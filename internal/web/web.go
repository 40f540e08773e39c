// Package web serves the page behind a signing link, <public URL>/sign/<token>.
//
// The page shows the letter that a link is for and how it stands. It changes
// nothing, whoever opens it and however often: mail scanners follow links. It
// loads nothing but itself. Signing on it is not available yet, and it says so.
package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"countersign/internal/ticket"
	"countersign/workflow"
)

// Documents is where documents are read.
type Documents interface {
	// Document returns the document as it stands, or workflow.ErrNotFound. Any
	// other error is taken to be temporary.
	Document(ctx context.Context, sid workflow.SID) (workflow.Document, error)
}

// Verifier reads the tokens of links.
type Verifier interface {
	// Verify returns ticket.ErrInvalid for a token that is not ours or is for
	// another purpose, and ticket.ErrExpired with the claims for one that was good.
	Verify(token string, p ticket.Purpose, now time.Time) (ticket.Claims, error)
}

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS template.CSS

var page = template.Must(template.New("page").Parse(pageHTML))

// policy lets a page use its own inline style and nothing else, from anywhere.
var policy = "default-src 'none'; style-src 'sha256-" + digest(string(pageCSS)) +
	"'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

type handler struct {
	docs Documents
	keys Verifier
	now  func() time.Time
	log  *slog.Logger
}

// Handler serves GET and HEAD of /sign/{token}, a plain page at /, and a page
// that says so for every other path. No token reaches the log.
func Handler(docs Documents, keys Verifier, now func() time.Time, log *slog.Logger) http.Handler {
	h := &handler{docs, keys, now, log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sign/{token}", func(w http.ResponseWriter, r *http.Request) {
		h.show(w, r, h.sign(r.Context(), r.PathValue("token")))
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { h.show(w, r, front) })
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { h.show(w, r, nowhere) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("Content-Security-Policy", policy)
		header.Set("Referrer-Policy", "no-referrer") // the address of the page is the right to sign
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Robots-Tag", "noindex")
		mux.ServeHTTP(w, r)
	})
}

// sign decides what the holder of a token is shown. Whoever holds a link that
// is not good any more learns nothing about the letter: it may have been
// recalled because its link went to the wrong person.
func (h *handler) sign(ctx context.Context, token string) view {
	claims, err := h.keys.Verify(token, ticket.Sign, h.now())
	switch {
	case errors.Is(err, ticket.ErrExpired):
		return expired(claims.Expires)
	case errors.Is(err, ticket.ErrInvalid):
		return unknown
	case err != nil:
		h.log.ErrorContext(ctx, "cannot check a signing link", "error", err)
		return unavailable
	}
	doc, err := h.docs.Document(ctx, claims.Document)
	switch {
	case errors.Is(err, workflow.ErrNotFound):
		return unknown
	case err != nil && ctx.Err() == nil:
		h.log.ErrorContext(ctx, "cannot read the document of a signing link", "document", claims.Document, "error", err)
		return unavailable
	case err != nil:
		return unavailable
	case doc.Round != claims.Round:
		return replaced
	case doc.Status.Ended():
		return ended(doc)
	}
	return ready(doc, claims.Expires)
}

func (h *handler) show(w http.ResponseWriter, r *http.Request, v view) {
	var body bytes.Buffer
	if err := page.Execute(&body, struct {
		view
		CSS template.CSS
	}{v, pageCSS}); err != nil {
		h.log.ErrorContext(r.Context(), "cannot write a page", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	if v.Code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "30") // seconds
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(v.Code)
	_, _ = w.Write(body.Bytes()) // the visitor may have left
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}
