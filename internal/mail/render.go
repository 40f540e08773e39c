package mail

import (
	"bytes"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode"

	"countersign/internal/phone"
	"countersign/workflow"
)

//go:embed templates
var files embed.FS

// pages are the templates of one kind of mail each.
type pages map[workflow.MailKind]page

type page struct {
	text *texttemplate.Template
	html *htmltemplate.Template
}

// parse reads the templates of every kind.
func parse() (pages, error) {
	out := make(pages, len(workflow.MailKinds))
	for _, kind := range workflow.MailKinds {
		text, err := texttemplate.ParseFS(files, "templates/layout.txt", "templates/"+string(kind)+".txt")
		if err != nil {
			return nil, fmt.Errorf("read the text of %s mails: %w", kind, err)
		}
		html, err := htmltemplate.ParseFS(files, "templates/layout.html", "templates/"+string(kind)+".html")
		if err != nil {
			return nil, fmt.Errorf("read the page of %s mails: %w", kind, err)
		}
		out[kind] = page{text, html}
	}
	return out, nil
}

// render writes both parts of a mail.
func (p pages) render(kind workflow.MailKind, v view) (text, html []byte, err error) {
	page, ok := p[kind]
	if !ok {
		return nil, nil, fmt.Errorf("there is no template for %q mails", kind)
	}
	var b bytes.Buffer
	b.Grow(usual)
	if err := page.text.Execute(&b, v); err != nil {
		return nil, nil, fmt.Errorf("write the text of a %s mail: %w", kind, err)
	}
	n := b.Len()
	if err := page.html.Execute(&b, v); err != nil {
		return nil, nil, fmt.Errorf("write the page of a %s mail: %w", kind, err)
	}
	return b.Bytes()[:n], b.Bytes()[n:], nil
}

// usual is how many bytes the two parts of a mail seldom exceed together.
const usual = 16 << 10

// view is what the templates show.
type view struct {
	Subject  string
	Sender   string
	Document workflow.SID
	Title    string // of the signer; may be empty
	Signer   string // address
	Mine     bool   // the recipient is the signer
	Numbers  []string
	Columns  int // in which the numbers are set, 1 or 2
	More     int // numbers that are not listed
	Date     string
	Digest   string // of the letter; only once it is signed
	Attached bool   // the signed letter is in the mail
	Link     string // only for the signer
	Expires  string
}

// maxListed is how many numbers a mail lists.
const maxListed = 20

// view gathers what a mail says. The link goes into the mails that ask for the
// signature, and nowhere else: who reads it can sign.
func (l letter) view(m workflow.Mail) view {
	d := m.About
	v := view{
		Sender: l.sender, Document: d.SID, Title: plain(d.ContactTitle), Signer: plain(d.Email),
		Mine: strings.EqualFold(m.Recipient, d.Email), Date: date(m.OwedAt),
	}
	v.Numbers, v.Columns = numbers(d.Orders[:min(len(d.Orders), maxListed)])
	v.More = len(d.Orders) - len(v.Numbers)
	what := "letter of authorization" + v.about()
	switch m.Kind {
	case workflow.MailSignature:
		v.Subject = "Please sign: " + what
	case workflow.MailReminder:
		v.Subject = "Reminder, please sign: " + what
	case workflow.MailSent:
		v.Subject = "Sent for signature: " + what
	case workflow.MailSigned:
		v.Subject, v.Digest = "Signed: "+what, plain(d.LetterDigest)
		if d.DateSigned != nil {
			v.Date = date(*d.DateSigned)
		}
	}
	if m.Kind == workflow.MailSignature || m.Kind == workflow.MailReminder {
		var expires time.Time
		v.Link, expires = l.link(m.Document, m.Round, m.OwedAt)
		v.Expires = date(expires)
	}
	return v
}

// about says in a few words which numbers a mail is about.
func (v view) about() string {
	switch n := len(v.Numbers) + v.More; n {
	case 0:
		return ""
	case 1:
		return " for " + v.Numbers[0]
	default:
		return fmt.Sprintf(" for %d phone numbers", n)
	}
}

// These is what a sentence calls the numbers that are listed below it.
func (v view) These() string {
	switch len(v.Numbers) {
	case 0:
		return "phone numbers"
	case 1:
		return "the phone number below"
	}
	return "the phone numbers below"
}

// Rows sets the numbers in columns, line by line.
func (v view) Rows() [][]string {
	var rows [][]string
	for i := 0; i < len(v.Numbers); i += v.Columns {
		rows = append(rows, v.Numbers[i:min(i+v.Columns, len(v.Numbers))])
	}
	return rows
}

// Role says who is to sign: "Owner, owner@example.com".
func (v view) Role() string {
	if v.Title == "" {
		return v.Signer
	}
	return v.Title + ", " + v.Signer
}

// numbers writes the numbers of orders as people do. An order whose number is
// not known yet goes by its sid.
func numbers(orders []workflow.Order) (list []string, columns int) {
	columns = 2
	if len(orders) < 4 {
		columns = 1
	}
	for _, o := range orders {
		if o.PhoneNumber == "" {
			list, columns = append(list, "Order "+string(o.SID)), 1
			continue
		}
		list = append(list, plain(phone.Human(o.PhoneNumber)))
	}
	return list, columns
}

// date writes a day as people do. All mails count days in UTC.
func date(t time.Time) string { return t.UTC().Format("2 January 2006") }

// maxWords is how much of a text from outside a mail shows, in runes.
const maxWords = 120

// plain makes one line of a text that came from outside, without characters
// that would turn, hide or break what stands around it.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > maxWords {
		s = string(runes[:maxWords]) + "…"
	}
	return s
}
