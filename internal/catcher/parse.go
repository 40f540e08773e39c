package catcher

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
)

// How far parts in parts are followed, and how many are looked at.
const (
	maxDepth = 8
	maxParts = 100
)

// parse reads a mail (RFC 5322, MIME as of RFC 2045 and 2046) as far as it can
// be read. Of a mail without a readable header everything is text.
func parse(raw []byte) Mail {
	m := Mail{Raw: raw, Header: mail.Header{}}
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		m.Text = valid(raw)
		return m
	}
	m.Header = msg.Header
	m.Subject = decodeWords(msg.Header.Get("Subject"))
	m.MessageID = valid([]byte(msg.Header.Get("Message-Id")))
	p := &parts{left: maxParts}
	p.read(msg.Header.Get, msg.Body, 0)
	m.Text, m.HTML = p.text, p.html
	return m
}

// parts gathers the readable parts of a mail.
type parts struct {
	text, html string
	left       int
}

// read takes one part, or the parts in it. What is broken in the middle is read
// up to there.
func (p *parts) read(header func(string) string, body io.Reader, depth int) {
	kind, params, err := mime.ParseMediaType(header("Content-Type"))
	if err != nil {
		kind = "text/plain" // RFC 2045 section 5.2
	}
	disposition, _, _ := mime.ParseMediaType(header("Content-Disposition"))
	switch {
	case strings.HasPrefix(kind, "multipart/") && params["boundary"] != "" && depth < maxDepth:
		p.readAll(multipart.NewReader(body, params["boundary"]), depth+1)
	case disposition == "attachment":
	case kind == "text/plain" && p.text == "":
		p.text = decode(header("Content-Transfer-Encoding"), params["charset"], body)
	case kind == "text/html" && p.html == "":
		p.html = decode(header("Content-Transfer-Encoding"), params["charset"], body)
	}
}

func (p *parts) readAll(r *multipart.Reader, depth int) {
	for p.left > 0 {
		p.left--
		part, err := r.NextRawPart()
		if err != nil {
			return
		}
		p.read(part.Header.Get, part, depth)
	}
}

// decode undoes the transfer encoding and makes UTF-8 of it, with plain line ends.
func decode(encoding, charset string, body io.Reader) string {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	b, _ := io.ReadAll(body) // as far as it can be read
	text := valid(b)
	if strings.EqualFold(charset, "iso-8859-1") {
		text = latin1(b)
	}
	return strings.ReplaceAll(text, "\r\n", "\n")
}

// latin1 reads ISO 8859-1, whose bytes are the first 256 runes.
func latin1(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

// decodeWords decodes the encoded words of RFC 2047, as far as it can.
func decodeWords(s string) string {
	var d mime.WordDecoder
	if decoded, err := d.DecodeHeader(s); err == nil {
		s = decoded
	}
	return valid([]byte(s))
}

func valid(b []byte) string { return strings.ToValidUTF8(string(b), "�") }
