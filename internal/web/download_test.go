package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign/internal/ticket"
	"countersign/workflow"
)

// TestDownload_LinkDoesNothingElse opens links of each purpose where they
// belong and where they do not.
func TestDownload_LinkDoesNothingElse(t *testing.T) {
	signed := letter()
	signed.Status, signed.LetterDigest, signed.Locale = workflow.Signed, pdfDigest, "es"
	out, elsewhere := letter(), signed
	elsewhere.LetterDigest = "sha256:" + strings.Repeat("0", 64)
	recalled := signed
	recalled.Round = 3
	for _, tt := range []struct {
		name    string
		doc     workflow.Document
		purpose ticket.Purpose
		path    string
		later   time.Duration
		code    int
		says    string
	}{
		{"the signed letter", signed, ticket.Download, "/letter/", 0, 200, "%PDF"},
		{"the link of a letter that can be signed, where it is signed", out, ticket.Download, "/sign/", 0, 404, "This link is not valid"},
		{"of one that is signed", signed, ticket.Download, "/sign/", 0, 404, "This link is not valid"},
		{"a signing link", signed, ticket.Sign, "/letter/", 0, 404, "This link is not valid"},
		{"a letter that is not signed", out, ticket.Download, "/letter/", 0, 404, "This link is not valid"},
		{"another round", recalled, ticket.Download, "/letter/", 0, 410, "La carta se ha retirado"},
		{"expired", signed, ticket.Download, "/letter/", 8 * 24 * time.Hour, 410, "could be downloaded here until"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, storeOf(tt.doc))
			s.now = now.Add(tt.later)
			token, err := s.keys.Issue(ticket.Claims{Purpose: tt.purpose, Document: sid, Round: 2, Expires: now.AddDate(0, 0, 7)})
			if err != nil {
				t.Fatal(err)
			}
			code, body := s.get(t, tt.path+token)
			if code != tt.code || !strings.Contains(body, tt.says) {
				t.Errorf("%d, want %d and %q:\n%s", code, tt.code, tt.says, body)
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/letter/"+token, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if resp, _ := do(t, req); resp.StatusCode < 400 {
				t.Errorf("a POST is answered with %d", resp.StatusCode)
			}
		})
	}
}
