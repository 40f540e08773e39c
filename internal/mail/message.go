package mail

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"mime"
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
