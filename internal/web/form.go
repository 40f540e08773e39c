package web

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"countersign/events"
	"countersign/internal/letter/fonts"
	"countersign/workflow"
)

const (
	maxBody   = 512 << 10 // bytes of a form
	maxDrawn  = 256 << 10 // bytes of a drawing, as the browser wrote it
	maxWide   = 1200      // pixels of it; the page's field has 900 by 270
	maxHigh   = 400
	maxName   = 120 // characters of a name or a title
	maxPerson = 200 // characters of who the right person is
	maxZone   = 64
	pngPrefix = "data:image/png;base64,"
)

// form is what a visitor typed, ticked and drew, and the faults in it.
type form struct {
	Action                        string // "sign", "decline" or "not-me"
	Version                       string // of what was shown
	Name, Title, Zone, Drawn      string
	Authority, Statements, Ticked bool // Ticked: the consent
	Declines, WrongPerson         bool // the statements that a person who does not sign ticks
	Reason                        string
	Confirmed                     bool // the visitor has answered the page that asks for confirmation

	Errors  []fault // in the order of the page
	drawing []byte  // PNG of our own making, or nil
}

// Ends reports whether the form ends the letter unsigned.
func (f *form) Ends() bool { return f.Action == "decline" || f.Action == "not-me" }

// Typed returns the text that was sent with the action.
func (f *form) Typed(action string) string {
	if f.Action != action {
		return ""
	}
	return f.Reason
}

// titleOf is the title with which the form begins: the document's, cut to the
// length of the field, which is shorter than the limit of events.
func titleOf(doc workflow.Document) string {
	title := []rune(doc.ContactTitle)
	return strings.TrimSpace(string(title[:min(len(title), maxName)]))
}

// fault is something wrong with one field.
type fault struct{ Field, Text string }

// Error returns the fault of a field, or "".
func (f *form) Error(field string) string {
	for _, e := range f.Errors {
		if e.Field == field {
			return e.Text
		}
	}
	return ""
}

// read takes the form from what a browser sent.
func read(v url.Values) *form {
	trim := func(name string) string { return strings.TrimSpace(v.Get(name)) }
	composed := func(name string) string { return norm.NFC.String(trim(name)) } // as the letter prints it
	return &form{
		Action: v.Get("action"), Version: v.Get("version"),
		Name: composed("name"), Title: composed("title"), Zone: zone(trim("zone")), Drawn: v.Get("drawn"),
		Authority: v.Get("authority") != "", Statements: v.Get("statements") != "", Ticked: v.Get("consent") != "",
		Declines: v.Get("declines") != "", WrongPerson: v.Get("wrong-person") != "", Confirmed: v.Get("confirm") != "",
		Reason: strings.ReplaceAll(trim("reason"), "\r\n", "\n"),
	}
}

// zone returns the name of a time zone, or "" if it is not valid.
func zone(s string) string {
	if len(s) > maxZone || strings.ContainsFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/_+-", r)
	}) {
		return ""
	}
	return s
}

// check finds what is wrong with a signature, apart from the drawing.
func (f *form) check(t *texts) {
	fail := func(bad bool, field, text string) {
		if bad {
			f.Errors = append(f.Errors, fault{field, text})
		}
	}
	named := strings.ContainsFunc(f.Name, func(r rune) bool { return unicode.IsLetter(r) && workflow.Visible(r) })
	fail(!named, "name", t.NoName)
	fail(named && !line(f.Name, maxName), "name", t.BadName)
	f.checkGlyph(t, "name", f.Name)
	fail(!line(f.Title, maxName), "title", t.BadTitle)
	f.checkGlyph(t, "title", f.Title)
	fail(!f.Authority, "authority", t.NoAuthority)
	fail(!f.Statements, "statements", t.NoStatements)
	fail(!f.Ticked, "consent", t.NoConsent)
}

// checkGlyph finds a character that the letter cannot print in a field that has
// no other fault.
func (f *form) checkGlyph(t *texts, field, typed string) {
	if r, ok := fonts.Missing(typed); ok && f.Error(field) == "" {
		f.Errors = append(f.Errors, fault{field, fmt.Sprintf(t.NoGlyph, spelled(r))})
	}
}

// spelled names a character by its code point, and shows it if it can be seen.
func spelled(r rune) string {
	if !unicode.IsGraphic(r) {
		return fmt.Sprintf("%U", r)
	}
	return fmt.Sprintf("%c (%U)", r, r)
}

// checkEnd finds what is wrong with an answer that ends the letter unsigned. As
// a signature does, it needs something that only a person ticks: robots that
// follow links send forms with what the page has filled in.
func (f *form) checkEnd(t *texts) {
	fail := func(bad bool, field, text string) {
		if bad {
			f.Errors = append(f.Errors, fault{field, text})
		}
	}
	if f.Action == "not-me" {
		fail(!line(f.Reason, maxPerson), "person", t.BadPerson)
		fail(!f.WrongPerson, "wrong-person", t.NoWrongPerson)
		return
	}
	bad := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
	fail(utf8.RuneCountInString(f.Reason) > events.MaxReason || !utf8.ValidString(f.Reason) || strings.ContainsFunc(f.Reason, bad), "reason", t.BadReason)
	fail(!f.Declines, "declines", t.NoDeclines)
}

// line reports whether s is one line of at most so many characters that shows
// as it is.
func line(s string, most int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && workflow.NameFault(s) == ""
}

// drawing makes a picture of our own of one that a browser drew: black on
// white, nothing else in the file. A blank drawing counts as no drawing: the
// field was only touched. The header says how much memory the rest would take,
// and is checked first.
func drawing(dataURL string) (drawn []byte, ok bool) {
	text, isPNG := strings.CutPrefix(dataURL, pngPrefix)
	raw, err := base64.StdEncoding.DecodeString(text)
	if !isPNG || err != nil || len(raw) > maxDrawn {
		return nil, false
	}
	size, err := png.DecodeConfig(bytes.NewReader(raw))
	if err != nil || size.Width > maxWide || size.Height > maxHigh || deep(size.ColorModel) {
		return nil, false
	}
	from, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, false
	}
	to, blank := image.NewGray(from.Bounds()), true
	for y := to.Rect.Min.Y; y < to.Rect.Max.Y; y++ {
		for x := to.Rect.Min.X; x < to.Rect.Max.X; x++ {
			_, _, _, opaque := from.At(x, y).RGBA()
			grey := color.GrayModel.Convert(from.At(x, y)).(color.Gray)
			// Transparent is the paper.
			ink := color.Gray{Y: uint8(min(255, uint32(grey.Y)+(0xffff-opaque)>>8))}
			to.SetGray(x, y, ink)
			blank = blank && ink.Y > 0xf0
		}
	}
	if blank {
		return nil, true
	}
	var out bytes.Buffer
	if err := png.Encode(&out, to); err != nil {
		return nil, false
	}
	return out.Bytes(), true
}

// deep reports whether a picture has 16 bits a channel. No canvas writes that.
func deep(m color.Model) bool {
	return m == color.RGBA64Model || m == color.NRGBA64Model || m == color.Gray16Model
}
