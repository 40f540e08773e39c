package api_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/db"
	"countersign/events"
	"countersign/internal/accounts"
	"countersign/internal/api"
	"countersign/internal/catcher"
	"countersign/internal/delivery"
	"countersign/internal/eventlog"
	"countersign/internal/mail"
	"countersign/internal/relay"
	"countersign/internal/smtpurl"
	"countersign/internal/test/eventstest"
	"countersign/internal/ticket"
	"countersign/workflow"
)

// site is a whole Countersign but for its command line: NATS, a store that
// follows, relays that carry what is owed to a mail catcher, and the API.
type site struct {
	t      testing.TB
	nats   *eventstest.Broker
	log    *eventlog.Log
	store  *db.Store
	dir    string // of store
	box    *catcher.Catcher
	files  *accounts.File
	keys   *ticket.File
	config api.Config
	url    string
}

// newSite starts a site. edit may change how the API is set up.
func newSite(t testing.TB, edit ...func(*api.Config)) *site {
	t.Helper()
	s := siteOn(t, eventstest.Server(t), edit...)
	s.run((&relay.Events{Store: s.store, Log: s.log, Logger: eventstest.Logger()}).Run)
	s.run(s.mails().Run)
	return s
}

// siteOn starts a site on a broker, without the relays.
func siteOn(t testing.TB, nats *eventstest.Broker, edit ...func(*api.Config)) *site {
	t.Helper()
	s := &site{t: t, nats: nats}
	s.log = eventstest.Open(t, eventstest.Connect(t, s.nats), 1)
	box, err := catcher.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box.Script(catcher.ByRecipient())
	s.box = box
	s.run(box.Run)
	s.files = accounts.Open(filepath.Join(t.TempDir(), "accounts"), time.Now, eventstest.Logger())
	if s.keys, err = ticket.Open(filepath.Join(t.TempDir(), "keys"), time.Now, eventstest.Logger()); err != nil {
		t.Fatal(err)
	}
	s.store, s.dir = s.follower()
	s.config, s.url = s.serve(s.store, edit...)
	return s
}

// run runs something in the background until the test ends.
func (s *site) run(f func(context.Context) error) {
	s.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	s.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
}

// follower is a store that follows the site's log.
func (s *site) follower() (store *db.Store, dir string) {
	s.t.Helper()
	dir = s.t.TempDir()
	store, err := db.Open(context.Background(), dir)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { store.Close() })
	s.run(func(ctx context.Context) error { return s.log.Follow(ctx, relay.Fold{Store: store}) })
	return store, dir
}

type sender struct{ *mail.Pool }

func (s sender) Send(ctx context.Context, m workflow.Mail) delivery.Result {
	return s.Pool.Send(ctx, mail.Message{Mail: m})
}

