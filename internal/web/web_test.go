package web_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/test/logtest"
	"countersign/internal/ticket"
	"countersign/internal/web"
	"countersign/workflow"
)

const (
	sid   = workflow.SID("PX000102030405060708090a0b0c0d0e0f")
	order = workflow.SID("HR000102030405060708090a0b0c0d0e0f")
)

var now = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func TestPage_LinkShowsTheStateOfTheLetter(t *testing.T) {
	signed := now.Add(-time.Hour)
	for _, c := range []struct {
		name   string
		change func(*workflow.Document)
		at     time.Time // of the visit, now where it is zero
		token  string    // the document's where it is empty
		code   int
		says   []string
		hides  []string
	}{
		{
			name: "waiting", code: 200,
			says: []string{
				"Waiting for your signature", "Example Messaging asks you to sign", "(415) 555-0100", "+44 20 7946 0958", string(order), string(sid),
				"Managing <b>director</b>", "Bay & View <i>Law</i>", "1 Market Street San Francisco, CA 94105 US", "Present carrier: Pacific <b>Voice</b>", "owner@example.com", "30 November 2026, 10:00 UTC", "not a port", "Voice service stays", "I agree to sign this letter electronically",
			},
			hides: []string{"ops@example.com", "ACaaaa"},
		},
		{
			name: "accepted by the mail server, but not by our own record yet", code: 200,
			change: func(d *workflow.Document) { d.Status = workflow.Opened },
			says:   []string{"Waiting for your signature", "(415) 555-0100"},
		},
		{
			name: "held by a recall before the mail server's word", code: 410,
			change: func(d *workflow.Document) { d.Status, d.Hold = workflow.Opened, true },
			says:   []string{"The letter was taken back"}, hides: []string{"555-0100", "@example.com"},
		},
		{
			name: "recalled", code: 410,
			change: func(d *workflow.Document) { d.Status, d.Round, d.Hold = workflow.Opened, 3, true },
			says:   []string{"The letter was taken back"}, hides: []string{"555-0100", string(sid), "@example.com"},
		},
		{
			name: "sent to another address", code: 410,
			change: func(d *workflow.Document) { d.Round, d.Email = 3, "right@example.net" },
			says:   []string{"This link has been replaced", "is for r…@example.net."}, hides: []string{"555-0100", string(sid), "right@"},
		},
		{
			name: "recalled, and signed in a later round", code: 410,
			change: func(d *workflow.Document) { d.Status, d.Round = workflow.Signed, 3 },
			says:   []string{"The letter was taken back"}, hides: []string{"555-0100", "has been signed", "@example.com"},
		},
		{
			name: "signed", code: 200,
			change: func(d *workflow.Document) { d.Status, d.DateSigned = workflow.Signed, &signed },
			says:   []string{"This letter has been signed", "23 November 2026, 09:00 UTC", "(415) 555-0100"}, hides: []string{"Sign the letter"},
		},
		{
			name: "declined", code: 200,
			change: func(d *workflow.Document) { d.Status, d.CanceledBy, d.Reason = workflow.Canceled, "signer", "not mine" },
			says:   []string{"Declined"}, hides: []string{"Waiting", "not mine"},
		},
		{
			name: "withdrawn", code: 200,
			change: func(d *workflow.Document) { d.Status, d.CanceledBy = workflow.Canceled, "account" },
			says:   []string{"Withdrawn"}, hides: []string{"Waiting"},
		},
		{
			name: "failed", code: 200,
			change: func(d *workflow.Document) { d.Status, d.Reason = workflow.Failed, "550 no such user" },
			says:   []string{"Closed", "can no longer be signed"}, hides: []string{"550"},
		},
		{
			name: "failed, and an upstream service calls it expired", code: 200,
			change: func(d *workflow.Document) { d.Status, d.Reason = workflow.Failed, workflow.ReasonExpired },
			says:   []string{"Closed", "can no longer be signed"}, hides: []string{"This link has expired"},
		},
		{
			name: "expired", code: 410,
			change: func(d *workflow.Document) {
				d.Status, d.EndedBy, d.ExpiresAt = workflow.Failed, workflow.EndedExpired, &signed
			},
			says: []string{"This link has expired", "23 November 2026, 09:00 UTC"}, hides: []string{"555-0100", string(sid)},
		},
		{
			name: "good until it expires", code: 200,
			change: func(d *workflow.Document) { d.ExpiresAt = new(now.Add(time.Hour)) },
			says:   []string{"Link good until 23 November 2026, 11:00 UTC"},
		},
		{
			name: "late", code: 410, at: now.AddDate(0, 0, 7),
			says: []string{"This link has expired", "30 November 2026, 10:00 UTC"}, hides: []string{"555-0100", string(sid)},
		},
		{name: "forged", code: 404, token: strings.Repeat("A", 71), says: []string{"This link is not valid"}, hides: []string{"555-0100"}},
		{name: "not a token", code: 404, token: "x", says: []string{"This link is not valid"}},
		{
			name: "of a document that is not there", code: 404,
			change: func(d *workflow.Document) { d.SID = "PXffffffffffffffffffffffffffffffff" },
			says:   []string{"This link is not valid"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := letter()
			if c.change != nil {
				c.change(&doc)
			}
			s := newSite(t, storeOf(doc))
			if !c.at.IsZero() {
				s.now = c.at
			}
			if c.token == "" {
				c.token = s.token(t, 2)
			}
			code, body := s.get(t, "/sign/"+c.token)
			if code != c.code {
				t.Errorf("status %d, want %d", code, c.code)
			}
			text := words(t, body)
			for _, want := range c.says {
				if !strings.Contains(text, want) {
					t.Errorf("does not say %q:\n%s", want, text)
				}
			}
			for _, secret := range c.hides {
				if strings.Contains(text, secret) {
					t.Errorf("says %q:\n%s", secret, text)
				}
			}
		})
	}
}

