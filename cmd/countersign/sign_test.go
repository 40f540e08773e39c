package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/mail"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/catcher"
	"countersign/internal/eventlog"
	"countersign/internal/signing"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// visitor is a person with a mailbox and a browser without JavaScript.
type visitor struct {
	t    *testing.T
	url  string // of the page
	from string // X-Forwarded-For; empty: nobody's
}

var linkInMail = regexp.MustCompile(`https?://[^/\s]+(/sign/\S+)`)

// signer waits for the signature mail of a document's round and follows its
// link to the worker at public.
func (x *town) signer(public string, document workflow.SID, round int) *visitor {
	x.t.Helper()
	s := &visitor{t: x.t}
	eventstest.WaitFor(x.t, 5*time.Minute, "the signature mail of "+string(document), func() bool {
		for _, m := range x.box.Mails() {
			if strings.HasPrefix(m.MessageID, fmt.Sprintf("<%s.%d.signature.", document, round)) {
				s.url = "http://" + public + linkInMail.FindStringSubmatch(m.Text)[1]
				return true
			}
		}
		return false
	})
	return s
}

// do sends a request and reads the answer.
func (s *visitor) do(method, path string, form url.Values) (int, string, error) {
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("User-Agent", "Browser/1.0")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if s.from != "" {
		r.Header.Set("X-Forwarded-For", s.from)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

func (s *visitor) must(method, path string, form url.Values, want int) string {
	s.t.Helper()
	code, body, err := s.do(method, path, form)
	if err != nil || code != want {
		s.t.Fatalf("%s: %d, %v, want %d\n%s", method, code, err, want, body)
	}
	return body
}

// form fills in the form on the page.
func (s *visitor) form(action string) url.Values {
	s.t.Helper()
	page := s.must("GET", "", nil, 200)
	version := regexp.MustCompile(`name="version" value="([^"]+)"`).FindStringSubmatch(page)
	if version == nil {
		s.t.Fatalf("no form on the page:\n%s", page)
	}
	return url.Values{
		"version": {html.UnescapeString(version[1])}, "action": {action}, "name": {"Olivia Owner"}, "title": {"Owner"},
		"authority": {"yes"}, "statements": {"yes"}, "consent": {"yes"}, "zone": {"America/Chicago"}, "reason": {"Not now."},
		"declines": {"yes"}, "wrong-person": {"yes"}, "confirm": {"yes"},
	}
}

// attached returns the PDFs in a mail.
func attached(t *testing.T, m catcher.Mail) (pdfs [][]byte) {
	t.Helper()
	msg, err := mail.ReadMessage(bytes.NewReader(m.Raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" {
		return nil
	}
	for parts := multipart.NewReader(msg.Body, params["boundary"]); ; {
		part, err := parts.NextPart()
		if err == io.EOF {
			return pdfs
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(part.Header.Get("Content-Type"), "application/pdf") {
			continue
		}
		pdf, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, part))
		if err != nil {
			t.Fatal(err)
		}
		pdfs = append(pdfs, pdf)
	}
}

// words is the text of a PDF.
func words(t *testing.T, pdf []byte) string {
	t.Helper()
	return strings.Join(strings.Fields(said(t, pdf, "pdftotext", "-")), " ")
}

// said is what one of poppler's programs says of a PDF.
func said(t *testing.T, pdf []byte, program string, after ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "letter.pdf")
	if err := os.WriteFile(file, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, append([]string{file}, after...)...).CombinedOutput()
	if err != nil && program != "pdfsig" { // which also fails where it does not know the signer
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}

// document reads a document from a worker's database.
func (x *town) document(dir string, sid workflow.SID) workflow.Document {
	x.t.Helper()
	s := openStore(x.t, dir)
	defer s.Close()
	d, err := s.Document(context.Background(), sid)
	if err != nil {
		x.t.Fatal(err)
	}
	return d
}

// TestServe_SignatureRegistersAndAttachesTheLetter goes all the way: mail, link, page, signature, registered
// numbers, and the sealed letter in the mails that say so.
func TestServe_SignatureRegistersAndAttachesTheLetter(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir, "COUNTERSIGN_PROVIDER=Example Messaging"))
	w.says("read to its end")
	js, err := jetstream.New(x.nc)
	if err != nil {
		t.Fatal(err)
	}
	b := workflow.Created{
		AddressSID: "AD00000000000000000000000000000001", Email: "owner@example.com", CCEmails: []string{"ops@example.com"},
		ContactTitle: "Owner", ContactPhoneNumber: "+14155550100",
	}
	for i := range 3 {
		b.HostedNumberOrders = append(b.HostedNumberOrders, workflow.OrderRef{SID: workflow.SID(fmt.Sprintf("HR%032x", i)), PhoneNumber: fmt.Sprintf("+1415555010%d", i)})
	}
	if _, err := events.Publish(t.Context(), js, events.Created("/orders", "c", testAccount, testPX(1), b)); err != nil {
		t.Fatal(err)
	}
	s := x.signer(w.address("public"), testPX(1), 1)
	x.rest(dir)
	before := x.tail()
	for range 100 { // a mail scanner
		s.must("GET", "", nil, 200)
		s.must("HEAD", "", nil, 200)
	}
	if text := words(t, []byte(s.must("GET", "/letter.pdf", nil, 200))); !strings.Contains(text, "Not signed yet") {
		t.Errorf("the letter to be read: %s", text)
	}
	if after := x.tail(); after != before {
		t.Errorf("looking at the page put %d entries on the log", after-before)
	}
	if page := s.must("POST", "", s.form("sign"), 200); !strings.Contains(page, "Thank you") {
		t.Errorf("the answer:\n%s", page)
	}
	x.rest(dir)

	doc := x.document(dir, testPX(1))
	if doc.Status != workflow.Signed {
		t.Fatalf("it is %s", doc.Status)
	}
	subjects := x.subjects()
	for _, o := range doc.Orders {
		if n := subjects[fmt.Sprintf("%s.%s.order.%s.register", testAccount, testPX(1), o.SID)]; n != 1 {
			t.Errorf("%d register events of %s", n, o.SID)
		}
	}
	download := []byte(s.must("GET", "/letter.pdf", nil, 200))
	letters := 0
	for _, m := range x.box.Mails() {
		if !strings.Contains(m.MessageID, ".signed.") {
			continue
		}
		pdfs := attached(t, m)
		if len(pdfs) != 1 || signing.Digest(pdfs[0]) != doc.LetterDigest || !bytes.Equal(pdfs[0], download) {
			t.Errorf("the mail to %s has %d letters, or another letter than the log says", m.To[0], len(pdfs))
		}
		letters++
	}
	if letters != 2 {
		t.Errorf("%d mails say that it is signed", letters)
	}
	x.checkLetter(doc, download)
	w.end()
}

