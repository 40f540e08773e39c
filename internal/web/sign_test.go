package web_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/db"
	"countersign/events"
	"countersign/events/eventstest"
	"countersign/internal/loa"
	"countersign/internal/relay"
	"countersign/internal/web"
	"countersign/workflow"
)

// letters is where letters end up; the PDF and its store have tests of their
// own.
type letters struct {
	mu     sync.Mutex
	signed []web.Signature
	err    error  // of the next
	while  func() // a letter is being signed; may be nil
}

const pdfDigest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func (l *letters) PDF(_ context.Context, doc workflow.Document, words loa.Words) ([]byte, error) {
	return fmt.Appendf(nil, "%%PDF %s %s %s", doc.SID, doc.Status, words.Language), l.err
}

func (l *letters) Kept(doc workflow.Document) bool { return doc.LetterDigest == pdfDigest }

func (l *letters) Sign(_ context.Context, _ workflow.Document, s web.Signature) (digest, name string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.signed = append(l.signed, s)
	if l.while != nil {
		l.while()
	}
	return pdfDigest, "name of the letter", l.err
}

// office is a site on a log of its own, with a document that is signing in
// round 2.
type office struct {
	*site
	t     *testing.T
	nats  *eventstest.Broker
	eager *events.Log
	store *db.Store
}

type pliant struct{}

func (pliant) Size() int { return 1 }
func (pliant) Send(context.Context, workflow.Mail) relay.Result {
	return relay.Result{Outcome: workflow.Accepted, Code: 250}
}
func (pliant) Allow(string, time.Time) (bool, time.Duration) { return true, 0 }

func newOffice(t *testing.T, edit ...func(*web.Config)) *office {
	t.Helper()
	o := &office{t: t, nats: eventstest.Server(t)}
	o.eager = eventstest.Open(t, eventstest.Connect(t, o.nats), 1)
	var err error
	if o.store, err = db.Open(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := o.eager.Follow(ctx, relay.Fold{Store: o.store}); err != nil {
			t.Error(err)
		}
	})
	mails := &relay.Mails{Store: o.store, Log: o.eager, Sender: pliant{}, Limits: pliant{}, Deadline: 4 * time.Second, Logger: eventstest.Logger()}
	group.Go(func() { _ = mails.Run(ctx) })
	t.Cleanup(func() {
		stop()
		group.Wait()
		o.store.Close()
	})
	l := letter()
	o.append(events.Created("/orders", "c", l.AccountSID, sid, workflow.Created{
		AddressSID: "AD000102030405060708090a0b0c0d0e0f", Email: l.Email, CCEmails: l.CCEmails, ContactTitle: "Owner", Hold: true,
		HostedNumberOrders: []workflow.OrderRef{{SID: l.Orders[0].SID, PhoneNumber: l.Orders[0].PhoneNumber}, {SID: order}},
	}))
	o.append(o.status("hold", workflow.StatusChanged{Status: workflow.Signing}))
	o.stands(workflow.Signing)
	o.recall("1")
	o.site = newSite(t, o.store, append([]func(*web.Config){func(c *web.Config) { c.Log = o.eager }}, edit...)...)
	return o
}

func (o *office) status(id string, b workflow.StatusChanged) events.Event {
	return events.StatusChanged("/orders", id, letter().AccountSID, sid, b)
}

// recall takes the document back and sends it again.
func (o *office) recall(id string) {
	o.t.Helper()
	o.append(o.status("recall"+id, workflow.StatusChanged{Status: workflow.Opened}))
	o.append(o.status("again"+id, workflow.StatusChanged{Status: workflow.Signing}))
	o.stands(workflow.Signing)
}

func (o *office) append(e events.Event) {
	o.t.Helper()
	seq, err := o.eager.Append(o.t.Context(), e)
	if err != nil {
		o.t.Fatal(err)
	}
	if err := o.store.WaitApplied(o.t.Context(), seq); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) stands(want workflow.Status) workflow.Document {
	o.t.Helper()
	var doc workflow.Document
	eventstest.Wait(o.t, "the document to be "+string(want), func() bool {
		var err error
		doc, err = o.store.Document(o.t.Context(), sid)
		return err == nil && doc.Status == want
	})
	return doc
}

// form reads the form that the page shows, filled in so that it can be sent.
func (o *office) form() url.Values {
	o.t.Helper()
	_, body := o.get(o.t, "/sign/"+o.token(o.t, 2))
	return url.Values{
		"version": {field(o.t, body, "version")}, "lang": {field(o.t, body, "lang")}, "action": {"sign"}, "name": {" Zoë <b>Owner</b> "}, "title": {"Owner"},
		"authority": {"yes"}, "statements": {"yes"}, "consent": {"yes"}, "zone": {"America/Chicago"},
	}
}

