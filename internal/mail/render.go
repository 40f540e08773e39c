package mail

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	htmltemplate "html/template"
	"strconv"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode"
	"unicode/utf8"

	"countersign/internal/inert"
	"countersign/internal/loa"
	"countersign/internal/phone"
	"countersign/workflow"
)

//go:embed templates
var files embed.FS

// pages are the two parts of every mail.
type pages struct {
	text *texttemplate.Template
	html *htmltemplate.Template
	link *htmltemplate.Template // a URL between linkOpen and linkClose
}

const (
	linkOpen  = `<a href="`
	linkClose = `">`
)

// parse reads the templates.
func parse() (pages, error) {
	join := map[string]any{"join": strings.Join}
	text, err := texttemplate.New("layout.txt").Funcs(join).Funcs(map[string]any{"upper": strings.ToUpper, "wrap": wrap}).ParseFS(files, "templates/layout.txt")
	if err != nil {
		return pages{}, fmt.Errorf("read the text of mails: %w", err)
	}
	html, err := htmltemplate.New("layout.html").Funcs(join).ParseFS(files, "templates/layout.html")
	if err != nil {
		return pages{}, fmt.Errorf("read the page of mails: %w", err)
	}
	link, err := htmltemplate.New("link").Parse(linkOpen + "{{.}}" + linkClose)
	if err != nil {
		return pages{}, fmt.Errorf("read the link of emails: %w", err)
	}
	return pages{text, html, link}, nil
}

// content is what both parts of a mail show.
type content struct {
	view
	said
	*language
}

// render writes both parts of a mail.
func (p pages) render(c content) (text, html []byte, err error) {
	var b bytes.Buffer
	if err := p.text.Execute(&b, c); err != nil {
		return nil, nil, fmt.Errorf("write the text of a mail: %w", err)
	}
	n := b.Len()
	if err := p.html.Execute(&b, c); err != nil {
		return nil, nil, fmt.Errorf("write the page of a mail: %w", err)
	}
	return b.Bytes()[:n], b.Bytes()[n:], nil
}

// Outlook draws with Word, which knows no greatest width and takes a serif
// if it does not know a font. These comments are for it alone;
// html/template would drop them.
const (
	outlookFont  = htmltemplate.HTML(`<!--[if mso]><style>body,table,td,p,h1,a{font-family:Arial,sans-serif !important;}</style><![endif]-->`)
	outlookOpen  = htmltemplate.HTML(`<!--[if mso]><table role="presentation" width="600" cellpadding="0" cellspacing="0" border="0"><tr><td><![endif]-->`)
	outlookClose = htmltemplate.HTML(`<!--[if mso]></td></tr></table><![endif]-->`)
)

// OutlookFont, OutlookOpen and OutlookClose are what Outlook reads.
func (content) OutlookFont() htmltemplate.HTML  { return outlookFont }
func (content) OutlookOpen() htmltemplate.HTML  { return outlookOpen }
func (content) OutlookClose() htmltemplate.HTML { return outlookClose }

// view is what a mail can tell, in its language.
type view struct {
	Sender   string
	Document string
	Role     string // who is to sign: "Owner, owner@example.com"
	Mine     bool   // the recipient is the signer
	Numbers  []string
	More     string // how many numbers are not listed; empty for none
	Total    string // how many numbers the letter is for
	Date     string // of what the mail tells
	Digest   string // of the letter; only once it is signed
	Declined bool   // the signer has canceled it
	Expired  bool   // nobody signed in time
	Reason   string // why it was canceled or failed, unless other words say so
	Person   string // who should be asked instead, as the signer typed it
	Attached bool   // the signed letter is in the mail
	Link     string // to sign, only for the signer; or to download the signed letter
	Expires  string // the moment at which the link, or the letter, is over
	columns  int
	language *language
}

// values are the texts of a view that differ between emails of one shape, in a
// fixed order. They are appended to list.
func (v *view) values(list []*string) []*string {
	list = append(list, &v.Sender, &v.Document, &v.Role, &v.More, &v.Total, &v.Date, &v.Digest, &v.Reason, &v.Person, &v.Link, &v.Expires)
	for i := range v.Numbers {
		list = append(list, &v.Numbers[i])
	}
	return list
}

// maxListed is how many numbers a mail lists.
const maxListed = 20

