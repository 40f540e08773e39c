package workflow

import (
	"strings"
	"unicode"
)

// NameFault says what is wrong with a name that people are to read on one line,
// or returns "" if nothing is: a control character or a line separator, a
// character that changes the direction of the text around it (UAX 9, section
// 2), or nothing that can be seen. The empty name has no fault.
//
// The list of characters is fixed and does not use the Unicode tables of a Go
// release, because workers of two releases must decide alike.
func NameFault(name string) string {
	switch {
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }):
		return "has a control character"
	case strings.ContainsFunc(name, func(r rune) bool { return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' }):
		return "has a character that changes the direction of text"
	case name != "" && !strings.ContainsFunc(name, Visible):
		return "has no visible character"
	}
	return ""
}

// Visible reports whether a character can be seen by itself. Spaces, control,
// format and filler characters, and marks that combine with the character
// before them, cannot.
func Visible(r rune) bool { return !unicode.Is(invisible, r) }

// invisible has white space, the characters with the property
// Default_Ignorable_Code_Point of Unicode 16, blanks that count as letters or
// symbols, and the blocks of combining marks that go with any script.
var invisible = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x0000, 0x0020, 1}, // controls, space
		{0x007f, 0x00a0, 1}, // controls, no-break space
		{0x00ad, 0x00ad, 1}, // soft hyphen
		{0x0300, 0x036f, 1}, // combining marks
		{0x061c, 0x061c, 1}, // Arabic letter mark
		{0x115f, 0x1160, 1}, // Hangul fillers
		{0x1680, 0x1680, 1}, // Ogham space
		{0x17b4, 0x17b5, 1}, // Khmer inherent vowels
		{0x180b, 0x180f, 1}, // Mongolian selectors
		{0x1ab0, 0x1aff, 1}, // combining marks
		{0x1dc0, 0x1dff, 1}, // combining marks
		{0x2000, 0x200f, 1}, // spaces, zero-width characters, direction marks
		{0x2028, 0x202f, 1}, // separators, direction, narrow no-break space
		{0x205f, 0x206f, 1}, // space, invisible operators, direction
		{0x20d0, 0x20ff, 1}, // combining marks
		{0x2800, 0x2800, 1}, // Braille pattern without a dot
		{0x3000, 0x3000, 1}, // ideographic space
		{0x3164, 0x3164, 1}, // Hangul filler
		{0xfe00, 0xfe0f, 1}, // variation selectors
		{0xfe20, 0xfe2f, 1}, // combining marks
		{0xfeff, 0xfeff, 1}, // byte order mark
		{0xffa0, 0xffa0, 1}, // halfwidth Hangul filler
		{0xfff0, 0xfffc, 1}, // annotations, object replacement character
		{0xfffe, 0xffff, 1}, // no characters
	},
	R32: []unicode.Range32{
		{0x13430, 0x13442, 1}, // Egyptian format characters and blanks
		{0x16fe4, 0x16fe4, 1}, // Khitan filler
		{0x1bca0, 0x1bca3, 1}, // shorthand format characters
		{0x1d159, 0x1d159, 1}, // musical null notehead
		{0x1d173, 0x1d17a, 1}, // musical format characters
		{0xe0000, 0xe0fff, 1}, // tags, variation selectors
	},
	LatinOffset: 3,
}
