package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
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

// post signs or declines. What is cheap to check comes first: where the request
// comes from, the link, and how often the link was used. Only then is the form
// read.
func (h *handler) post(w http.ResponseWriter, r *http.Request) {
	if h.foreign(r) {
		_, t := h.speak(r, "")
		h.show(w, r, h.plain(t, http.StatusForbidden, t.Foreign))
		return
	}
	visit, v := h.visit(r)
	if v != nil {
		h.show(w, r, *v)
		return
	}
	if r.ContentLength > maxBody {
		h.show(w, r, h.unreadable(visit.t, http.StatusRequestEntityTooLarge))
		return
	}
	if wait := h.links.Take(visit.key(), h.Now(), 0); wait > 0 {
		h.tooMany(w, r, wait)
		return
	}
	leave, v := h.receive(w, r, visit)
	if v != nil {
		h.show(w, r, *v)
		return
	}
	defer leave()
	a := answering{h, r, visit, read(r.PostForm)}
	h.show(w, r, a.answer())
}

// receive reads the form, once there is room for it. The view says why it cannot
// be read, if so; else leave makes room for other forms.
func (h *handler) receive(w http.ResponseWriter, r *http.Request, visit *visit) (leave func(), v *view) {
	length := r.ContentLength
	if length < 0 { // it says nowhere how long it is
		length = maxBody
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.Wait)
	defer cancel()
	leave, ok := h.forms.Take(ctx, visit.key(), length)
	if !ok {
		return nil, new(h.plain(visit.t, http.StatusServiceUnavailable, visit.t.Unavailable))
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := h.forms.Receive(w, r.ParseForm); err != nil {
		leave()
		if errors.Is(err, os.ErrDeadlineExceeded) { // it took long, and others wait
			return nil, new(h.plain(visit.t, http.StatusServiceUnavailable, visit.t.Unavailable))
		}
		var long *http.MaxBytesError
		code := http.StatusBadRequest
		if errors.As(err, &long) {
			code = http.StatusRequestEntityTooLarge
		}
		return nil, new(h.unreadable(visit.t, code))
	}
	return leave, nil
}

// unreadable says that a form cannot be read.
func (h *handler) unreadable(t *texts, code int) view {
	return h.plain(t, code, say{Title: t.Unavailable.Title, Lead: t.BadDrawn})
}