func (s *site) mails() *relay.Mails {
	s.t.Helper()
	server, err := smtpurl.Parse("smtp://" + s.box.Addr() + "?tls=none")
	if err != nil {
		s.t.Fatal(err)
	}
	pool, err := mail.New(mail.Config{
		Server: server, From: "Team <loa@countersign.example>", Pool: 4,
		Link: func(m workflow.Mail) (string, time.Time) {
			return "https://loa.example/sign/" + string(m.Document), m.CausedAt.Add(time.Hour)
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { pool.Close() })
	return &relay.Mails{
		Store: s.store, Log: s.log, Sender: sender{pool}, Limits: mail.NewLimits(0, 0, 0),
		Retry:    relay.Retry{First: 50 * time.Millisecond, Max: time.Second, GiveUp: time.Hour},
		Deadline: 4 * time.Second, Logger: eventstest.Logger(),
	}
}

// serve serves the API from a store, on a port of its own.
func (s *site) serve(store *db.Store, edit ...func(*api.Config)) (api.Config, string) {
	s.t.Helper()
	server := httptest.NewUnstartedServer(nil)
	c := api.Config{
		Documents: store, Orders: store, Addresses: store, Progress: store, Log: s.log, Accounts: s.files, Keys: s.keys, Metrics: api.NewMetrics(),
		PublicURL: "http://" + server.Listener.Addr().String(), Now: time.Now, Random: rand.Reader, Logger: eventstest.Logger(),
	}
	for _, f := range edit {
		f(&c)
	}
	server.Config.Handler = api.New(c)
	server.Config.ErrorLog = slog.NewLogLogger(eventstest.Logger().Handler(), slog.LevelDebug)
	server.Start()
	s.t.Cleanup(server.Close)
	return c, server.URL
}

// user is an account and how to reach the API as one.
type user struct {
	t      testing.TB
	url    string
	client *http.Client
	sid    workflow.SID
	name   string // in Basic auth; empty: none
	secret string
}

// user adds an account.
func (s *site) user() *user {
	s.t.Helper()
	u := &user{t: s.t, url: s.url, client: client, sid: newSID("AC")}
	token, err := s.files.Add(u.sid, "")
	if err != nil {
		s.t.Fatal(err)
	}
	u.name, u.secret = string(u.sid), token
	return u
}

// client follows no redirect, as Twilio's do not.
var client = &http.Client{
	Timeout:       20 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
}

func newSID(letters string) workflow.SID {
	var b [16]byte
	rand.Read(b[:])
	return workflow.SID(letters + hex.EncodeToString(b[:]))
}

// reply is an answer.
type reply struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

// code is the error code of a reply, 0 if it has none.
func (r reply) code() int {
	n, _ := r.body["code"].(float64)
	return int(n)
}

func (r reply) str(key string) string {
	s, _ := r.body[key].(string)
	return s
}

func (r reply) sid() workflow.SID { return workflow.SID(r.str("sid")) }

// do sends a request; headers are pairs.
func (u *user) do(method, path, body string, headers ...string) reply {
	u.t.Helper()
	r, err := u.try(method, path, body, headers...)
	if err != nil {
		u.t.Fatal(err)
	}
	return r
}

func (u *user) try(method, path, body string, headers ...string) (reply, error) {
	if !strings.HasPrefix(path, "http") {
		path = u.url + path
	}
	req, err := http.NewRequest(method, path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
			continue
		}
		req.Header.Add(headers[i], headers[i+1])
		if headers[i] == "Content-Type" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	if u.name != "" {
		req.SetBasicAuth(u.name, u.secret)
	}
	resp, err := u.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	r := reply{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &r.body)
	return r, err
}

func (u *user) get(path string, headers ...string) reply {
	u.t.Helper()
	return u.do(http.MethodGet, path, "", headers...)
}

func (u *user) post(path string, form url.Values, headers ...string) reply {
	u.t.Helper()
	return u.do(http.MethodPost, path, form.Encode(), headers...)
}

// want fails the test where a reply has another status or code.
func (u *user) want(r reply, status, code int) reply {
	u.t.Helper()
	if r.status != status || r.code() != code {
		u.t.Fatalf("got %d and code %d, want %d and %d:\n%s", r.status, r.code(), status, code, r.raw)
	}
	return r
}

const (
	previewPath = "/HostedNumbers/AuthorizationDocuments"
	v2Path      = "/v2/HostedNumber/AuthorizationDocuments"
)

// form is a new document that nothing is wrong with.
func form(edit ...string) url.Values {
	f := url.Values{
		"HostedNumberOrderSids": {string(newSID("HR")), string(newSID("HR"))}, "AddressSid": {string(newSID("AD"))},
		"Email": {"owner@example.com"}, "ContactTitle": {"Owner"}, "ContactPhoneNumber": {"+14155550100"},
		"CcEmails": {"ops@example.com", "legal@example.com"},
	}
	for i := 0; i < len(edit); i += 2 {
		f.Set(edit[i], edit[i+1])
	}
	return f
}

// created makes a document that is signing.
func (u *user) created(edit ...string) reply {
	u.t.Helper()
	return u.want(u.post(previewPath, form(edit...)), http.StatusCreated, 0)
}

// append puts an event on the log and waits until the site's store has it.
func (s *site) append(e events.Event) {
	s.t.Helper()
	seq, err := s.log.Append(context.Background(), e)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.store.WaitApplied(ctx, seq); err != nil {
		s.t.Fatal(err)
	}
}

// sign has a document signed, as the signing page does.
func (s *site) sign(account, document workflow.SID) {
	s.t.Helper()
	s.append(events.StatusChanged("", rand.Text(), account, document, workflow.StatusChanged{Status: workflow.Signed}).By(workflow.WriterPage))
}