func field(t *testing.T, body, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no field %s in\n%s", name, body)
	}
	return m[1]
}

// post sends a form; headers are pairs.
func (o *office) post(form url.Values, headers ...string) (int, string) {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), http.MethodPost, o.url+"/sign/"+o.token(o.t, 2), strings.NewReader(form.Encode()))
	if err != nil {
		o.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "Browser/1.0")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, body := do(o.t, req)
	return resp.StatusCode, body
}

func (o *office) wants(code, want int, body string, says ...string) {
	o.t.Helper()
	text := words(o.t, body)
	if code != want {
		o.t.Errorf("status %d, want %d:\n%s", code, want, text)
	}
	for _, s := range says {
		if !strings.Contains(text, s) {
			o.t.Errorf("does not say %q:\n%s", s, text)
		}
	}
}

func TestSigning(t *testing.T) {
	o := newOffice(t)
	form := o.form()
	form.Set("drawn", "data:image/png;base64,"+base64.StdEncoding.EncodeToString(line(t, 300, 100)))
	code, body := o.post(form)
	o.wants(code, 200, body, "Thank you, the letter is signed", "Download the signed letter")
	doc := o.stands(workflow.Signed)
	if doc.LetterDigest != pdfDigest || doc.Round != 2 {
		t.Errorf("signed with %q in round %d", doc.LetterDigest, doc.Round)
	}
	var e struct {
		Name, Title, Language, Consent, IP, Shown, Zone, Letter string
		WordsVersion                                            string `json:"words_version"`
		UserAgent                                               string `json:"user_agent"`
		Statements                                              []string
		Time                                                    time.Time
		Drawn                                                   bool
	}
	if err := json.Unmarshal(doc.Evidence, &e); err != nil {
		t.Fatal(err)
	}
	w := loa.Of("Example Messaging", "en")
	if e.Name != "Zoë <b>Owner</b>" || e.Title != "Owner" || e.Language != "en" || e.WordsVersion != loa.Version || e.Consent != w.Consent ||
		strings.Join(e.Statements, "|") != strings.Join([]string{w.Authority, w.Scope, w.NotAPort, w.Validity}, "|") || e.IP != "127.0.0.1" ||
		e.UserAgent != "Browser/1.0" || !e.Time.Equal(now) || e.Zone != "America/Chicago" || e.Shown != form.Get("version") || !e.Drawn || e.Letter != "name of the letter" {
		t.Errorf("evidence: %s", doc.Evidence)
	}
	if s := o.signed[0]; len(s.Drawn) == 0 || s.Name != e.Name || s.Address != e.IP || s.Shown != e.Shown {
		t.Errorf("the letter was signed by %+v", s)
	}
	code, body = o.post(form)
	o.wants(code, 200, body, "This letter has been signed", "Download the signed letter")
	if len(o.signed) != 1 {
		t.Errorf("%d letters were signed", len(o.signed))
	}
	if log := o.log.String(); log != "" {
		t.Errorf("the log: %s", log)
	}
}

func TestDeclining(t *testing.T) {
	for action, want := range map[string]string{"decline": "We moved.\nTwice", "not-me": "not the right person", "": "declined"} {
		t.Run(action, func(t *testing.T) {
			o := newOffice(t)
			form := o.form()
			for _, name := range []string{"name", "authority", "statements", "consent"} {
				form.Del(name)
			}
			if form.Set("action", action); action == "" {
				form.Set("action", "decline")
			} else {
				form.Set("reason", " We moved.\r\nTwice ")
			}
			code, body := o.post(form)
			says := map[bool]string{true: "Thank you for telling us", false: "You have declined this letter"}[action == "not-me"]
			o.wants(code, 200, body, "Declined", says, "Nothing will be registered")
			code, body = o.post(form)
			o.wants(code, 200, body, "Declined", "can no longer be signed")
			doc := o.stands(workflow.Canceled)
			if doc.CanceledBy != "signer" || doc.Reason != want || !strings.Contains(string(doc.Evidence), "Browser/1.0") {
				t.Errorf("canceled by %q, reason %q, evidence %s", doc.CanceledBy, doc.Reason, doc.Evidence)
			}
		})
	}
}

