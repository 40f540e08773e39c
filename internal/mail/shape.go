package mail

import (
	"bytes"
	"mime/quotedprintable"
	"strings"
	"sync"
	"unicode/utf8"

	"countersign/workflow"
)

// shape is what emails of one kind and language have in common that differ in
// their values only. The templates write it once, with a placeholder for each
// value, and every such email is joined from the pieces between them.
type shape struct {
	subject, text, html []piece
}

// shapeKey is what decides the words of an email: everything on which the functions
// in english.go and spanish.go and the templates depend, except what the values say.
type shapeKey struct {
	language                          *language
	kind                              workflow.MailKind
	numbers, columns                  int
	mine, declined, expired, attached bool
	given                             uint64 // bit i is set if value i is not empty
}

// piece is a part of a shape.
type piece struct {
	how   how
	value int     // which value; for asIs, asHTML and asURL
	text  []byte  // for asWords and asLines
	words []piece // for asParagraph
}

// how says how a piece is written.
type how int

const (
	asWords     how = iota // text that still has to be encoded, because a value precedes or follows it on its line
	asLines                // whole lines, already encoded as quoted-printable
	asIs                   // a value as it is
	asHTML                 // a value in the text or in a quoted attribute of HTML
	asURL                  // a value as the URL in a quoted attribute of HTML
	asParagraph            // words and values that are broken into lines together
)

// Placeholders are private characters of Unicode, in the order of the values. The
// words and templates of this package have none of these characters.
const (
	firstPlace = '\ue000'
	openPlace  = '\ue03e' // begins a paragraph that has values
	closePlace = '\ue03f' // ends it
)

// maxShapes bounds the memory for shapes, which have about 12 kB each. A worker
// sees a few dozen.
const maxShapes = 256

// shapes keeps the shapes that were made.
type shapes struct {
	pages pages

	mu   sync.RWMutex
	kept map[shapeKey]*shape
}

// of returns the shape of an email. It fails if a template does.
func (s *shapes) of(kind workflow.MailKind, v view, values []*string) (*shape, error) {
	key := shapeKey{v.language, kind, len(v.Numbers), v.columns, v.Mine, v.Declined, v.Expired, v.Attached, 0}
	for i, value := range values {
		if *value != "" {
			key.given |= 1 << i
		}
	}
	s.mu.RLock()
	kept := s.kept[key]
	s.mu.RUnlock()
	if kept != nil {
		return kept, nil
	}
	made, err := s.pages.shape(kind, v)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		s.kept = make(map[shapeKey]*shape)
	}
	for other := range s.kept {
		if len(s.kept) < maxShapes {
			break
		}
		delete(s.kept, other)
	}
	s.kept[key] = made
	return made, nil
}

// shape renders an email with placeholders for its values, and cuts it there.
func (p pages) shape(kind workflow.MailKind, v view) (*shape, error) {
	v.Numbers = append([]string(nil), v.Numbers...)
	for i, value := range v.values(nil) {
		if *value != "" {
			*value = string(firstPlace + rune(i))
		}
	}
	said := v.language.kinds[kind](v)
	text, html, err := p.render(content{v, said, v.language})
	if err != nil {
		return nil, err
	}
	return &shape{subject: cut(said.Subject, asIs), text: encoded(cut(string(text), asIs)), html: encoded(cut(string(html), asHTML))}, nil
}

// cut splits a text at its placeholders. Their values are written as shown says, or
// asURL: html/template writes a placeholder in a URL in the encoding of URLs, which
// tells where those are.
func cut(s string, shown how) []piece {
	var list []piece
	static := 0 // where the text since the last placeholder begins
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		as := shown
		if strings.HasPrefix(s[i:], "%ee%80%") {
			r, size, as = urlPlace(s[i:]), len("%ee%80%80"), asURL
		}
		if r < firstPlace || closePlace < r {
			i += size
			continue
		}
		list = append(list, piece{how: asWords, text: []byte(s[static:i])})
		i += size
		switch r {
		case openPlace:
			end := i + strings.IndexRune(s[i:], closePlace)
			list = append(list, piece{how: asParagraph, words: cut(s[i:end], shown)})
			i = end + utf8.RuneLen(closePlace)
		default:
			list = append(list, piece{how: as, value: int(r - firstPlace)})
		}
		static = i
	}
	return append(list, piece{how: asWords, text: []byte(s[static:])})
}

// urlPlace returns the placeholder at the beginning of a URL-encoded text.
func urlPlace(s string) rune {
	var last rune
	for _, digit := range s[len("%ee%80%"):len("%ee%80%80")] {
		last = last<<4 | rune(strings.IndexRune("0123456789abcdef", digit))
	}
	return firstPlace + last - utf8.RuneSelf
}

// encoded encodes what of a part does not depend on the values before it. After a
// value that is everything from the next line on. The result is what encoding the
// whole part at once gives, because quoted-printable forgets a line at its end.
func encoded(list []piece) []piece {
	var out []piece
	for i, p := range list {
		if p.how != asWords {
			out = append(out, p)
			continue
		}
		known := 0 // where the text begins at the beginning of a line
		if i > 0 {
			if known = bytes.IndexByte(p.text, '\n') + 1; known == 0 {
				known = len(p.text)
			}
		}
		done, rest := encodeLines(p.text[known:])
		for _, p := range []piece{{how: asWords, text: p.text[:known]}, {how: asLines, text: done}, {how: asWords, text: rest}} {
			if len(p.text) > 0 {
				out = append(out, p)
			}
		}
	}
	return out
}

// encodeLines encodes a text that begins on a line of its own up to its last line
// break, a soft one if need be, and returns the rest as it is.
func encodeLines(text []byte) (done, rest []byte) {
	var b bytes.Buffer
	q := quotedprintable.NewWriter(&b) // it writes to b at line breaks only
	ended := 0
	for i := range text {
		before := b.Len()
		_, _ = q.Write(text[i : i+1]) // a buffer takes everything
		switch {
		case text[i] == '\n':
			ended = i + 1
		case b.Len() > before:
			ended = i
		}
	}
	return b.Bytes(), text[ended:]
}