func TestHandler_OtherPages(t *testing.T) {
	s := newSite(t, store{})
	for path, want := range map[string]struct {
		code int
		says string
	}{
		"/":           {200, "Letters of authorization"},
		"/sign":       {404, "There is no such page"},
		"/sign/":      {404, "There is no such page"},
		"/sign/x/y":   {404, "There is no such page"},
		"/robots.txt": {404, "There is no such page"},
	} {
		t.Run(path, func(t *testing.T) {
			code, body := s.get(t, path)
			if code != want.code || !strings.Contains(words(t, body), want.says) {
				t.Errorf("got %d, want %d and %q:\n%s", code, want.code, want.says, body)
			}
		})
	}
}

func TestHandler_Methods(t *testing.T) {
	s := newSite(t, storeOf(letter()))
	for _, path := range []string{"/", "/sign/" + s.token(t, 2)} {
		for method, want := range map[string]int{"GET": 200, "HEAD": 200, "PUT": 405, "PATCH": 405, "DELETE": 405, "OPTIONS": 405} {
			req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, body := do(t, req)
			if resp.StatusCode != want {
				t.Errorf("%s %s: status %d, want %d", method, path[:2], resp.StatusCode, want)
			}
			if method == "HEAD" && body != "" {
				t.Errorf("HEAD %s: has a body", path[:2])
			}
		}
	}
}

func TestHandler_Unavailable(t *testing.T) {
	s := newSite(t, broken{})
	token := s.token(t, 2)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/sign/"+token, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, body := do(t, req)
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	if strings.Contains(body, "disk") || !strings.Contains(body, "try again") {
		t.Errorf("body:\n%s", body)
	}
	if log := s.log.String(); !strings.Contains(log, "disk on fire") || !strings.Contains(log, string(sid)) || strings.Contains(log, token) {
		t.Errorf("log: %s", log)
	}
}

// letter is a document in its second round, with a number in the plan, one
// outside and one not known yet.
func letter() workflow.Document {
	return workflow.Document{
		SID: sid, AccountSID: "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Status: workflow.Signing, Round: 2,
		Email: "owner@example.com", CCEmails: []string{"ops@example.com"}, ContactTitle: "Managing <b>director</b>",
		Subscriber: "Bay & View <i>Law</i>", ServiceAddress: workflow.ServiceAddress{Street: "1 Market Street", City: "San Francisco", Region: "CA", PostalCode: "94105", Country: "US"},
		Orders: []workflow.Order{
			{SID: "HRaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", PhoneNumber: "+14155550100", CurrentCarrier: "Pacific <b>Voice</b>"},
			{SID: "HRbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", PhoneNumber: "+442079460958"},
			{SID: order},
		},
	}
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// still is a store that no log moves.
type still struct{}

func (still) WaitApplied(context.Context, uint64) error              { return nil }
func (still) DocumentChanged(workflow.SID) (<-chan struct{}, func()) { return nil, func() {} }

type store struct {
	still
	docs map[workflow.SID]workflow.Document
}

func storeOf(doc workflow.Document) store {
	return store{docs: map[workflow.SID]workflow.Document{doc.SID: doc}}
}

func (s store) Document(_ context.Context, sid workflow.SID) (workflow.Document, error) {
	doc, ok := s.docs[sid]
	if !ok {
		return doc, workflow.ErrNotFound
	}
	return doc, nil
}

type broken struct{ still }

func (broken) Document(context.Context, workflow.SID) (workflow.Document, error) {
	return workflow.Document{}, errors.New("disk on fire")
}

type site struct {
	handler http.Handler

	url  string
	keys *ticket.Keys
	now  time.Time
	log  logtest.Buffer

	letters
}

func newSite(t *testing.T, docs web.Documents, edit ...func(*web.Config)) *site {
	t.Helper()
	keys, err := ticket.LoadKeys(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	s := &site{keys: keys, now: now}
	c := web.Config{
		Documents: docs, Keys: keys, Letters: &s.letters, Provider: "Example Messaging", Now: func() time.Time { return s.now },
		Logger: slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Wait:   10 * time.Second, AddressRate: 1000, LinkRate: 1000,
	}
	for _, f := range edit {
		f(&c)
	}
	s.handler = web.Handler(c)
	srv := httptest.NewServer(s.handler)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

// token is that of the document's link in the given round.
func (s *site) token(t *testing.T, round int) string {
	t.Helper()
	token, err := s.keys.Issue(ticket.Claims{Purpose: ticket.Sign, Document: sid, Round: round, Expires: now.AddDate(0, 0, 7)})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (s *site) get(t *testing.T, path string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, body := do(t, req)
	return resp.StatusCode, body
}

func do(t *testing.T, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// words is the text that a page shows.
func words(t *testing.T, page string) string {
	t.Helper()
	body := between(page, "<body>", "</body>")
	if body == "" {
		t.Fatalf("not a page:\n%s", page)
	}
	text := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, " ")
	return html.UnescapeString(strings.Join(strings.Fields(text), " "))
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}
