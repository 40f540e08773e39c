package mail

import (
	"bytes"
	"mime/quotedprintable"
	"strings"
)

// joiner joins the pieces of shapes with the values of one email.
type joiner struct {
	values []*string
	href   string // the link as the URL in an attribute

	out       *bytes.Buffer
	line      []byte // since the last whole line, not encoded yet
	unwrapped []byte // of a paragraph
}

// part writes a part of the email to out, as quoted-printable.
func (j *joiner) part(list []piece) {
	q := quotedprintable.NewWriter(j.out)
	j.line = j.line[:0]
	for _, p := range list {
		if p.how != asLines {
			j.line = j.join(j.line, p)
			continue
		}
		_, _ = q.Write(j.line) // a buffer takes everything
		j.line = j.line[:0]
		j.out.Write(p.text)
	}
	_, _ = q.Write(j.line)
	_ = q.Close()
}

// text joins the pieces of a text that is not encoded.
func (j *joiner) text(list []piece) string {
	j.line = j.line[:0]
	for _, p := range list {
		j.line = j.join(j.line, p)
	}
	return string(j.line)
}

// join appends a piece that is not encoded.
func (j *joiner) join(b []byte, p piece) []byte {
	switch p.how {
	case asIs:
		return append(b, *j.values[p.value]...)
	case asHTML:
		return appendEscaped(b, *j.values[p.value])
	case asURL:
		return append(b, j.href...)
	case asParagraph:
		j.unwrapped = j.unwrapped[:0]
		for _, word := range p.words {
			j.unwrapped = j.join(j.unwrapped, word)
		}
		return appendWrapped(b, j.unwrapped)
	}
	return append(b, p.text...)
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
