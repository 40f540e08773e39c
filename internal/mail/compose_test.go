package mail_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/internal/mail"
	"countersign/workflow"
)

var update = flag.Bool("update", false, "write the golden files anew")

// letter is a mail as its recipient reads it.
type letter struct {
	header     netmail.Header
	text, html string
}

func read(t testing.TB, raw string) letter {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q, %v", kind, err)
	}
	parts, l := multipart.NewReader(m.Body, params["boundary"]), letter{header: m.Header}
	for _, want := range []string{"text/plain", "text/html"} {
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		if kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); kind != want {
			t.Errorf("part of type %q, want %q", kind, want)
		}
		b, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		body := strings.ReplaceAll(string(b), "\r\n", "\n")
		if want == "text/plain" {
			l.text = body
		} else {
			l.html = body
		}
	}
	if _, err := parts.NextRawPart(); err != io.EOF {
		t.Errorf("after the two parts: %v", err)
	}
	return l
}

// write sends mails through a server and reads what it stored.
func write(t testing.TB, adjust func(*mail.Config), mails ...workflow.Mail) []letter {
	t.Helper()
	server := catch(t)
	c := settings(t, server.addr)
	if adjust != nil {
		adjust(&c)
	}
	p := pool(t, c)
	for _, m := range mails {
		if r := p.Send(t.Context(), mail.Message{Mail: m}); r.Outcome != workflow.Accepted {
			t.Fatalf("%s: %+v", m.ID, r)
		}
	}
	var letters []letter
	for _, raw := range server.stored() {
		letters = append(letters, read(t, raw))
	}
	return letters
}

// signed makes a document that has been signed.
func signed(d *workflow.Document) *workflow.Document {
	at := time.Date(2026, 11, 24, 23, 30, 0, 0, time.UTC)
	d.Status, d.DateSigned = workflow.Signed, &at
	d.LetterDigest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	return d
}

// ended makes a document that ended unsigned.
func ended(d *workflow.Document, s workflow.Status, reason string) *workflow.Document {
	d.Status, d.Reason = s, reason
	if reason == workflow.ReasonExpired {
		d.EndedBy = workflow.EndedExpired
	}
	return d
}

// several makes a document with numbers of several countries.
func several() *workflow.Document {
	d := document()
	for i, n := range []string{"+14155550101", "+18765550123", "+442079460958", "+493012345678", "+33142685300"} {
		d.Orders = append(d.Orders, workflow.Order{SID: workflow.SID(fmt.Sprintf("HR%032d", i+2)), PhoneNumber: n})
	}
	return d
}

func TestPoolSend_EachEmailIsAsItsGoldenFile(t *testing.T) {
	hostile := document()
	hostile.ContactTitle = "<img src=x onerror=alert(1)>\r\nBcc: eve@example.net \"'&\u202egnp.exe"
	many := document()
	many.Orders = nil
	for i := range 200 {
		many.Orders = append(many.Orders, workflow.Order{
			SID: workflow.SID(fmt.Sprintf("HR%032d", i)), PhoneNumber: fmt.Sprintf("+1415555%04d", 100+i),
		})
	}
	nameless := document()
	nameless.ContactTitle = ""
	nameless.Orders = append(nameless.Orders, workflow.Order{SID: "HR00000000000000000000000000000002"})
	bare := document()
	bare.Orders = nil
	toSigner := mailOf(workflow.MailSigned, signed(several()))
	toCC := mailOf(workflow.MailSigned, signed(several()))
	toCC.Recipient = "ops@example.com"
	declined := ended(document(), workflow.Canceled, "These are not our numbers.")
	declined.CanceledBy = "signer"
	undated := signed(document())
	undated.DateSigned, undated.LetterDigest = nil, ""
	spanish := func(kind workflow.MailKind, to string) workflow.Mail {
		d := signed(several())
		d.Locale, d.ContactTitle = "es-MX", "Propietaria"
		switch kind {
		case workflow.MailCanceled:
			d.CanceledBy, d.Reason = "signer", "No son nuestros números."
		case workflow.MailFailed:
			d.Reason, d.EndedBy = workflow.ReasonExpired, workflow.EndedExpired
		}
		m := mailOf(kind, d)
		m.Recipient = to
		return m
	}
	for _, c := range []struct {
		name string
		mail workflow.Mail
	}{
		{"signature_es", spanish(workflow.MailSignature, "owner@example.com")},
		{"reminder_es", spanish(workflow.MailReminder, "owner@example.com")},
		{"sent_es", spanish(workflow.MailSent, "ops@example.com")},
		{"signed_es", spanish(workflow.MailSigned, "ops@example.com")},
		{"signed_by_you_es", spanish(workflow.MailSigned, "owner@example.com")},
		{"declined_es", spanish(workflow.MailCanceled, "ops@example.com")},
		{"expired_es", spanish(workflow.MailFailed, "ops@example.com")},
		{"signature", mailOf(workflow.MailSignature, several())},
		{"reminder", mailOf(workflow.MailReminder, document())},
		{"sent", mailOf(workflow.MailSent, several())},
		{"signed", toCC},
		{"signed_by_you", toSigner},
		{"signed_undated", mailOf(workflow.MailSigned, undated)},
		{"canceled", mailOf(workflow.MailCanceled, ended(several(), workflow.Canceled, "The numbers stay with us."))},
		{"declined", mailOf(workflow.MailCanceled, declined)},
		{"failed", mailOf(workflow.MailFailed, ended(document(), workflow.Failed, "the signature mail was rejected: 550 5.1.1 no such user"))},
		{"expired", mailOf(workflow.MailFailed, ended(document(), workflow.Failed, workflow.ReasonExpired))},
		{"hostile_title", mailOf(workflow.MailSignature, hostile)},
		{"many_orders", mailOf(workflow.MailSignature, many)},
		{"order_without_number", mailOf(workflow.MailSignature, nameless)},
		{"no_orders", mailOf(workflow.MailSent, bare)},
	} {
		t.Run(c.name, func(t *testing.T) {
			goldenMail(t, c.name, write(t, nil, c.mail)[0])
		})
	}
}

