package mail

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"mime"
	"mime/quotedprintable"
	"slices"
	"strings"
	"sync"
)

// message is a message that is being written: first the fields of its header,
// then the body (RFC 5322, RFC 2045).
type message struct {
	bytes.Buffer
	boundary string // the end of each boundary; nobody can guess it

	line      []byte // of a part: since the last whole line, not encoded yet
	unwrapped []byte // of a paragraph
}

// messages are kept to be used again: the memory of each email is not cleared and
// collected.
var messages = sync.Pool{New: func() any { return new(message) }}

// maxKept is how many bytes a message has at most to be kept. Only attachments
// make one larger.
const maxKept = 64 << 10

// newMessage begins a message with an attachment of a size.
func newMessage(attached int) *message {
	b := messages.Get().(*message)
	b.Reset()
	b.boundary = rand.Text()
	if attached > 0 {
		b.Grow(maxKept/2 + base64.StdEncoding.EncodedLen(attached)*(base64Line+2)/base64Line)
	}
	return b
}

// release gives the memory of a message to the next one.
func (b *message) release() {
	if b != nil && b.Cap() <= maxKept {
		messages.Put(b)
	}
}

// encode makes a text fit for the header (RFC 2047). It leaves ASCII as it is.
func encode(s string) string { return mime.QEncoding.Encode("UTF-8", s) }

const (
	maxField   = 74 // characters in a line of the header
	base64Line = 76 // characters, RFC 2045 section 6.8
)

// field writes a header field, and folds it between words. The value must be ASCII
// without line breaks.
func (b *message) field(name, value string) {
	b.WriteString(name)
	b.WriteString(":")
	room := maxField - len(name) - len(": ")
	for word := range strings.SplitSeq(value, " ") {
		if room-len(word) <= 1 {
			b.WriteString("\r\n")
			room = maxField - 1
		}
		b.WriteString(" ")
		b.WriteString(word)
		room -= len(word) + 1
	}
	b.WriteString("\r\n")
}

// begin begins a multipart, in the header or as a part of another one.
func (b *message) begin(subtype string) {
	b.add("Content-Type: multipart/", subtype, ";\r\n boundary=", subtype, "_", b.boundary, "\r\n\r\n--", subtype, "_", b.boundary, "\r\n")
}

// next ends a part of a multipart and begins another.
func (b *message) next(subtype string) { b.add("\r\n--", subtype, "_", b.boundary, "\r\n") }

// end ends a multipart.
func (b *message) end(subtype string) { b.add("\r\n--", subtype, "_", b.boundary, "--\r\n") }

// body writes what an email says, and the letter that is attached.
func (b *message) body(email Message, s *shape, v given) {
	if email.Letter == nil {
		b.words(s, v)
		return
	}
	b.begin("mixed")
	b.words(s, v)
	b.next("mixed")
	b.attach(fileName(email.Mail.Document), email.Letter)
	b.end("mixed")
}

// words writes what an email says, as text and as HTML.
func (b *message) words(s *shape, v given) {
	const encoding, end = "Content-Transfer-Encoding: quoted-printable\r\nContent-Type: text/", "; charset=UTF-8\r\n\r\n"
	b.begin("alternative")
	b.add(encoding, "plain", end)
	b.part(s.text, v)
	b.next("alternative")
	b.add(encoding, "html", end)
	b.part(s.html, v)
	b.end("alternative")
}

// attach writes a PDF, whose name must be a word of ASCII letters and digits.
func (b *message) attach(name string, pdf []byte) {
	b.add("Content-Disposition: attachment; filename=\"", name, "\"\r\nContent-Transfer-Encoding: base64\r\n",
		"Content-Type: application/pdf; name=\"", name, "\"\r\n\r\n")
	for line := range slices.Chunk(pdf, base64Line/4*3) {
		b.Write(base64.StdEncoding.AppendEncode(b.AvailableBuffer(), line))
		b.WriteString("\r\n")
	}
}

func (b *message) add(texts ...string) {
	for _, s := range texts {
		b.WriteString(s)
	}
}

// given are the values of one email.
type given struct {
	values []*string
	href   string // the link as the URL in an attribute
}

// part writes a part of the message, as quoted-printable.
func (b *message) part(list []piece, v given) {
	q := quotedprintable.NewWriter(&b.Buffer)
	b.line = b.line[:0]
	for _, p := range list {
		if p.how != asLines {
			b.line = b.join(b.line, p, v)
			continue
		}
		_, _ = q.Write(b.line) // a buffer takes everything
		b.line = b.line[:0]
		b.Write(p.text)
	}
	_, _ = q.Write(b.line)
	_ = q.Close()
}

// text joins the pieces of a text that is not encoded.
func (b *message) text(list []piece, v given) string {
	b.line = b.line[:0]
	for _, p := range list {
		b.line = b.join(b.line, p, v)
	}
	return string(b.line)
}

// join appends a piece that is not encoded.
func (b *message) join(to []byte, p piece, v given) []byte {
	switch p.how {
	case asIs:
		return append(to, *v.values[p.value]...)
	case asHTML:
		return appendEscaped(to, *v.values[p.value])
	case asURL:
		return append(to, v.href...)
	case asParagraph:
		b.unwrapped = b.unwrapped[:0]
		for _, word := range p.words {
			b.unwrapped = b.join(b.unwrapped, word, v)
		}
		return appendWrapped(to, b.unwrapped)
	}
	return append(to, p.text...)
}

// appendEscaped escapes a text as html/template does between tags, in a title and
// in a quoted attribute.
func appendEscaped(b []byte, s string) []byte {
	done := 0
	for i := range len(s) {
		var with string
		switch s[i] {
		case 0:
			with = "\ufffd"
		case '"':
			with = "&#34;"
		case '&':
			with = "&amp;"
		case '\'':
			with = "&#39;"
		case '+':
			with = "&#43;"
		case '<':
			with = "&lt;"
		case '>':
			with = "&gt;"
		default:
			continue
		}
		b = append(append(b, s[done:i]...), with...)
		done = i + 1
	}
	return append(b, s[done:]...)
}

// href escapes a URL for an attribute as html/template does. Nearly every URL
// needs the escapes of HTML only; the others are left to html/template.
func (p pages) href(url string) (string, error) {
	if web(url) && !strings.ContainsFunc(url, rare) {
		return string(appendEscaped(nil, url)), nil
	}
	var b strings.Builder
	if err := p.link.Execute(&b, url); err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), linkOpen), linkClose), nil
}

// web reports whether a URL has one of the schemes that html/template lets pass.
func web(url string) bool {
	return strings.HasPrefix(url, "https://") || strings.HasPrefix(url, "http://")
}

// rare tells the characters that html/template may encode in a URL: all but the
// reserved and unreserved ones of RFC 3986.
func rare(r rune) bool {
	return !alphanumeric(r) && !strings.ContainsRune("-._~!#$&*+,/:;=?@[]", r)
}

func alphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
