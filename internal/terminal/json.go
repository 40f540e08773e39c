package terminal

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// EscapeJSON writes the characters of valid JSON that Escape would escape as \u
// escapes (RFC 8259 section 7), so that a terminal can show it. The JSON keeps
// its meaning, because such characters occur only in strings, except line feed,
// carriage return and tab, which do not change. A byte that is not UTF-8
// becomes U+FFFD, as it does for readers of JSON.
func EscapeJSON(text []byte) []byte {
	if jsonPlain(text) {
		return text
	}
	out := make([]byte, 0, len(text)+len(text)/4)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch high, low := utf16.EncodeRune(r); {
		case layout(r) || visible(r, size):
			out = append(out, text[:size]...)
		case high != utf8.RuneError:
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		text = text[size:]
	}
	return out
}

// layout reports whether a rune only arranges JSON.
func layout(r rune) bool { return r == '\n' || r == '\r' || r == '\t' }

func jsonPlain(text []byte) bool {
	return !bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' && !layout(r) || r > '~' })
}

// JSONWriter passes JSON on as EscapeJSON writes it. Writes may cut it anywhere;
// the end of a character that never comes is dropped.
func JSONWriter(to io.Writer) io.Writer { return &jsonWriter{to: to} }

type jsonWriter struct {
	to   io.Writer
	rest []byte // of a character that was cut
}

// Write implements io.Writer.
func (w *jsonWriter) Write(text []byte) (int, error) {
	all := append(w.rest, text...)
	n := whole(all)
	w.rest = bytes.Clone(all[n:])
	if _, err := w.to.Write(EscapeJSON(all[:n])); err != nil {
		return 0, err
	}
	return len(text), nil
}

// whole is how many bytes of text are left without the beginning of a character
// at its end.
func whole(text []byte) int {
	for i := len(text) - 1; i >= 0 && i >= len(text)-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			if utf8.FullRune(text[i:]) {
				break
			}
			return i
		}
	}
	return len(text)
}