func TestWhatIsWrongIsSaidAtItsField(t *testing.T) {
	o := newOffice(t)
	long := strings.Repeat("x", 121)
	for _, c := range []struct{ name, value, id, says string }{
		{"name", "", "name", "Type your full name"},
		{"name", "42", "name", "Type your full name"},
		{"name", long, "name", "at most 120 characters"},
		{"name", "Zoë\u0007", "name", "no line breaks"},
		{"title", long, "title", "at most 120 characters"},
		{"authority", "", "authority", "Tick that you are the subscriber"},
		{"statements", "", "statements", "Tick that you have read"},
		{"consent", "", "consent", "Tick that you agree"},
		{"drawn", "data:image/png;base64,AAAA", "drawn", "could not be read"},
		{"drawn", "https://example.com/x.png", "drawn", "could not be read"},
		{"drawn", "data:image/png;base64," + base64.StdEncoding.EncodeToString(line(t, 2001, 10)), "drawn", "could not be read"},
		{"reason", strings.Repeat("é", 1001), "reason", "at most 1,000 characters"},
	} {
		t.Run(c.name, func(t *testing.T) {
			form := o.form()
			form.Set(c.name, c.value)
			if c.name == "reason" {
				form.Set("action", "decline")
			}
			code, body := o.post(form)
			o.wants(code, 422, body, c.says)
			if !strings.Contains(body, `<a href="#`+c.id+`">`) || !strings.Contains(body, ` id="`+c.id+`"`) || !strings.Contains(body, "<title>Error: ") {
				t.Errorf("no summary that leads to the field:\n%s", body)
			}
			if c.name != "drawn" && !strings.Contains(body, `aria-invalid="true"`) {
				t.Error("the field is not marked")
			}
			if c.name != "name" && c.name != "reason" && !strings.Contains(body, `value="Zoë &lt;b&gt;Owner&lt;/b&gt;"`) {
				t.Error("what was typed is not kept")
			}
			if c.name != "consent" && c.name != "reason" && !regexp.MustCompile(`id="consent"[^>]* checked`).MatchString(body) {
				t.Error("what was ticked is not kept")
			}
		})
	}
	o.stands(workflow.Signing)
	if len(o.signed) > 0 {
		t.Error("a letter was signed")
	}
}

func TestALetterThatChangedIsShownAnew(t *testing.T) {
	o := newOffice(t)
	form := o.form()
	o.append(events.OrderStatusChanged("/carrier", "n", letter().AccountSID, sid, order, workflow.OrderStatusChanged{Status: workflow.OrderPendingLOA, PhoneNumber: "+14155550199"}))
	code, body := o.post(form)
	o.wants(code, 409, body, "The letter changed while you read it", "(415) 555-0199")
	if strings.Contains(body, " checked") {
		t.Error("what was ticked for another letter is ticked")
	}
	o.stands(workflow.Signing)
	form.Set("version", field(t, body, "version"))
	if code, _ = o.post(form); code != 200 {
		t.Errorf("sent again: status %d", code)
	}
	o.stands(workflow.Signed)
}

func TestTheOthersAnswerIsShown(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(o *office)
		code int
		says string
	}{
		"canceled": {func(o *office) {
			o.append(o.status("x", workflow.StatusChanged{Status: workflow.Canceled, CanceledBy: "account"}))
		}, 200, "has withdrawn it"},
		"recalled":     {func(o *office) { o.append(o.status("x", workflow.StatusChanged{Status: workflow.Opened})) }, 410, "was taken back"},
		"sent anew":    {func(o *office) { o.recall("2") }, 410, "has been replaced"},
		"signed there": {func(o *office) { o.append(o.status("x", workflow.StatusChanged{Status: workflow.Signed})) }, 200, "has been signed"},
		"expired":      {func(o *office) { o.now = now.AddDate(0, 0, 8) }, 410, "has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			form := o.form()
			c.do(o)
			code, body := o.post(form)
			o.wants(code, c.code, body, c.says)
			if len(o.signed) > 0 {
				t.Error("a letter was signed")
			}
		})
	}
}

func TestBusyAndFailed(t *testing.T) {
	o := newOffice(t, func(c *web.Config) { c.Wait = 300 * time.Millisecond })
	form := o.form()
	o.err = errors.New("no font")
	code, body := o.post(form)
	o.wants(code, 500, body, "was not recorded")
	o.err = fmt.Errorf("store: %w", workflow.ErrUnavailable)
	code, body = o.post(form)
	o.wants(code, 503, body, "Please try again")
	o.err = nil
	o.nats.Stop()
	code, body = o.post(form)
	o.wants(code, 503, body, "it counts once")
	if !strings.Contains(body, `value="Zoë &lt;b&gt;Owner&lt;/b&gt;"`) {
		t.Error("what was typed is not kept")
	}
	if log := o.site.log.String(); !strings.Contains(log, "no font") || strings.Contains(log, o.token(t, 2)) || strings.Contains(log, "Zo") {
		t.Errorf("the log: %s", log)
	}
	o.nats.Start()
	eventstest.Wait(t, "the answer to count", func() bool {
		code, _ = o.post(form)
		return code == 200
	})
	o.stands(workflow.Signed)
}

func TestAnAnswerGoesNoFasterThanTheMail(t *testing.T) {
	o := newOffice(t, func(c *web.Config) { c.Wait = 100 * time.Millisecond })
	doc := o.stands(workflow.Signing)
	doc.Status = workflow.Opened
	s := newSite(t, storeOf(doc), func(c *web.Config) { c.Wait, c.Keys = 100*time.Millisecond, o.keys })
	form := o.form()
	o.url = s.url
	code, body := o.post(form)
	o.wants(code, 503, body, "Please try again")
}

