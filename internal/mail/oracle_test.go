package mail

import (
	"bytes"
	"fmt"
	"io"
	netmail "net/mail"
	"strconv"
	"strings"
	"sync"
	"testing"
	texttemplate "text/template"
	"time"

	gomail "github.com/wneessen/go-mail"

	"countersign/internal/loa"
	"countersign/internal/mail/mailid"
	"countersign/internal/smtpurl"
	"countersign/workflow"
)

// oracle writes the message of an email in the slow way: the templates get the
// values themselves, and go-mail makes the message of the two parts.
func oracle(c *composer, settings Config, message Message, to *netmail.Address) (*gomail.Msg, error) {
	m := message.Mail
	w := of(m.About.Locale)
	v := c.view(w, m)
	v.Attached = message.Letter != nil
	if m.Kind == workflow.MailSigned && message.Download != "" {
		v.Link, v.Expires = message.Download, loa.Moment(w.Language, message.Until)
	}
	said := w.kinds[m.Kind](v)
	text, html, err := oraclePages(c).render(content{v, said, w})
	if err != nil {
		return nil, err
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := msg.From(settings.From); err != nil {
		return nil, err
	}
	msg.ToMailAddress(to)
	if settings.ReplyTo != "" {
		if err := msg.ReplyTo(settings.ReplyTo); err != nil {
			return nil, err
		}
	}
	msg.Subject(said.Subject)
	msg.SetDateWithValue(c.now())
	msg.SetMessageIDWithValue(string(m.ID) + "@" + c.domain)
	msg.SetGenHeader(mailid.Header, string(m.ID))
	_, answers, references := c.identify(m) // TestPoolSend_Headers has what these must be
	if answers != "" {
		msg.SetGenHeader(gomail.HeaderInReplyTo, answers)
	}
	if references != "" {
		msg.SetGenHeader(gomail.HeaderReferences, references)
	}
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "DR, RN, NRN, OOF, AutoReply")
	msg.SetGenHeader("List-Id", "<authorization."+c.domain+">")
	write := func(b []byte) func(io.Writer) (int64, error) {
		return func(w io.Writer) (int64, error) { return bytes.NewReader(b).WriteTo(w) }
	}
	msg.SetBodyWriter(gomail.TypeTextPlain, write(text))
	msg.AddAlternativeWriter(gomail.TypeTextHTML, write(html))
	if message.Letter != nil {
		err = msg.AttachReader(fileName(m.Document), bytes.NewReader(message.Letter), gomail.WithFileContentType("application/pdf"))
	}
	return msg, err
}

// oracleText is the template of the text part for the values themselves.
var oracleText = sync.OnceValue(func() *texttemplate.Template {
	p, err := parse()
	if err != nil {
		panic(err)
	}
	return p.text.Funcs(texttemplate.FuncMap{"wrap": wrapValues})
})

// oraclePages are the templates of a composer for the values themselves.
func oraclePages(c *composer) pages {
	p := c.shapes.pages
	p.text = oracleText()
	return p
}

// wrapValues wraps a paragraph that has values where wrap has placeholders.
func wrapValues(p paragraph) string {
	var lines []string
	for _, word := range strings.Fields(p.Strong + " " + p.Text) {
		last := len(lines) - 1
		if last < 0 || len([]rune(lines[last]+" "+word)) > maxLine {
			lines = append(lines, word)
			continue
		}
		lines[last] += " " + word
	}
	return strings.Join(lines, "\n")
}

// blind numbers the boundaries of a message in their order: they are what must
// differ between two messages.
func blind(raw []byte) string {
	const parameter = "\r\n boundary="
	s, rest := string(raw), string(raw)
	for i := 0; ; i++ {
		_, after, found := strings.Cut(rest, parameter)
		if !found {
			return s
		}
		boundary, _, _ := strings.Cut(after, "\r\n")
		s, rest = strings.ReplaceAll(s, boundary, "BOUNDARY"+strconv.Itoa(i)), after
	}
}

// asOracle compares a message with the oracle's, byte for byte.
func asOracle(t *testing.T, c *composer, settings Config, message Message) {
	t.Helper()
	to := &netmail.Address{Address: message.Mail.Recipient}
	msg, err := oracle(c, settings, message, to)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if _, err := msg.WriteTo(&want); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time, the shape is known
		got, err := c.write(message, to)
		if err != nil {
			t.Fatal(err)
		}
		if g, w := blind(got.content), blind(want.Bytes()); g != w {
			at := 0
			for at < min(len(g), len(w)) && g[at] == w[at] {
				at++
			}
			t.Fatalf("%s in %q differs at byte %d:\n got %q\nwant %q", message.Mail.Kind, message.Mail.About.Locale, at, around(g, at), around(w, at))
		}
		got.release()
	}
}

func around(s string, at int) string { return s[max(0, at-80):min(len(s), at+80)] }