// checkLetter reads a signed letter, and the evidence in it.
func (x *town) checkLetter(doc workflow.Document, pdf []byte) {
	t := x.t
	t.Helper()
	seal := said(t, pdf, "pdfsig")
	for _, s := range []string{"Signature is Valid", "Total document signed", "Example Messaging"} {
		if !strings.Contains(seal, s) {
			t.Errorf("pdfsig does not say %q:\n%s", s, seal)
		}
	}
	var e struct{ Name, Shown, Letter, IP string }
	if err := json.Unmarshal(doc.Evidence, &e); err != nil || e.Name != "Olivia Owner" || e.Letter != eventlog.LetterName(doc.SID, doc.LetterDigest) {
		t.Errorf("evidence %s, %v", doc.Evidence, err)
	}
	text := words(t, pdf)
	for _, s := range []string{
		"Example Messaging", "Olivia Owner", "owner@example.com", "(415) 555-0102", "America/Chicago", "mail accepted",
		string(doc.SID) + ".1.signature.0", "signed on the signing page", "Browser/1.0", "127.0.0.1", e.Shown, "version 2026-11",
	} {
		if !strings.Contains(text, s) {
			t.Errorf("the letter does not say %q:\n%s", s, text)
		}
	}
}

// TestServe_DeclineNamesTheRightPerson declines: no letter is attached to anything, and those in cc
// and the operator read who the right person is.
func TestServe_DeclineNamesTheRightPerson(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir, "COUNTERSIGN_NOTIFY_CC=canceled"))
	w.says("read to its end")
	js, err := jetstream.New(x.nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := events.Publish(t.Context(), js, events.Created("/orders", "c", testAccount, testPX(1), workflow.Created{
		AddressSID: "AD00000000000000000000000000000001", Email: "signer-1@example.com", CCEmails: []string{"desk@example.com"},
		HostedNumberOrders: numbered(testHR(1)),
	})); err != nil {
		t.Fatal(err)
	}
	s := x.signer(w.address("public"), testPX(1), 1)
	x.statuses(dir, workflow.Signing, 1)
	form := s.form("not-me")
	form.Set("reason", "Jane Doe, CFO")
	robot := url.Values{"version": form["version"], "lang": {"en"}, "action": {"decline"}} // case a8
	if page := s.must("POST", "", robot, 422); !strings.Contains(page, "Tick that you decline to sign") {
		t.Errorf("the answer to a robot:\n%s", page)
	}
	if page := s.must("POST", "", form, 200); !strings.Contains(page, "Declined") {
		t.Errorf("the answer:\n%s", page)
	}
	x.rest(dir)
	if doc := x.document(dir, testPX(1)); doc.Status != workflow.Canceled || doc.CanceledBy != "signer" || doc.Reason != "not the right person: Jane Doe, CFO" {
		t.Errorf("it is %s by %q: %q", doc.Status, doc.CanceledBy, doc.Reason)
	}
	if out := x.must(dir, "documents", "show", string(testPX(1))); !strings.Contains(out, "Jane Doe, CFO") {
		t.Errorf("documents show does not say who the right person is:\n%s", out)
	}
	mails := x.box.Mails()
	if last := mails[len(mails)-1]; last.To[0] != "desk@example.com" || !strings.Contains(string(last.Raw), "Right person, they say: Jane Doe, CFO") {
		t.Errorf("the last mail, to %v, does not say who the right person is:\n%s", last.To, last.Raw)
	}
	w.end()
}

