package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"countersign/events/emailaddr"
	"countersign/internal/httpd"
)

// foreign reports whether another website's page sent the request. A browser
// too old to say Sec-Fetch-Site sends "Origin: null" from our own page, because
// of its referrer policy; there the token, which no other site knows, decides
// alone. If it sends the origin of PublicURL, the page is ours, whatever Host a
// proxy passes on.
func (h *handler) foreign(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if r.Header.Get("Sec-Fetch-Site") == "" && origin != "" && (origin == "null" || origin == h.origin) {
		return false
	}
	return httpd.Foreign(r)
}

// originOf is the origin of a URL as browsers send it (RFC 6454, section 6.1): in
// lower case and ASCII, without the port that its scheme has anyway. It is ""
// if the URL has none.
func originOf(publicURL string) string {
	u, err := url.Parse(strings.ToLower(publicURL))
	if err != nil || u.Host == "" {
		return ""
	}
	host := u.Host
	if name, err := emailaddr.Host(u.Hostname()); err == nil {
		host = name
		if u.Port() != "" {
			host += ":" + u.Port()
		}
	}
	return u.Scheme + "://" + strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
}

// post signs or declines. It checks the origin of the request, the link, and how
// often the link was used before it reads the form.
func (h *handler) post(w http.ResponseWriter, r *http.Request) {
	if h.foreign(r) {
		_, t := h.speak(r, "")
		h.show(w, r, h.plain(t, http.StatusForbidden, t.Foreign))
		return
	}
	visit := h.visit(r)
	if visit.access != signs {
		h.show(w, r, visit.page)
		return
	}
	if r.ContentLength > maxBody {
		h.show(w, r, h.unread(visit.t, httpd.ErrFormTooLarge))
		return
	}
	if wait := h.links.Take(visit.key(), h.Now(), 0); wait > 0 {
		h.tooMany(w, r, wait)
		return
	}
	leave, err := h.forms.Receive(w, r, visit.key())
	if err != nil {
		h.show(w, r, h.unread(visit.t, err))
		return
	}
	defer leave()
	if err := r.ParseForm(); err != nil {
		h.show(w, r, h.unread(visit.t, err))
		return
	}
	a := answering{h, r, visit, read(r.PostForm)}
	h.show(w, r, a.answer())
}

// unread says why a form was not read.
func (h *handler) unread(t *texts, err error) view {
	code := http.StatusBadRequest
	switch {
	case errors.Is(err, httpd.ErrNoRoom), errors.Is(err, httpd.ErrFormTooSlow):
		return h.plain(t, http.StatusServiceUnavailable, t.Unavailable)
	case errors.Is(err, httpd.ErrFormTooLarge):
		code = http.StatusRequestEntityTooLarge
	}
	return h.plain(t, code, say{Title: t.Unavailable.Title, Lead: t.BadDrawn})
}
