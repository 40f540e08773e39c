// Package terminal prints the output of the program, on a terminal or to a
// file.
//
// Text that came from outside (an event, an email, a certificate, an archive)
// must not control the reader's terminal and must not look like a line of the
// program. So a Printer prints one line with each call, and escapes in it
// everything that is not a visible character: control characters (C0, DEL, C1),
// bytes that are not UTF-8, format characters (bidirectional controls, tags,
// zero-width characters, variation selectors) and line separators.
package terminal

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape returns text as one line of visible characters and spaces. Everything
// else is written as in a Go string: \n, \x1b, \u202e, \U000e0041; a byte that
// is not UTF-8 as \xff. A backslash stays as it is, so the result is for
// people: it cannot always be decoded.
func Escape(text string) string {
	if plain(text) {
		return text
	}
	var b strings.Builder
	b.Grow(len(text) + len(text)/4)
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if visible(r, size) {
			b.WriteString(text[i : i+size])
		} else {
			escape(&b, text[i:i+size], r)
		}
		i += size
	}
	return b.String()
}

// Short is Escape for a value that a line quotes: second blanks in a row are
// escaped, too, and it is cut to at most n characters, the last an ellipsis. So it
// can neither fill the terminal's line and go on as if it were the next, nor look
// like another column.
func Short(text string, n int) string {
	r := []rune(cell(text))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n-1]) + "…"
}

// cell is Escape for one of several values on a line: blanks at its ends, and
// second blanks in a row, are written as \x20. So it cannot look like two values.
func cell(text string) string {
	text = Escape(text)
	if !strings.Contains(text, "  ") && strings.TrimSpace(text) == text {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		if text[i] == ' ' && (i == 0 || i == len(text)-1 || text[i-1] == ' ') {
			b.WriteString(`\x20`)
		} else {
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

// plain reports whether text is printable ASCII, which needs no escapes.
func plain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// brailleBlank is a symbol by its class that fonts draw as a blank.
const brailleBlank = '\u2800'

// visible reports whether a rune, decoded from size bytes, shows as itself. Of
// the blanks only the ASCII space does; letters that fonts draw as nothing
// (Hangul fillers) do not.
func visible(r rune, size int) bool {
	if r < utf8.RuneSelf {
		return r >= ' ' && r <= '~'
	}
	if r == utf8.RuneError && size == 1 || r == brailleBlank || !unicode.IsPrint(r) {
		return false
	}
	return !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// escape writes one rune that is not visible, or a byte that is not UTF-8.
func escape(b *strings.Builder, raw string, r rune) {
	switch {
	case r == utf8.RuneError && len(raw) == 1:
		fmt.Fprintf(b, `\x%02x`, raw[0])
	case r == '\n':
		b.WriteString(`\n`)
	case r == '\r':
		b.WriteString(`\r`)
	case r == '\t':
		b.WriteString(`\t`)
	case r < utf8.RuneSelf:
		fmt.Fprintf(b, `\x%02x`, r)
	case r > 0xffff:
		fmt.Fprintf(b, `\U%08x`, r)
	default:
		fmt.Fprintf(b, `\u%04x`, r)
	}
}