// plainSettings are those of the composers of these tests.
func plainSettings(link string) Config {
	return Config{
		Server: smtpurl.Server{Host: "127.0.0.1", Port: 25}, From: "Hosting & Söhne <loa@countersign.example>", ReplyTo: "Desk <desk@example.com>", Pool: 1,
		Link: func(m workflow.Mail) (string, time.Time) { return link, m.CausedAt.AddDate(0, 0, 30) },
		Now:  func() time.Time { return time.Date(2026, 11, 24, 23, 30, 0, 0, time.UTC) },
	}
}

func testComposer(t testing.TB, settings Config) *composer {
	t.Helper()
	c, err := newComposer(settings)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const plainLink = "https://sign.example.com/s/0123456789abcdefghijklmnopqrstuvwxyz+A_-?r=1&d=PX0123456789abcdef0123456789abcdef"

// aDocument makes a document with a number of orders.
func aDocument(orders int) *workflow.Document {
	at := time.Date(2026, 11, 24, 23, 30, 0, 0, time.UTC)
	d := &workflow.Document{
		SID: "PX0123456789abcdef0123456789abcdef", Round: 1, Email: "owner@example.com", ContactTitle: "Owner", DateSigned: &at,
		LetterDigest: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	}
	for i := range orders {
		d.Orders = append(d.Orders, workflow.Order{SID: workflow.SID(fmt.Sprintf("HR%032d", i)), PhoneNumber: fmt.Sprintf("+1415555%04d", 100+i)})
	}
	return d
}

func anEmail(kind workflow.MailKind, d *workflow.Document, to string) workflow.Mail {
	return workflow.Mail{
		ID: workflow.MailID(fmt.Sprintf("%s.%d.%s.0", d.SID, d.Round, kind)), Document: d.SID, Round: d.Round,
		Kind: kind, Recipient: to, CausedAt: time.Date(2026, 11, 20, 9, 5, 0, 0, time.UTC), About: d,
	}
}

// endings are the ways in which a document ends that its emails tell apart.
var endings = []func(*workflow.Document){
	func(*workflow.Document) {},
	func(d *workflow.Document) { d.Reason = "see evil.com, <b>now</b>" },
	func(d *workflow.Document) { d.CanceledBy, d.EndedBy = "signer", workflow.EndedDeclined },
	func(d *workflow.Document) {
		d.CanceledBy, d.EndedBy, d.Evidence = "signer", workflow.EndedDeclined, []byte(`{"reason":"These are not our numbers."}`)
	},
	func(d *workflow.Document) {
		d.CanceledBy, d.EndedBy, d.Evidence = "signer", workflow.EndedWrongPerson, []byte(`{"right_person":"Jane Doe, CFO"}`)
	},
	func(d *workflow.Document) { d.EndedBy = workflow.EndedExpired },
	func(d *workflow.Document) { d.DateSigned, d.LetterDigest, d.ContactTitle = nil, "", "" },
}

// TestComposerWrite_EachEmailIsAsTheTemplatesAndGoMailWriteIt writes every kind in
// every language under every condition that the words know.
func TestComposerWrite_EachEmailIsAsTheTemplatesAndGoMailWriteIt(t *testing.T) {
	settings := plainSettings(plainLink)
	c := testComposer(t, settings)
	written := 0
	each(func(message Message) {
		asOracle(t, c, settings, message)
		written++
	})
	if written != 624 {
		t.Errorf("%d emails were compared, want 624", written)
	}
}

// each calls f with emails of every kind, language and condition.
func each(f func(Message)) {
	for _, locale := range []string{"en", "es"} {
		for _, kind := range workflow.MailKinds {
			for _, orders := range []int{0, 1, 3, 4, maxListed, maxListed + 180} {
				for i, end := range endings {
					if ends := kind == workflow.MailCanceled || kind == workflow.MailFailed; !ends && 0 < i && i < len(endings)-1 {
						continue
					}
					for _, to := range []string{"owner@example.com", "ops@example.com"} {
						d := aDocument(orders)
						d.Locale, d.Round = locale, i%3+1
						end(d)
						m := anEmail(kind, d, to)
						f(Message{Mail: m})
						if kind == workflow.MailSigned {
							f(Message{Mail: m, Letter: bytes.Repeat([]byte("%PDF \x00\xff\r\n."), 7*orders)})
							f(Message{Mail: m, Download: plainLink, Until: m.CausedAt})
						}
					}
				}
			}
		}
	}
}

// TestComposerWrite_OrdersWithoutNumbersAreAsTheTemplatesWriteThem has orders that go
// by their sid, in each place.
func TestComposerWrite_OrdersWithoutNumbersAreAsTheTemplatesWriteThem(t *testing.T) {
	settings := plainSettings(plainLink)
	c := testComposer(t, settings)
	for _, orders := range []int{1, 2, 5, maxListed + 1} {
		for without := range min(orders, 3) {
			d := aDocument(orders)
			asOracle(t, c, settings, Message{Mail: anEmail(workflow.MailSignature, d, d.Email)})
			d.Orders[without].PhoneNumber = ""
			asOracle(t, c, settings, Message{Mail: anEmail(workflow.MailSignature, d, d.Email)})
		}
	}
}

// TestComposerWrite_StrangeLinksAreEscapedAsTheTemplatesDo has URLs that
// html/template encodes, or does not let pass.
func TestComposerWrite_StrangeLinksAreEscapedAsTheTemplatesDo(t *testing.T) {
	for _, link := range []string{
		"http://127.0.0.1:8080/s/x", "https://exämple.com/ü?q=a b", `https://e.com/"><script>`, "javascript:alert(1)", "HTTPS://E.COM/", "/relative", "https://e.com/%zz%41%",
		"https://e.com/(a)'b'", "mailto:a@b", "data:text/html,x", " https://e.com", "https://e.com/\x00\r\n.\r\n", "\ue000", "https://e.com/\ue005%ee%80%85",
	} {
		settings := plainSettings(link)
		asOracle(t, testComposer(t, settings), settings, Message{Mail: anEmail(workflow.MailSignature, aDocument(2), "owner@example.com")})
	}
}

// FuzzComposerWrite_ValuesAreAsTheTemplatesWriteThem writes emails with values that
// are made to break out: of the header, of HTML, of a part, of a line.
func FuzzComposerWrite_ValuesAreAsTheTemplatesWriteThem(f *testing.F) {
	f.Add("Owner", "+14155550100", "sha256:00", "owner@example.com", "Hosting Team", "reason", plainLink, 1)
	f.Add("\r\nBcc: eve@example.net", "\r\n\r\n--alternative_\r\n", "=\r\n.\r\n", "<script>@b", "=?UTF-8?q?x?=", "{{.}}", "javascript:alert(1)", -1)
	f.Add(strings.Repeat("é", 500), strings.Repeat("x", 1200), "\u202egnp.exe", "a&b\"'+<>\x00@c", "Søn", strings.Repeat("= ", 70), "https://e.com/"+strings.Repeat("=", 300), 3)
	f.Add("\ue000\ue005\ue03e", "%ee%80%85", "\ue03f", "\ue000@\ue001", "\ue003", "\ue03e \ue001 \ue03f", "https://e.com/\ue000%ee%80%80", 2)
	f.Add("a\rb\r", "\xff\xfe", " \t ", "\r@\n", "x", "trailing \t", "https://e.com/\r", 4)
	settings := plainSettings("")
	c := testComposer(f, settings)
	f.Fuzz(func(t *testing.T, title, phone, digest, signer, sender, reason, link string, round int) {
		c.sender = plain(sender)
		c.link = func(m workflow.Mail) (string, time.Time) { return link, m.CausedAt }
		for _, kind := range workflow.MailKinds {
			for _, locale := range []string{"en", "es"} {
				d := aDocument(3)
				d.ContactTitle, d.Email, d.LetterDigest, d.Reason, d.Round, d.Locale = title, signer, digest, reason, round, locale
				d.SID = workflow.SID("PX" + digest[:min(len(digest), 40)])
				d.Orders[0].PhoneNumber, d.Orders[1].SID, d.Orders[1].PhoneNumber = phone, workflow.SID(title), ""
				m := anEmail(kind, d, "ops@example.com")
				asOracle(t, c, settings, Message{Mail: m, Letter: []byte(reason)})
				got, err := c.write(Message{Mail: m}, &netmail.Address{Address: m.Recipient})
				if err != nil {
					t.Fatal(err)
				}
				wellFormed(t, got.content)
			}
		}
	})
}

// wellFormed holds a message to the lines that mail servers must take (RFC 5322
// section 2.1.1 and 2.3).
func wellFormed(t *testing.T, raw []byte) {
	t.Helper()
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		t.Error("the last line does not end")
	}
	for line := range bytes.SplitSeq(bytes.TrimSuffix(raw, []byte("\r\n")), []byte("\r\n")) {
		if bytes.ContainsAny(line, "\r\n") || bytes.ContainsFunc(line, func(r rune) bool { return r > '~' || r < ' ' && r != '\t' }) || len(line) > 998 {
			t.Errorf("a line that not every server takes: %.200q", line)
		}
	}
}

// TestShapesOf_KeepsABoundedNumber writes emails of more shapes than are kept.
func TestShapesOf_KeepsABoundedNumber(t *testing.T) {
	settings := plainSettings(plainLink)
	c := testComposer(t, settings)
	for _, locale := range []string{"en", "es"} {
		for _, kind := range workflow.MailKinds {
			for orders := range maxListed + 2 {
				d := aDocument(orders)
				d.Locale = locale
				asOracle(t, c, settings, Message{Mail: anEmail(kind, d, d.Email)})
			}
		}
	}
	if got := len(c.shapes.kept); got != maxShapes {
		t.Errorf("%d shapes are kept, want %d", got, maxShapes)
	}
}