// TestPoolSend_ReasonOfThePageIsTranslated has a letter declined without a reason,
// and by somebody who is not the right person.
func TestPoolSend_ReasonOfThePageIsTranslated(t *testing.T) {
	const declined, wrong = workflow.EndedDeclined, workflow.EndedWrongPerson
	for _, c := range []struct {
		locale        string
		by            workflow.Ending
		reason, right string // right is who should be asked instead
		says, hides   string
	}{
		{"en", declined, workflow.ReasonDeclined, "", "declined on", "Reason"},
		{"es", declined, workflow.ReasonDeclined, "", "la rechazó", "Motivo"},
		{"en", wrong, workflow.ReasonNotMe, "", "Reason: not the right person", "no es"},
		{"es", wrong, workflow.ReasonNotMe, "", "Motivo: no es la persona indicada", "right person"},
		{"es", declined, "Ya no.", "", "Motivo: Ya no.", "declined"},
		{"en", "", workflow.ReasonDeclined, "", "Reason: declined", "no es"}, // an upstream service's words
		{"en", wrong, "", "Jane Doe, CFO", "Reason: not the right person\nRight person, they say: Jane Doe, CFO\n", "person: Jane"},
		{"es", wrong, "", "Jane Doe", "Motivo: no es la persona indicada\nPersona indicada, según dice: Jane Doe\n", "right person"},
		{"en", wrong, "", strings.Repeat("é", 200), "Right person, they say: " + strings.Repeat("é", 200) + "\n", "…"},
		{"en", wrong, "", "<a href=x>Jane</a>\u202e\r\nSubject: x", "Right person, they say: <a href=x>Jane</a> Subject: x\n", "\u202e"},
		// An upstream service may write the same words. They are only its words.
		{"es", "", workflow.ReasonNotMe, "", "Motivo: not the right person", "persona indicada"},
		{"es", "", workflow.ReasonExpired, "", "Motivo: expired: nobody signed in time", "Caducada"},
	} {
		d := ended(document(), workflow.Canceled, c.reason)
		d.Locale, d.CanceledBy, d.EndedBy = c.locale, "signer", c.by
		evidence := map[string]string{}
		switch {
		case c.right != "":
			d.Reason, evidence["right_person"] = workflow.ReasonRightPerson(c.right), c.right
		case c.by == declined && c.reason != workflow.ReasonDeclined:
			evidence["reason"] = c.reason
		}
		var err error
		if d.Evidence, err = json.Marshal(evidence); err != nil {
			t.Fatal(err)
		}
		if l := write(t, nil, mailOf(workflow.MailCanceled, d))[0]; !strings.Contains(l.text, c.says) || strings.Contains(l.text, c.hides) || strings.Contains(l.html, "<a href=x>") {
			t.Errorf("%s, %q: want %q and not %q:\n%s", c.locale, c.reason, c.says, c.hides, l.text)
		}
	}
}

// TestPoolSend_EmailsWithADownloadLinkAreAsTheirGoldenFiles are the mails that say that a letter is signed and lead to
// it, in place of having it with them.
func TestPoolSend_EmailsWithADownloadLinkAreAsTheirGoldenFiles(t *testing.T) {
	for _, c := range []struct{ name, to, locale string }{
		{"signed_link", "ops@example.com", "en"},
		{"signed_link_es", "ops@example.com", "es"},
		{"signed_by_you_link", "owner@example.com", "en"},
		{"signed_by_you_link_es", "owner@example.com", "es"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := mailOf(workflow.MailSigned, signed(several()))
			m.Recipient, m.About.Locale = c.to, c.locale
			server := catch(t)
			r := pool(t, settings(t, server.addr)).Send(t.Context(), mail.Message{
				Mail: m, Download: "https://sign.example.com/letter/" + token, Until: m.CausedAt.AddDate(0, 0, 30),
			})
			if r.Outcome != workflow.Accepted {
				t.Fatalf("%+v", r)
			}
			goldenMail(t, c.name, read(t, server.stored()[0]))
		})
	}
}

