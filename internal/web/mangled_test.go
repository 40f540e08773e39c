package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"countersign/internal/web"
	"countersign/workflow"
)

// serve asks the pages for a path as it stands, which a client would clean up.
func (s *site) serve(t *testing.T, path string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	plain, err := url.PathUnescape(path)
	if err != nil {
		t.Fatal(err)
	}
	r.URL = &url.URL{Path: plain}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// TestHandler_MangledLinkShowsTheLetter opens links as they come out of mail
// programs, chats and documents: case a7, and more of its kind.
func TestHandler_MangledLinkShowsTheLetter(t *testing.T) {
	s := newSite(t, storeOf(letter()))
	token := s.token(t, 2)
	for _, path := range []string{
		"/sign/TOKEN/", "/sign/TOKEN.", "/sign/TOKEN>", "/sign/TOKEN)", "/sign/TOKEN,", `/sign/TOKEN"`, "/sign/TOKEN%20", "//sign/TOKEN", "/Sign/TOKEN",
		"/sign/TOKEN).", "/sign/TOKEN/.", "/sign/TOKEN%3Cbr%3E", "/SIGN/TOKEN;", "/sign//TOKEN", "/sign/%20TOKEN", "/sign/TOKEN%0D%0A", "/sign/TOKEN=",
		"/sign/TOKEN%E2%80%9D", "/sign/<TOKEN>", "/sign/TOKEN_", "/sign/TOKEN**", "/sign/TOKEN]", "/sign/TOKEN&lang=es", "/sign/TOKEN//", "///sign/TOKEN%C2%A0",
	} {
		path = strings.ReplaceAll(path, "TOKEN", token)
		code, body := s.serve(t, path)
		if code != 200 || !strings.Contains(body, "Waiting for your signature") || !strings.Contains(body, `action="/sign/`+token+`?lang=`) {
			t.Errorf("%s: status %d", strings.ReplaceAll(path, token, "TOKEN"), code)
		}
		if !web.Owns(path) {
			t.Errorf("%s is no link", path)
		}
	}
	for _, path := range []string{"/sign/TOKEN/letter.pdf/", "/Sign/TOKEN/Letter.PDF).", "//sign/TOKEN/letter.pdf"} {
		if code, body := s.serve(t, strings.ReplaceAll(path, "TOKEN", token)); code != 200 || !strings.HasPrefix(body, "%PDF") {
			t.Errorf("%s: status %d", path, code)
		}
	}
}

// TestHandler_WhatIsNoLinkIsNotFound holds that nothing but a link is repaired.
func TestHandler_WhatIsNoLinkIsNotFound(t *testing.T) {
	s := newSite(t, storeOf(letter()))
	token := s.token(t, 2)
	for _, path := range []string{"/sign/", "/sign", "/signs/" + token, "/sign/" + token[1:] + ".", "/sign/" + token[:70] + ".A", "/sign/" + token + "/other", "/x/sign/" + token} {
		if code, body := s.serve(t, path); code != 404 || strings.Contains(body, "555-0100") {
			t.Errorf("%s: status %d", strings.ReplaceAll(path, token, "TOKEN"), code)
		}
	}
}

// TestPost_OriginOfPublicURL sends the form as a browser does through a proxy
// that passes on a Host of its own: case a6, and more of its kind.
func TestPost_OriginOfPublicURL(t *testing.T) {
	for public, origin := range map[string]string{
		"https://sign.example.com":      "https://sign.example.com",
		"https://sign.example.com:443":  "https://sign.example.com",
		"https://Sign.Example.com:8443": "https://sign.example.com:8443",
		"http://sign.example.com:80":    "http://sign.example.com",
		"https://bücher.example":        "https://xn--bcher-kva.example",
	} {
		o := newOffice(t, func(c *web.Config) { c.PublicURL = public })
		form := o.form()
		for _, foreign := range []string{"https://evil.example", "https://sign.example.com.evil.example", "http://sign.example.com:444"} {
			code, body := o.post(form, "Origin", foreign)
			o.wants(code, 403, body, "Nothing has changed")
		}
		if code, _ := o.post(form, "Origin", origin); code != 200 {
			t.Errorf("public-url %s, Origin %s: status %d", public, origin, code)
		}
		o.stands(workflow.Signed)
	}
}
