// Package fonts has the typefaces of the letter, and says what they can draw:
// Latin letters (with Vietnamese, African and Hawaiian ones), Greek (with
// polytonic) and Cyrillic letters (with those of Central Asia). README.md says
// where the files come from and what their licence is.
package fonts

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font/sfnt"
	"golang.org/x/text/unicode/norm"
)

// The faces, as TrueType files. Nobody may change the bytes.
var (
	//go:embed NotoSans-Regular.ttf
	Regular []byte
	//go:embed NotoSans-Bold.ttf
	Bold []byte
	//go:embed NotoSans-Italic.ttf
	Italic []byte
)

// Clean returns text in the form in which the letter draws it: letters and
// their marks as one character if Unicode has it (NFC, UAX #15), without
// characters that have no shape, such as a zero-width joiner, and with plain
// spaces for all other white space but line breaks.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cf, unicode.Variation_Selector), r == '\u034f': // combining grapheme joiner
			return -1
		}
		return r
	}, norm.NFC.String(text))
}

// Missing returns the first character of text that a letter cannot draw. It
// judges the text as Clean returns it; ok is false if all of it can be drawn.
func Missing(text string) (r rune, ok bool) {
	for _, r := range Clean(text) {
		if r != '\n' && !drawn()[r] {
			return r, true
		}
	}
	return 0, false
}

// Spell returns text as Clean does, with the code point of each character that
// a letter cannot draw in its place: "[U+5C71]".
func Spell(text string) string {
	var b strings.Builder
	for _, r := range Clean(text) {
		if r == '\n' || drawn()[r] {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "[%U]", r)
		}
	}
	return b.String()
}

// drawn is the set of characters that all faces can draw.
var drawn = sync.OnceValue(func() map[rune]bool {
	var faces []*sfnt.Font
	for _, data := range [][]byte{Regular, Bold, Italic} {
		face, err := sfnt.Parse(data)
		if err != nil {
			panic(fmt.Sprintf("an embedded font cannot be read: %v", err)) // the tests read them
		}
		faces = append(faces, face)
	}
	set := make(map[rune]bool)
	var b sfnt.Buffer
	// fpdf draws the Basic Multilingual Plane alone.
	for r := ' '; r < unicode.ReplacementChar; r++ {
		has := true
		for _, face := range faces {
			glyph, err := face.GlyphIndex(&b, r)
			has = has && err == nil && glyph != 0
		}
		if has {
			set[r] = true
		}
	}
	return set
})
