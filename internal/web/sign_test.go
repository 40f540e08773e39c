package web_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign/events"
	"countersign/internal/loa"
	"countersign/internal/test/eventstest"
	"countersign/internal/web"
	"countersign/workflow"
)

func TestPost_Signing(t *testing.T) {
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

func TestPost_FaultIsShownAtItsField(t *testing.T) {
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
		{"declines", "", "declines", "Tick that you decline to sign"},
		{"reason", strings.Repeat("é", 201), "person", "at most 200 characters"},
		{"reason", "Jane \u202eenaJ", "person", "hidden characters"},
		{"wrong-person", "", "wrong-person", "Tick that you are not the person who should sign"},
	} {
		t.Run(c.id, func(t *testing.T) {
			form, signs := o.form(), true
			form.Set(c.name, c.value)
			switch c.id {
			case "reason", "declines":
				form.Set("action", "decline")
				signs = false
			case "person", "wrong-person":
				form.Set("action", "not-me")
				signs = false
			}
			code, body := o.post(form)
			o.wants(code, 422, body, c.says)
			if !strings.Contains(body, `<a href="#`+c.id+`">`) || !strings.Contains(body, ` id="`+c.id+`"`) || !strings.Contains(body, "<title>Error: ") {
				t.Errorf("no summary that leads to the field:\n%s", body)
			}
			if c.name != "drawn" && !strings.Contains(body, `aria-invalid="true"`) {
				t.Error("the field is not marked")
			}
			if c.name != "name" && signs && !strings.Contains(body, `value="Zoë &lt;b&gt;Owner&lt;/b&gt;"`) {
				t.Error("what was typed is not kept")
			}
			if c.name != "consent" && signs && !regexp.MustCompile(`id="consent"[^>]* checked`).MatchString(body) {
				t.Error("what was ticked is not kept")
			}
		})
	}
	o.stands(workflow.Signing)
	if len(o.signed) > 0 {
		t.Error("a letter was signed")
	}
}

func TestPost_ChangedLetterIsShownAgain(t *testing.T) {
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

func TestPost_EarlierAnswerOfAnotherIsShown(t *testing.T) {
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

func TestPost_BusyAndFailed(t *testing.T) {
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

func TestPost_AnswerWaitsForTheEmail(t *testing.T) {
	o := newOffice(t, func(c *web.Config) { c.Wait = 100 * time.Millisecond })
	doc := o.stands(workflow.Signing)
	doc.Status = workflow.Opened
	s := newSite(t, storeOf(doc), func(c *web.Config) { c.Wait, c.Keys = 100*time.Millisecond, o.keys })
	form := o.form()
	o.url = s.url
	code, body := o.post(form)
	o.wants(code, 503, body, "Please try again")
}

func TestPost_AnotherWebsiteCannotAnswer(t *testing.T) {
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

func TestHandler_RateLimits(t *testing.T) {
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

func TestPDF_LetterBeforeAndAfterSigning(t *testing.T) {
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

func TestPage_SpeaksSpanish(t *testing.T) {
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
	if form.Get("version") == english {
		t.Error("the letter in Spanish is the same as in English")
	}
	code, body := o.postTo(action(t, body), form)
	o.wants(code, 200, body, "Gracias, la carta está firmada")
	if e := string(o.stands(workflow.Signed).Evidence); !strings.Contains(e, `"language":"es"`) || !strings.Contains(e, "Soy titular") {
		t.Errorf("evidence: %s", e)
	}
}

func TestPage_LocaleOfTheDocumentComesBeforeTheBrowsers(t *testing.T) {
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

// TestPost_NoSignatureWhileTheClockIsOff has a signature refused in plain words, and
// taken once the clock is right. Who declines is heard all the same.
func TestPost_NoSignatureWhileTheClockIsOff(t *testing.T) {
	var off atomic.Bool
	off.Store(true)
	o := newOffice(t, func(c *web.Config) {
		c.Signable = func() error {
			if off.Load() {
				return errors.New("the clock is a day off")
			}
			return nil
		}
	})
	form := o.form()
	code, body := o.post(form)
	o.wants(code, 503, body, "We cannot take signatures at the moment", "Nothing has been signed", "try again later")
	if !strings.Contains(body, `value="Zoë &lt;b&gt;Owner&lt;/b&gt;"`) {
		t.Error("what was typed is not kept")
	}
	if o.stands(workflow.Signing); len(o.signed) > 0 {
		t.Error("a letter was signed")
	}
	if log := o.site.log.String(); !strings.Contains(log, "no signature is taken now") || !strings.Contains(log, "a day off") || strings.Contains(log, o.token(t, 2)) {
		t.Errorf("the log: %s", log)
	}
	off.Store(false)
	form = o.form()
	code, body = o.post(form)
	o.wants(code, 200, body, "Thank you, the letter is signed")
	o.stands(workflow.Signed)
}