// TestServe_LetterSignedElsewhereIsNotAttached has another service say that it took
// the signature, with a letter that is not in the store.
func TestServe_LetterSignedElsewhereIsNotAttached(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(1, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	js, err := jetstream.New(x.nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := events.Publish(t.Context(), js, events.StatusChanged("/elsewhere", "s", testAccount, testPX(1), workflow.StatusChanged{
		Status: workflow.Signed, LetterDigest: "sha256:" + strings.Repeat("ab", 32), Evidence: json.RawMessage(`{"name":"O"}`),
	})); err != nil {
		t.Fatal(err)
	}
	x.statuses(dir, workflow.Signed, 1)
	x.rest(dir)
	mails := x.box.Mails()
	if last := mails[len(mails)-1]; !strings.Contains(last.MessageID, ".signed.") || len(attached(t, last)) != 0 {
		t.Errorf("the last mail is %s", last.MessageID)
	}
	if _, out, _ := x.command(dir, "documents", "show", string(testPX(1))); !regexp.MustCompile(`asked for by +the upstream service /elsewhere, entry`).MatchString(out) {
		t.Errorf("documents show does not say who called it signed:\n%s", out)
	}
	archive := filepath.Join(t.TempDir(), "evidence.zip")
	if _, out, errs := x.command(dir, "evidence", string(testPX(1)), "-o", archive); !strings.Contains(out, "elsewhere: the upstream service /elsewhere says so in entry") {
		t.Errorf("the archive does not say where it was signed:\n%s%s", out, errs)
	}
	w.end()
}

func TestServe_UpstreamServiceCannotPassForThePage(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(1, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	// With the page's source and id, under the document's account and another.
	for _, account := range []workflow.SID{testAccount, "ACffffffffffffffffffffffffffffffff"} {
		for _, what := range []string{"sign", "decline"} {
			id := fmt.Sprintf("%s.%s.1", what, testPX(1))
			data := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/sign","type":"authorization_document.status_changed","data":{"status":"canceled","canceled_by":"signer","round":1}}`, id)
			if err := x.nc.Publish(fmt.Sprintf("%s%s.%s.status", events.Prefix, account, testPX(1)), []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventstest.Wait(t, "four events refused", func() bool {
		_, out, _ := x.command(dir, "dead", "list", "--json")
		return strings.Count(out, `"event_source":"/sign"`) == 4
	})
	s := x.signer(w.address("public"), testPX(1), 1)
	s.must("POST", "", s.form("sign"), 200)
	if doc := x.document(dir, testPX(1)); doc.Status != workflow.Signed || doc.AskedBy.Writer != workflow.WriterPage {
		t.Errorf("the document is %s, asked for by %s", doc.Status, doc.AskedBy)
	}
	if _, out, _ := x.command(dir, "documents", "show", string(testPX(1))); !regexp.MustCompile(`asked for by +the signing page, entry \d+, name typed: Olivia Owner, IP address 127\.0\.0\.1`).MatchString(out) {
		t.Errorf("documents show does not say who signed:\n%s", out)
	}
	w.end()
}

// TestServe_RacingAnswersLeaveOneEnd has each of many letters signed in two tabs while it is
// canceled, declined or recalled: each has one end, and registers all of its
// orders or none. RACES says how many, 100 where it is not set.
func TestServe_RacingAnswersLeaveOneEnd(t *testing.T) {
	races := 100
	if s := os.Getenv("RACES"); s != "" {
		var err error
		if races, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir, "COUNTERSIGN_TRUSTED_PROXIES=127.0.0.0/8"))
	w.says("read to its end")
	js, err := jetstream.New(x.nc)
	if err != nil {
		t.Fatal(err)
	}
	for i := range races {
		if _, err := events.Publish(t.Context(), js, events.Created("/orders", fmt.Sprint("created-", i), testAccount, testPX(i), workflow.Created{
			AddressSID: "AD00000000000000000000000000000001", Email: fmt.Sprintf("signer-%d@example.com", i), HostedNumberOrders: numbered(raced(i)...),
		})); err != nil {
			t.Fatal(err)
		}
	}
	x.statuses(dir, workflow.Signing, races)
	public := w.address("public")
	for i := range races {
		s := x.signer(public, testPX(i), 1)
		s.from = fmt.Sprintf("192.0.2.%d", i%250)
		form, decline := s.form("sign"), s.form("decline")
		var group sync.WaitGroup
		post := func(form url.Values) {
			group.Go(func() {
				if code, body, err := s.do("POST", "", form); err != nil || code != 200 && code != 410 {
					t.Errorf("%s: %d, %v\n%s", testPX(i), code, err, body)
				}
			})
		}
		post(form)
		post(form)
		if i%3 == 0 {
			post(decline)
		}
		if i%10 == 9 { // the signature is first
			group.Wait()
		}
		group.Go(func() {
			for range i % 4 { // later and later
				if _, _, err := s.do("GET", "/letter.pdf", nil); err != nil {
					t.Error(err)
				}
			}
			b := workflow.StatusChanged{Status: workflow.Canceled, CanceledBy: "account"}
			if i%3 == 1 {
				b = workflow.StatusChanged{Status: workflow.Opened}
			}
			if _, err := events.Publish(t.Context(), js, events.StatusChanged("/orders", fmt.Sprint("end-", i), testAccount, testPX(i), b)); err != nil {
				t.Error(err)
			}
		})
		group.Wait()
	}
	x.rest(dir)
	x.wantOneEnd(dir, races)
	w.end()
}

// raced lists the orders of the document of a race.
func raced(i int) []workflow.SID {
	return []workflow.SID{testHR(3 * i), testHR(3*i + 1), testHR(3*i + 2)}
}

// wantOneEnd checks what the log and the database say after the races.
func (x *town) wantOneEnd(dir string, races int) {
	x.t.Helper()
	subjects, ends, all := x.subjects(), map[workflow.Status]int{}, 0
	for i := range races {
		doc := x.document(dir, testPX(i))
		ends[doc.Status]++
		prefix := fmt.Sprintf("%s.%s.", testAccount, testPX(i))
		became := subjects[prefix+"became.signed.1"] + subjects[prefix+"became.canceled.1"] + subjects[prefix+"became.opened.2"]
		registers := 0
		for _, order := range raced(i) {
			registers += subjects[prefix+fmt.Sprintf("order.%s.register", order)]
		}
		all += registers
		if want := map[bool]int{true: 3, false: 0}[doc.Status == workflow.Signed]; became != 1 || registers != want {
			x.t.Errorf("%s is %s in round %d: %d ends, %d of its 3 orders registered", doc.SID, doc.Status, doc.Round, became, registers)
		}
	}
	x.t.Logf("%d races: %v, %d register events", races, ends, all)
	if ends[workflow.Signed] == 0 || ends[workflow.Signed] == races {
		x.t.Errorf("one side won every race: %v", ends)
	}
}