func TestAnotherWebsiteCannotAnswer(t *testing.T) {
	o := newOffice(t)
	form := o.form()
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "cross-site", "Origin", "null"}, {"Origin", "https://evil.example"},
	} {
		code, body := o.post(form, headers...)
		o.wants(code, 403, body, "Nothing has changed")
	}
	o.stands(workflow.Signing)
	code, _ := o.post(form, "Origin", "null") // an old browser, on our own page
	if code != 200 {
		t.Errorf("an old browser: status %d", code)
	}
}

func TestLimits(t *testing.T) {
	o := newOffice(t, func(c *web.Config) { c.LinkRate = 0.1 })
	form := o.form()
	form.Del("name")
	for i, want := range []int{422, 422, 429} {
		code, body := o.post(form)
		if code != want {
			t.Errorf("post %d: status %d, want %d\n%s", i, code, want, body)
		}
	}
	form.Set("drawn", strings.Repeat("x", 600<<10))
	if code, _ := o.post(form); code != 413 {
		t.Errorf("a form that is too long: status %d", code)
	}
	s := newSite(t, store{}, func(c *web.Config) { c.AddressRate = 0.1 })
	for i, want := range []int{200, 200, 429} {
		if code, _ := s.get(t, "/"); code != want {
			t.Errorf("get %d: status %d, want %d", i, code, want)
		}
	}
}

func TestTheLetterAsAPDF(t *testing.T) {
	s := newSite(t, storeOf(letter()))
	path := "/sign/" + s.token(t, 2) + "/letter.pdf"
	code, body := s.get(t, path+"?lang=es")
	if code != 200 || body != "%PDF "+string(sid)+" signing es" {
		t.Errorf("got %d %s", code, body)
	}
	if code, _ = s.get(t, "/sign/"+s.token(t, 1)+"/letter.pdf"); code != 410 {
		t.Errorf("of another round: %d", code)
	}
	s.err = errors.New("no font")
	if code, _ = s.get(t, path); code != 503 {
		t.Errorf("one that cannot be written: %d", code)
	}
	s.err = workflow.ErrNotFound
	if code, _ = s.get(t, path); code != 404 {
		t.Errorf("one that is not there: %d", code)
	}
}

func TestThePageSpeaksSpanish(t *testing.T) {
	o := newOffice(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, o.url+"/sign/"+o.token(t, 2), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Language", "es-MX,es;q=0.9")
	resp, body := do(t, req)
	o.wants(resp.StatusCode, 200, body, "Carta de autorización", "Firmar la carta", "30 de noviembre de 2026, 10:00 UTC", "Esto no es una portabilidad")
	form := o.form()
	english := form.Get("version")
	form.Set("version", field(t, body, "version"))
	form.Set("lang", field(t, body, "lang"))
	if form.Get("version") == english {
		t.Error("the letter in Spanish is the same as in English")
	}
	code, body := o.post(form)
	o.wants(code, 200, body, "Gracias, la carta está firmada")
	if e := string(o.stands(workflow.Signed).Evidence); !strings.Contains(e, `"language":"es"`) || !strings.Contains(e, "Soy titular") {
		t.Errorf("evidence: %s", e)
	}
}

func TestTheDocumentsLocaleComesBeforeTheBrowsers(t *testing.T) {
	for _, tt := range []struct{ locale, query, accept, says string }{
		{"es-MX", "", "en-US,en;q=0.9", "Carta de autorización"},
		{"en", "", "es", "Letter of Authorization"},
		{"es", "?lang=en", "es", "Letter of Authorization"},
		{"fr", "", "es", "Carta de autorización"},
		{"fr", "", "", "Letter of Authorization"},
	} {
		doc := letter()
		doc.Locale = tt.locale
		s := newSite(t, storeOf(doc))
		for path, says := range map[string]string{
			"/sign/" + s.token(t, 2): tt.says,
			"/sign/" + s.token(t, 1): map[string]string{"Carta de autorización": "Este enlace", "Letter of Authorization": "This link"}[tt.says],
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path+tt.query, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept-Language", tt.accept)
			if _, body := do(t, req); !strings.Contains(words(t, body), says) {
				t.Errorf("locale %s, %q, browser %q: %s lacks %q", tt.locale, tt.query, tt.accept, path[:6], says)
			}
		}
	}
}

// line is a PNG with a line in it.
func line(t *testing.T, wide, high int) []byte {
	t.Helper()
	picture := image.NewNRGBA(image.Rect(0, 0, wide, high))
	for x := range wide {
		picture.Pix[picture.PixOffset(x, x%high)+3] = 255
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
