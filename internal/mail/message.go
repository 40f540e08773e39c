package mail

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"mime"
	"slices"
	"strings"
)

// message is a message that is being written: first the fields of its header,
// then the body (RFC 5322, RFC 2045).
type message struct {
	bytes.Buffer
	boundary string // the end of each boundary; nobody can guess it
}

// usual is how many bytes a message seldom exceeds without its attachment.
const usual = 16 << 10

// newMessage begins a message with an attachment of a size.
func newMessage(attached int) *message {
	b := &message{boundary: rand.Text()}
	b.Grow(usual + base64.StdEncoding.EncodedLen(attached)*(base64Line+2)/base64Line)
	return b
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
	b.join("Content-Type: multipart/", subtype, ";\r\n boundary=", subtype, "_", b.boundary, "\r\n\r\n--", subtype, "_", b.boundary, "\r\n")
}

// next ends a part of a multipart and begins another.
func (b *message) next(subtype string) { b.join("\r\n--", subtype, "_", b.boundary, "\r\n") }

// end ends a multipart.
func (b *message) end(subtype string) { b.join("\r\n--", subtype, "_", b.boundary, "--\r\n") }

// words writes what the email says, as text and as HTML.
func (b *message) words(j *joiner, s *shape) {
	const encoding, end = "Content-Transfer-Encoding: quoted-printable\r\nContent-Type: text/", "; charset=UTF-8\r\n\r\n"
	b.begin("alternative")
	b.join(encoding, "plain", end)
	j.part(s.text)
	b.next("alternative")
	b.join(encoding, "html", end)
	j.part(s.html)
	b.end("alternative")
}

// attach writes a PDF, whose name must be a word of ASCII letters and digits.
func (b *message) attach(name string, pdf []byte) {
	b.join("Content-Disposition: attachment; filename=\"", name, "\"\r\nContent-Transfer-Encoding: base64\r\n",
		"Content-Type: application/pdf; name=\"", name, "\"\r\n\r\n")
	for line := range slices.Chunk(pdf, base64Line/4*3) {
		b.Write(base64.StdEncoding.AppendEncode(b.AvailableBuffer(), line))
		b.WriteString("\r\n")
	}
}

func (b *message) join(texts ...string) {
	for _, s := range texts {
		b.WriteString(s)
	}
}
