package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"countersign/internal/loa"
	"countersign/internal/ticket"
	"countersign/workflow"
)

// access is what the holder of a link may do.
type access int

const (
	refused access = iota // nothing: the link is not valid
	reads                 // read the letter, which has ended
	signs                 // read the letter, and sign or decline it
)

// visit is a request with a link.
type visit struct {
	access access
	page   view // if access is not signs: says why

	// The rest is set if access is not refused.
	token   string
	doc     workflow.Document
	expires time.Time
	words   loa.Words
	t       *texts
}

// key is the key of the rate limit of the link.
func (v *visit) key() string { return fmt.Sprintf("%s.%d", v.doc.SID, v.doc.Round) }

// visit decides what the holder of a signing link may do. If the link is not
// valid any more, its holder learns nothing about the letter except where to
// look for the newest email: the letter may have been recalled because its link
// went to the wrong person.
func (h *handler) visit(r *http.Request) *visit {
	v := h.link(r, ticket.Sign)
	if v.access != refused && v.doc.Status.Ended() {
		v.access, v.page = reads, h.ended(v.t, v.doc, v.token)
	}
	return v
}

// link reads the token of a link. If the link is valid, access is signs.
func (h *handler) link(r *http.Request, purpose ticket.Purpose) *visit {
	ctx, token := r.Context(), r.PathValue("token")
	_, t := h.speak(r, "")
	no := func(code int, s say) *visit { return &visit{page: h.plain(t, code, s)} }
	claims, err := h.Keys.Verify(token, purpose, h.Now())
	switch {
	case errors.Is(err, ticket.ErrExpired):
		s := t.Expired
		if purpose == ticket.Download {
			s = t.DownloadExpired
		}
		s.Lead = fmt.Sprintf(s.Lead, t.moment(claims.Expires))
		return no(http.StatusGone, s)
	case errors.Is(err, ticket.ErrInvalid):
		return no(http.StatusNotFound, t.Unknown)
	case err != nil:
		h.trouble(ctx, "cannot check a link", "", err)
		return no(http.StatusServiceUnavailable, t.Unavailable)
	}
	doc, err := h.Documents.Document(ctx, claims.Document)
	switch {
	case errors.Is(err, workflow.ErrNotFound):
		return no(http.StatusNotFound, t.Unknown)
	case err != nil:
		h.trouble(ctx, "cannot read the document of a link", claims.Document, err)
		return no(http.StatusServiceUnavailable, t.Unavailable)
	}
	words, t := h.speak(r, doc.Locale)
	if s, ok := gone(t, doc, claims.Round); ok {
		return no(http.StatusGone, s)
	}
	return &visit{access: signs, token: token, doc: doc, expires: claims.Expires, words: words, t: t}
}

// gone returns why a link of a round is not valid any more, if it is not.
func gone(t *texts, doc workflow.Document, round int) (s say, ok bool) {
	at, late := expired(doc)
	switch ended := doc.Status.Ended(); {
	case doc.Hold && !ended, doc.Round != round && ended:
		return t.Recalled, true
	case doc.Round != round:
		s = t.Replaced
		s.Lead = fmt.Sprintf(s.Lead, hint(doc.Email))
		return s, true
	case late:
		s = t.Expired
		s.Lead = fmt.Sprintf(s.Lead, t.moment(at))
		return s, true
	}
	return s, false
}

// expired reports whether the letter itself has expired, and when.
func expired(doc workflow.Document) (at time.Time, ok bool) {
	if doc.EndedBy != workflow.EndedExpired {
		return at, false
	}
	if doc.ExpiresAt != nil {
		return *doc.ExpiresAt, true
	}
	return doc.DateUpdated, true
}

// trouble logs an error, unless the visitor has left.
func (h *handler) trouble(ctx context.Context, what string, document workflow.SID, err error) {
	if ctx.Err() == nil {
		h.Logger.ErrorContext(ctx, what, "document", document, "err", err)
	}
}
