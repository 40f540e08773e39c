package mail_test

import (
	netmail "net/mail"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"countersign/internal/mail"
	"countersign/workflow"
)

// kinds is a mail of each kind, to everybody who may get it, in each language.
func kinds(locale string) []workflow.Mail {
	var mails []workflow.Mail
	for _, kind := range workflow.MailKinds {
		for _, to := range []string{"owner@example.com", "ops@example.com"} {
			d := signed(several())
			d.Locale = locale
			m := mailOf(kind, d)
			m.Recipient = to
			mails = append(mails, m)
		}
	}
	return mails
}

// TestPoolSend_NothingLooksLikeSpam holds every mail to what mail servers look for.
func TestPoolSend_NothingLooksLikeSpam(t *testing.T) {
	for _, locale := range []string{"en", "es"} {
		for _, m := range kinds(locale) {
			t.Run(locale+" "+string(m.Kind)+" "+m.Recipient, func(t *testing.T) {
				server := catch(t)
				c := settings(t, server.addr)
				c.ReplyTo = "Desk <desk@example.com>"
				message := mail.Message{Mail: m}
				if m.Kind == workflow.MailSigned {
					message.Download, message.Until = "https://sign.example.com/letter/0123456789abcdefghijklmnopqrstuvwxyz", m.CausedAt.AddDate(0, 1, 0)
				}
				if r := pool(t, c).Send(t.Context(), message); r.Outcome != workflow.Accepted {
					t.Fatalf("%+v", r)
				}
				raw := server.stored()[0]
				plainBytes(t, raw)
				l := read(t, raw)
				fields(t, l.header)
				page, err := html.Parse(strings.NewReader(l.html))
				if err != nil {
					t.Fatal(err)
				}
				loadsNothing(t, page)
				alike(t, l.text, page)
				const clipped = 102 << 10 // bytes from which Gmail hides the rest
				if len(l.html) > clipped/3 {
					t.Errorf("the page has %d bytes", len(l.html))
				}
			})
		}
	}
}

// plainBytes holds a message to RFC 5322: lines of at most 998 bytes, ended by
// CRLF, in ASCII.
func plainBytes(t *testing.T, raw string) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSuffix(raw, "\r\n"), "\r\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d bytes: %.60q…", len(line), line)
		}
		if i := strings.IndexFunc(line, func(r rune) bool { return r > 126 || r < ' ' && r != '\t' }); i >= 0 {
			t.Errorf("byte %d of %q is not plain ASCII", i, line)
		}
	}
}

// fields are there once each, or not at all.
func fields(t *testing.T, h netmail.Header) {
	t.Helper()
	for _, name := range []string{"From", "To", "Reply-To", "Subject", "Date", "Message-Id", "Mime-Version", "List-Id", "Auto-Submitted"} {
		if n := len(h[name]); n != 1 {
			t.Errorf("%s is there %d times", name, n)
		}
	}
	from, err := h.AddressList("From")
	if err != nil {
		t.Fatal(err)
	}
	_, domain, _ := strings.Cut(from[0].Address, "@")
	if id := h.Get("List-Id"); !strings.HasSuffix(id, "."+domain+">") {
		t.Errorf("List-Id %s is not in the sender's domain", id)
	}
	if id := h.Get("Message-Id"); !strings.HasSuffix(id, "@"+domain+">") {
		t.Errorf("Message-Id %s is not in the sender's domain", id)
	}
	if s := h.Get("Subject"); strings.Contains(s, "!") || strings.ToUpper(s) == s {
		t.Errorf("the subject shouts: %s", s)
	}
}

// loadsNothing fails if a page asks for anything, runs anything, leads to
// more than one place, or says another address than the one it leads to.
func loadsNothing(t *testing.T, page *html.Node) {
	t.Helper()
	for n := range page.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if slices.Contains([]string{"img", "script", "link", "form", "iframe", "object", "embed", "video", "audio", "base", "input"}, n.Data) {
			t.Errorf("the page has a <%s>", n.Data)
		}
		for _, a := range n.Attr {
			if value := strings.ToLower(a.Val); a.Key == "src" || a.Key == "background" || strings.HasPrefix(a.Key, "on") || strings.Contains(value, "url(") {
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
			if a.Key != "href" {
				continue
			}
			u, err := url.Parse(a.Val)
			if err != nil || u.Scheme != "https" || u.Host != "sign.example.com" {
				t.Errorf("a link to %s (%v)", a.Val, err)
			}
			if says := said(n); strings.Contains(says, "://") && says != a.Val {
				t.Errorf("a link says %s and leads to %s", says, a.Val)
			}
		}
		if n.Data == "style" {
			if css := said(n); strings.Contains(css, "url(") || strings.Contains(css, "@import") {
				t.Errorf("the style loads something: %s", css)
			}
		}
	}
}

// said is the text below a node.
func said(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// alike fails if one part of a mail has a word that the other lacks, but for
// what only the page needs: the line that a mailbox shows, how the letter
// stands, and what to do where the button does not work.
func alike(t *testing.T, text string, page *html.Node) {
	t.Helper()
	var shown []string
	for n := range page.Descendants() {
		if n.Type != html.ElementNode || n.Data != "p" && n.Data != "h1" && n.Data != "td" && n.Data != "a" {
			continue
		}
		if s := said(n); s != "" {
			shown = append(shown, s)
		}
	}
	onPage := strings.ToLower(strings.Join(shown, " "))
	inText := strings.ToLower(strings.Join(strings.Fields(text), " "))
	for line := range strings.SplitSeq(text, "\n") {
		for word := range strings.FieldsSeq(strings.ToLower(line)) {
			if word = strings.TrimRight(word, ":,"); word != "--" && !strings.Contains(onPage, word) {
				t.Errorf("the page does not say %q", word)
			}
		}
	}
	only := []string{
		"signature requested", "reminder", "out for signature", "signed", "if the button does not work, open this link:",
		"firma solicitada", "recordatorio", "pendiente de firma", "firmada", "si el botón no funciona, abra este enlace:",
	}
	for n := range page.Descendants() {
		if n.Type != html.ElementNode || n.Data != "p" && n.Data != "h1" && n.Data != "a" {
			continue
		}
		if s := strings.ToLower(said(n)); !strings.Contains(inText, s) && !slices.Contains(only, s) && !strings.HasPrefix(s, "letter of authorizationpx") && !strings.HasPrefix(s, "carta de autorizaciónpx") {
			t.Errorf("the text does not say %q", s)
		}
	}
}
