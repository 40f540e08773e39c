package mail_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/google/go-cmp/cmp"

	"countersign/internal/mail"
	"countersign/workflow"
)

func TestPoolSend_LinkIsAskedForTheSignerOnly(t *testing.T) {
	type ask struct {
		Document workflow.SID
		Round    int
		Owed     time.Time
	}
	var asked []ask
	d := signed(document())
	d.Round = 3
	var mails []workflow.Mail
	for _, kind := range workflow.MailKinds {
		mails = append(mails, mailOf(kind, d))
	}
	write(t, func(c *mail.Config) {
		c.Link = func(m workflow.Mail) (string, time.Time) {
			asked = append(asked, ask{m.Document, m.Round, m.CausedAt})
			return "https://sign.example.com/s/" + token, m.CausedAt
		}
	}, mails...)
	if diff := cmp.Diff([]ask{{d.SID, 3, owedAt}, {d.SID, 3, owedAt}}, asked); diff != "" {
		t.Errorf("links asked for (-want +got):\n%s", diff)
	}
}

func TestPoolSend_Headers(t *testing.T) {
	const root = "<PX0123456789abcdef0123456789abcdef.1.signature.0@countersign.example>"
	second := document()
	second.Round = 2
	resent := mailOf(workflow.MailSignature, document())
	resent.ID = "PX0123456789abcdef0123456789abcdef.1.signature.4711"
	const again = "<PX0123456789abcdef0123456789abcdef.2.signature.0@countersign.example>"
	for _, c := range []struct {
		name                   string
		mail                   workflow.Mail
		id, answers, reference string
	}{
		{"signature", mailOf(workflow.MailSignature, document()), root, "", ""},
		{"signature, sent again", resent, "<PX0123456789abcdef0123456789abcdef.1.signature.4711@countersign.example>", root, root},
		{"sent", mailOf(workflow.MailSent, document()), "<PX0123456789abcdef0123456789abcdef.1.sent.0@countersign.example>", root, root},
		{"reminder", mailOf(workflow.MailReminder, document()), "<PX0123456789abcdef0123456789abcdef.1.reminder.0@countersign.example>", root, root},
		{"signature of round 2", mailOf(workflow.MailSignature, second), again, "", root},
		{"signed in round 2", mailOf(workflow.MailSigned, second), "<PX0123456789abcdef0123456789abcdef.2.signed.0@countersign.example>", again, root + " " + again},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := time.Now().Truncate(time.Second)
			h := write(t, func(c *mail.Config) { c.ReplyTo, c.ReturnPath = "Desk <desk@example.com>", "bounces@example.com" }, c.mail)[0].header
			date, err := h.Date()
			if err != nil || date.Before(before) || date.After(time.Now()) {
				t.Errorf("date %s, %v", date, err)
			}
			want := netmail.Header{
				"From":                     {`"Hosting Team" <loa@countersign.example>`},
				"To":                       {"<" + c.mail.Recipient + ">"},
				"Reply-To":                 {`"Desk" <desk@example.com>`},
				"Message-Id":               {c.id},
				"Auto-Submitted":           {"auto-generated"},
				"X-Auto-Response-Suppress": {"DR, RN, NRN, OOF, AutoReply"},
				"X-Countersign-Mail":       {string(c.mail.ID)},
				"List-Id":                  {"<authorization.countersign.example>"},
				"Mime-Version":             {"1.0"},
				"Date":                     h["Date"], "Subject": h["Subject"], "Content-Type": h["Content-Type"],
			}
			if c.answers != "" {
				want["In-Reply-To"] = []string{c.answers}
			}
			if c.reference != "" {
				want["References"] = []string{c.reference}
			}
			if diff := cmp.Diff(want, h); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPoolSend_MessageIDIsTheSameEachTime(t *testing.T) {
	m := mailOf(workflow.MailSignature, document())
	letters := write(t, nil, m, m)
	if a, b := letters[0].header.Get("Message-Id"), letters[1].header.Get("Message-Id"); a != b {
		t.Errorf("%s, then %s", a, b)
	}
}

func TestPoolSend_NoHeaderInjection(t *testing.T) {
	d := document()
	d.ContactTitle, d.SID, d.LetterDigest = "x\r\nBcc: eve@example.net", "PX\r\nBcc: eve@example.net", "d\r\nBcc: eve@example.net"
	d.Orders = []workflow.Order{{PhoneNumber: "+1\r\nBcc: eve@example.net\r\n\r\nbody"}}
	m := mailOf(workflow.MailSigned, d)
	h := write(t, nil, m)[0].header
	if h.Get("Bcc") != "" {
		t.Errorf("injected: %v", h)
	}
}

func TestPoolSend_RecipientsAreChecked(t *testing.T) {
	for _, c := range []struct {
		name, address, to string // an empty to: rejected
	}{
		{"plain", "owner@example.com", "<owner@example.com>"},
		{"tagged", "owner+loa@example.com", "<owner+loa@example.com>"},
		{"apostrophe", "o'brien@example.com", "<o'brien@example.com>"},
		{"domain that is not ASCII", "jose@exämple.com", "<jose@xn--exmple-cua.com>"},
		{"domain with an underscore", "jose@my_host.example.com", "<jose@my_host.example.com>"},
		{"local part that is not ASCII", "josé@example.com", ""},
		{"impossible domain", "jose@ä\u200d.com", ""},
		{"with a name", "Jose <jose@example.com>", ""},
		{"in brackets", "<jose@example.com>", ""},
		{"two of them", "a@example.com, b@example.com", ""},
		{"line break", "a@example.com\r\nBcc: b@example.com", ""},
		{"no domain", "owner", ""},
		{"empty", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := catch(t)
			m := mailOf(workflow.MailSignature, document())
			m.Recipient = c.address
			r := pool(t, settings(t, server.addr)).Send(t.Context(), mail.Message{Mail: m})
			if c.to == "" {
				if r.Outcome != workflow.Rejected || r.Code != 0 || r.Server || server.connections() != 0 {
					t.Errorf("got %+v over %d connections, want rejected over none", r, server.connections())
				}
				if r.Reply == "" || c.address != "" && strings.Contains(r.Reply, c.address) {
					t.Errorf("reply %q", r.Reply)
				}
				return
			}
			if r.Outcome != workflow.Accepted {
				t.Fatalf("got %+v, want accepted", r)
			}
			if got := read(t, server.stored()[0]).header.Get("To"); got != c.to {
				t.Errorf("sent to %s, want %s", got, c.to)
			}
		})
	}
}

func TestPoolSend_DKIMSignatureIsValid(t *testing.T) {
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaPublic, err := x509.MarshalPKIXPublicKey(rsaKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	ed := "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(edPublic)
	long := strings.Repeat("a.", 60) // with itself as selector, nearly the longest name of DNS
	long = strings.TrimSuffix(long, ".")
	for _, c := range []struct {
		name, domain, selector, record string
		key                            crypto.Signer
	}{
		{"Ed25519", "countersign.example", "loa", ed, edKey},
		{"RSA", "countersign.example", "loa", "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(rsaPublic), rsaKey},
		{"long names", long, long, ed, edKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := catch(t)
			config := settings(t, server.addr)
			config.Pool, config.ReplyTo = 4, "desk@example.com"
			config.DKIM = &mail.DKIM{Domain: c.domain, Selector: c.selector, KeyFile: keyFile(t, c.key)}
			p := pool(t, config)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					if r := p.Send(t.Context(), mail.Message{Mail: mailOf(workflow.MailReminder, several())}); r.Outcome != workflow.Accepted {
						t.Errorf("got %+v", r)
					}
				})
			}
			wg.Wait()
			records := map[string]string{c.selector + "._domainkey." + c.domain: c.record}
			for _, raw := range server.stored() {
				if err := verify(raw, records); err != nil {
					t.Fatal(err)
				}
				if verify(strings.Replace(raw, "loa@countersign", "eve@countersign", 1), records) == nil {
					t.Error("another sender goes unnoticed")
				}
				if verify("Subject: Pay here\r\n"+raw, records) == nil {
					t.Error("an added subject goes unnoticed")
				}
			}
		})
	}
}

func keyFile(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "dkim.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// verify checks the one signature of a message against DNS records.
func verify(raw string, records map[string]string) error {
	found, err := dkim.VerifyWithOptions(strings.NewReader(raw), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			if record, ok := records[name]; ok {
				return []string{record}, nil
			}
			return nil, fmt.Errorf("asked for %s", name)
		},
	})
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("%d signatures", len(found))
	}
	return found[0].Err
}