// goldenMail compares a mail with its files under testdata.
func goldenMail(t *testing.T, name string, l letter) {
	t.Helper()
	subject, err := new(mime.WordDecoder).DecodeHeader(l.header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, name+".txt", "Subject: "+subject+"\n\n"+l.text)
	golden(t, name+".html", l.html)
}

// golden compares what is got with a file under testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestPoolSend_EveryKindIsWritten(t *testing.T) {
	for _, kind := range workflow.MailKinds {
		t.Run(string(kind), func(t *testing.T) {
			m := mailOf(kind, signed(document()))
			l := write(t, nil, m)[0]
			forSigner := kind == workflow.MailSignature || kind == workflow.MailReminder
			for part, body := range map[string]string{"text": l.text, "html": l.html} {
				if strings.Contains(body, token) != forSigner || strings.Contains(body, "sign.example.com") != forSigner {
					t.Errorf("the %s shows the link: %v, want %v", part, !forSigner, forSigner)
				}
				for _, word := range []string{"Hosting Team", "(415) 555-0100", "owner@example.com", "oice\\s+service\\s+stays"} {
					if word = strings.ReplaceAll(word, "\\s+", " "); !strings.Contains(strings.Join(strings.Fields(body), " "), word) {
						t.Errorf("the %s does not say %q", part, word)
					}
				}
			}
			if strings.Contains(l.html, "<img") || strings.Contains(l.html, "ZgotmplZ") || strings.Contains(l.html, "@import") {
				t.Error("the page loads something, or shows a value that was not safe")
			}
		})
	}
	m := mailOf("postcard", document())
	if r := pool(t, settings(t, "127.0.0.1:1")).Send(t.Context(), mail.Message{Mail: m}); r.Outcome != workflow.Deferred || r.Server {
		t.Errorf("a kind without a template: %+v, want deferred", r)
	}
	m = mailOf(workflow.MailSent, document())
	m.About = nil
	if r := pool(t, settings(t, "127.0.0.1:1")).Send(t.Context(), mail.Message{Mail: m}); r.Outcome != workflow.Deferred || r.Server {
		t.Errorf("a mail about nothing: %+v, want deferred", r)
	}
}

func TestPoolSend_EmailIsInTheDocumentsLanguage(t *testing.T) {
	for locale, want := range map[string]string{"": "en", "es": "es", "es-MX": "es", "en-GB": "en", "fr": "en", "not a locale": "en"} {
		d := document()
		d.Locale = locale
		if l := write(t, nil, mailOf(workflow.MailSignature, d))[0]; !strings.Contains(l.html, `<html lang="`+want+`">`) {
			t.Errorf("locale %q: %.60s, want %s", locale, l.html, want)
		}
	}
}

// Whatever a document says, its mail can be written and sent.
func FuzzPoolSend_Emails(f *testing.F) {
	server := catch(f)
	p := pool(f, settings(f, server.addr))
	f.Add("Owner", "+14155550100", "sha256:00", "owner@example.com", 1)
	f.Add("\x00\r\n.\r\n", "+", "{{.}}", "a@b", -1)
	f.Add(strings.Repeat("é", 500), "+999999999999999999999", "<script>", "", 1<<40)
	f.Fuzz(func(t *testing.T, title, phone, digest, signer string, round int) {
		d := signed(document())
		d.ContactTitle, d.LetterDigest, d.Email, d.Round = title, digest, signer, round
		d.Orders[0].PhoneNumber = phone
		for _, kind := range workflow.MailKinds {
			m := mailOf(kind, d)
			m.Recipient = "ops@example.com"
			if r := p.Send(t.Context(), mail.Message{Mail: m}); r.Outcome != workflow.Accepted {
				t.Fatalf("%s: %+v", kind, r)
			}
		}
		raw := server.stored()
		for _, r := range raw[len(raw)-len(workflow.MailKinds):] {
			if l := read(t, r); strings.Contains(l.html, "<script") {
				t.Error("a script got through")
			}
		}
	})
}

// TestPoolSend_SignedLetterIsAttached attaches a PDF, byte for byte, and says so.
func TestPoolSend_SignedLetterIsAttached(t *testing.T) {
	server := catch(t)
	pdf := bytes.Repeat([]byte("%PDF \x00\xff\r\n."), 10_000)
	m := mailOf(workflow.MailSigned, signed(document()))
	if r := pool(t, settings(t, server.addr)).Send(t.Context(), mail.Message{Mail: m, Letter: pdf}); r.Outcome != workflow.Accepted {
		t.Fatalf("%+v", r)
	}
	msg, err := netmail.ReadMessage(strings.NewReader(server.stored()[0]))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	words, err := parts.NextPart()
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(words); err != nil || !strings.Contains(string(text), "letter is attached") {
		t.Errorf("the mail does not say what is attached (%v):\n%s", err, text)
	}
	file, err := parts.NextPart()
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, file))
	if err != nil || !bytes.Equal(got, pdf) || file.FileName() != string(m.Document)+".pdf" || file.Header.Get("Content-Type") != `application/pdf; name="`+file.FileName()+`"` {
		t.Errorf("%d bytes are attached, want %d: %v, %v", len(got), len(pdf), file.Header, err)
	}
}