// view gathers what a mail says. The link goes into the mails that ask for the
// signature, and nowhere else: who reads it can sign.
func (c *composer) view(w *language, m workflow.Mail) view {
	d := m.About
	v := view{
		Sender: c.sender, Document: string(d.SID), Role: inert.Email(plain(d.Email)), Mine: strings.EqualFold(m.Recipient, d.Email),
		Date: loa.Date(w.Language, m.CausedAt), language: w,
	}
	if title := foreign(d.ContactTitle); title != "" {
		v.Role = title + ", " + v.Role
	}
	v.Numbers, v.columns = w.numbers(d.Orders[:min(len(d.Orders), maxListed)])
	v.Total = strconv.Itoa(len(d.Orders))
	if more := len(d.Orders) - len(v.Numbers); more > 0 {
		v.More = strconv.Itoa(more)
	}
	switch m.Kind {
	case workflow.MailSignature, workflow.MailReminder:
		var expires time.Time
		v.Link, expires = c.link(m)
		v.Expires = loa.Moment(w.Language, expires)
	case workflow.MailCanceled, workflow.MailFailed:
		v.Declined, v.Expired = d.CanceledBy == "signer", d.EndedBy == workflow.EndedExpired
		switch typed := typedBy(*d); {
		case v.Expired:
		case d.EndedBy == workflow.EndedDeclined:
			v.Reason = foreign(typed.Reason)
		case d.EndedBy == workflow.EndedWrongPerson:
			v.Reason, v.Person = w.notMe, plainUpTo(maxPerson, typed.RightPerson)
		default:
			v.Reason = foreign(d.Reason)
		}
	case workflow.MailSigned:
		v.Digest = foreign(d.LetterDigest)
		if d.DateSigned != nil {
			v.Date = loa.Date(w.Language, *d.DateSigned)
		}
	}
	return v
}

// list is the fact that lists the numbers.
func (v view) list(one, many string) []fact {
	if len(v.Numbers) == 0 {
		return nil
	}
	f := fact{Label: pick(len(v.Numbers), "", one, many), Values: v.Numbers, Columns: v.columns}
	if v.More != "" {
		f.More = fmt.Sprintf(v.language.more, v.More)
	}
	return []fact{f}
}

// day is a fact that is a day.
func (v view) day(label, date string) fact {
	f := is(label, date)
	f.Aside = v.language.utc
	return f
}

// digest is the fact that the letter has a digest.
func (v view) digest(label string) []fact {
	if v.Digest == "" {
		return nil
	}
	f := is(label, v.Digest)
	f.Code = true
	return []fact{f}
}

// numbers writes the numbers of orders as people do. An order whose number is
// not known yet goes by its sid.
func (w *language) numbers(orders []workflow.Order) (list []string, columns int) {
	columns = 2
	if len(orders) < 4 {
		columns = 1
	}
	for _, o := range orders {
		if o.PhoneNumber == "" {
			list, columns = append(list, w.order+string(o.SID)), 1
			continue
		}
		list = append(list, plain(phone.Human(o.PhoneNumber)))
	}
	return list, columns
}

// maxLine is how long a line of the text part is, in runes; RFC 3676 asks for
// 78 at most.
const maxLine = 72

// wrap writes a paragraph in lines. If it has placeholders, their values decide
// later where the lines end.
func wrap(p paragraph) string {
	text := p.Strong + " " + p.Text
	if strings.ContainsFunc(text, func(r rune) bool { return firstPlace <= r && r < openPlace }) {
		return string(openPlace) + text + string(closePlace)
	}
	return string(appendWrapped(nil, []byte(text)))
}

// appendWrapped appends a text in lines.
func appendWrapped(b, text []byte) []byte {
	length := 0
	for word := range bytes.FieldsSeq(text) {
		n := utf8.RuneCount(word)
		switch {
		case length == 0:
		case length+1+n > maxLine:
			b = append(b, '\n')
			length = 0
		default:
			b = append(b, ' ')
			length++
		}
		b = append(b, word...)
		length += n
	}
	return b
}

// How much of a text from outside a mail shows, in runes.
const (
	maxWords  = 120
	maxPerson = 200 // all that the signing page takes
)

// foreign makes one line of a text that came from outside, in which no mail
// program finds a link.
func foreign(s string) string { return inert.Text(plain(s)) }

// plain makes one line of a text that came from outside, without characters
// that would turn, hide or break what stands around it.
func plain(s string) string { return plainUpTo(maxWords, s) }

// plainUpTo is plain for a text of which more, or less, is shown.
func plainUpTo(most int, s string) string {
	if len(s) <= most && isPlain(s) {
		return s
	}
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
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return s
}

// isPlain reports whether a text is one line of ASCII words with a space between
// them.
func isPlain(s string) bool {
	last := byte(' ')
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == ' ' && last == ' ' {
			return false
		}
		last = s[i]
	}
	return s == "" || last != ' '
}

// typed is what a signer who did not sign typed on the signing page. A field is
// empty if the signer left it so.
type typed struct {
	Reason      string `json:"reason"`
	RightPerson string `json:"right_person"` // who should be asked instead
}

// typedBy reads what the signer typed from the evidence.
func typedBy(d workflow.Document) (t typed) {
	if json.Unmarshal(d.Evidence, &t) != nil {
		return typed{}
	}
	return t
}
