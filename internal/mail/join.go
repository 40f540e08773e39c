package mail

import (
	"mime/quotedprintable"
	"strings"
)

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
