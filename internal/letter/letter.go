// Package letter writes the letter of authorization as a PDF, either unsigned
// for reading, or signed with a page of evidence, and seals it.
//
// The same content gives the same bytes. The fonts are in the file; package
// fonts says what they can draw. If they cannot draw a character of the
// content, no signed letter is written.
package letter

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"codeberg.org/go-pdf/fpdf"
	_ "time/tzdata" // the same zones on every machine

	"countersign/internal/letter/fonts"
	"countersign/internal/loa"
	"countersign/internal/phone"
	"countersign/workflow"
)

// Content is all that a letter says. The letter shows "not given" for an empty
// field.
type Content struct {
	Words    loa.Words
	Document workflow.SID
	Created  time.Time // the date of an unsigned letter's file

	Provider   string
	Subscriber string
	Address    string // of the service; may have several lines

	Email    string // of the signer
	Title    string
	Phone    string // E.164
	Numbers  []workflow.Order
	Signed   *Signature // nil: not signed yet
	Evidence []Step     // only of a signed letter
}

// Signature is how the letter was signed.
type Signature struct {
	Name  string
	Title string
	Drawn []byte // PNG, or nil
	At    time.Time
	Zone  string // the signer's, such as "America/New_York"; may be empty
}

// Step is one thing that happened to the document.
type Step struct {
	At   time.Time
	What string
	More []string // lines of detail: addresses, agents, replies, digests
}

const (
	margin = 20.0 // mm
	family = "noto"
)

// page is a letter being written.
type page struct {
	*fpdf.Fpdf
	c     Content
	width float64 // between the margins
}

// Write writes the letter. It fails if the drawn signature is not a PNG, and
// with ErrNoGlyph if the signed part has a character that the fonts cannot
// draw. In an unsigned letter, and in the evidence, which quotes mail servers
// and browsers, such a character is replaced by its code point: "[U+5C71]".
func Write(c Content) ([]byte, error) {
	c, err := printable(c)
	if err != nil {
		return nil, fmt.Errorf("write the letter of %s: %w", c.Document, err)
	}
	p := newPage(c)
	p.heading()
	p.parties()
	p.numbers()
	p.statements()
	p.signature()
	if c.Signed != nil {
		p.evidence()
	}
	var out bytes.Buffer
	if err := errors.Join(p.Error(), p.Output(&out)); err != nil {
		return nil, fmt.Errorf("write the letter of %s: %w", c.Document, err)
	}
	return out.Bytes(), nil
}

// pages is a placeholder for the number of pages until it is known. No input
// can contain it, because names and lines have no control characters.
const pages = "\x1f\x1e\x1f"

func newPage(c Content) *page {
	p := &page{Fpdf: fpdf.New("P", "mm", "Letter", ""), c: c}
	at := c.Created
	if c.Signed != nil {
		at = c.Signed.At
	}
	p.SetCreationDate(at.UTC())
	p.SetModificationDate(at.UTC())
	p.SetCatalogSort(true)
	p.SetTitle(c.Words.Title+" "+string(c.Document), true)
	p.SetAuthor(c.Provider, true)
	p.SetProducer("Countersign", true)
	p.SetLang(c.Words.Language)
	p.AddUTF8FontFromBytes(family, "", fonts.Regular)
	p.AddUTF8FontFromBytes(family, "B", fonts.Bold)
	p.AddUTF8FontFromBytes(family, "I", fonts.Italic)
	p.SetMargins(margin, margin, margin)
	p.SetAutoPageBreak(true, margin+6)
	p.AliasNbPages(pages)
	p.SetFooterFunc(func() {
		p.SetY(-margin + 4)
		p.style("", 8, 110)
		p.CellFormat(0, 4, fmt.Sprintf("%s %s", c.Words.Document, c.Document), "", 0, "L", false, 0, "")
		p.CellFormat(0, 4, fmt.Sprintf("%s %d / %s", c.Words.Page, p.PageNo(), pages), "", 0, "R", false, 0, "")
	})
	wide, _ := p.GetPageSize()
	p.width = wide - 2*margin
	p.AddPage()
	return p
}

// style sets the type: points, and how grey, 0 being black.
func (p *page) style(face string, size float64, grey int) {
	p.SetFont(family, face, size)
	p.SetTextColor(grey, grey, grey)
}

func (p *page) heading() {
	p.style("B", 20, 0)
	p.MultiCell(0, 9, p.c.Words.Title, "", "L", false)
	p.style("", 11, 90)
	p.MultiCell(0, 6, p.c.Words.Subtitle, "", "L", false)
}

// section begins a part of the letter, on a new page if less than the given
// room, in mm, is left.
func (p *page) section(title string, room float64) {
	if p.below(10 + room) {
		p.AddPage()
	}
	p.Ln(5)
	p.style("B", 12, 0)
	p.MultiCell(0, 6, title, "B", "L", false)
	p.Ln(1.5)
}

// below reports whether something of this height, in mm, does not fit on this
// page.
func (p *page) below(high float64) bool {
	_, page := p.GetPageSize()
	return p.GetY()+high > page-margin-6
}

// fact is a line with a name and a value, which may have several lines.
func (p *page) fact(name, value string) {
	const names = 50.0
	if value == "" {
		value = p.c.Words.NotGiven
	}
	p.style("", 9.5, 90)
	p.CellFormat(names, 5.5, name, "", 0, "L", false, 0, "")
	p.style("", 10.5, 0)
	p.MultiCell(p.width-names, 5.5, value, "", "L", false)
}

func (p *page) parties() {
	w, c := p.c.Words, p.c
	p.section(w.Parties, 40)
	p.fact(w.Provider, c.Provider)
	p.fact(w.Subscriber, c.Subscriber)
	p.fact(w.Address, c.Address)
	p.section(w.Signer, 25)
	name, title := "", c.Title
	if c.Signed != nil {
		name, title = c.Signed.Name, c.Signed.Title
	}
	p.fact(w.Name, name)
	p.fact(w.JobTitle, title)
	p.fact(w.Email, c.Email)
	p.fact(w.Phone, phone.Human(c.Phone))
}

func (p *page) numbers() {
	w := p.c.Words
	p.section(fmt.Sprintf("%s (%d)", w.Numbers, len(p.c.Numbers)), 20)
	p.numbersHead()
	for _, o := range p.c.Numbers {
		p.number(o)
	}
}

// The columns of the numbers, in mm; the order has the rest of the line.
const (
	numberWidth  = 48.0
	carrierWidth = 58.0
	rowHeight    = 5.5
)

func (p *page) numbersHead() {
	w := p.c.Words
	p.style("", 9, 90)
	p.CellFormat(numberWidth, 5, w.Number, "", 0, "L", false, 0, "")
	p.CellFormat(carrierWidth, 5, w.Carrier, "", 0, "L", false, 0, "")
	p.CellFormat(0, 5, w.Order, "", 1, "L", false, 0, "")
}

// number is a row of one number. It stays on one page, below the head.
func (p *page) number(o workflow.Order) {
	w := p.c.Words
	carrier := o.CurrentCarrier
	if carrier == "" {
		carrier = w.NotGiven
	}
	p.style("", 9, 60)
	high := rowHeight * float64(len(p.SplitText(carrier, carrierWidth)))
	if p.below(high) {
		p.AddPage()
		p.numbersHead()
	}
	top := p.GetY()
	number := phone.Human(o.PhoneNumber)
	p.style("B", 10.5, 0)
	if number == "" {
		number = w.OrderUnknown
		p.style("I", 10, 60)
	}
	p.CellFormat(numberWidth, rowHeight, number, "", 0, "L", false, 0, "")
	p.style("", 9, 60)
	p.MultiCell(carrierWidth, rowHeight, carrier, "", "L", false)
	p.SetXY(margin+numberWidth+carrierWidth, top)
	p.CellFormat(0, rowHeight, string(o.SID), "", 0, "L", false, 0, "")
	p.SetXY(margin, top+high)
}

func (p *page) statements() {
	w := p.c.Words
	p.section(w.Statements, 40)
	for i, statement := range []string{w.Authority, w.Scope, w.NotAPort, w.Validity} {
		p.style("", 10.5, 0)
		p.CellFormat(7, 5.5, fmt.Sprintf("%d.", i+1), "", 0, "L", false, 0, "")
		p.MultiCell(p.width-7, 5.5, statement, "", "L", false)
		p.Ln(1)
	}
	p.section(w.ConsentHeading, 20)
	p.style("", 10.5, 0)
	p.MultiCell(0, 5.5, w.Consent, "", "L", false)
	p.style("", 8.5, 110)
	p.MultiCell(0, 5, w.WordsVersion+" "+loa.Version, "", "L", false)
}

func (p *page) signature() {
	w, s := p.c.Words, p.c.Signed
	p.section(w.Signature, 45)
	if s == nil {
		p.style("I", 10.5, 90)
		p.MultiCell(0, 6, w.NotSigned, "", "L", false)
		return
	}
	if s.Drawn != nil {
		const wide, high = 70.0, 22.0
		p.RegisterImageOptionsReader("drawn", fpdf.ImageOptions{ImageType: "PNG"}, bytes.NewReader(s.Drawn))
		p.ImageOptions("drawn", margin, p.GetY(), 0, high, false, fpdf.ImageOptions{ImageType: "PNG"}, 0, "")
		p.SetY(p.GetY() + high)
		p.Line(margin, p.GetY(), margin+wide, p.GetY())
		p.Ln(1)
	}
	p.fact(w.SignedBy, s.Name)
	p.fact(w.JobTitle, s.Title)
	p.fact(w.SignedAt, moment(s.At, s.Zone))
}

// moment writes a time in UTC and, if the zone is known here, in the
// signer's own.
func moment(at time.Time, zone string) string {
	const form = "2006-01-02 15:04:05"
	text := at.UTC().Format(form) + " UTC"
	if place, err := time.LoadLocation(zone); err == nil && zone != "" && zone != "UTC" && zone != "Local" {
		text += "\n" + at.In(place).Format(form+" -07:00") + " " + zone
	}
	return text
}

func (p *page) evidence() {
	w := p.c.Words
	p.AddPage()
	p.style("B", 16, 0)
	p.MultiCell(0, 8, w.Evidence, "", "L", false)
	p.style("", 10, 90)
	p.MultiCell(0, 5.5, w.EvidenceLead, "", "L", false)
	p.Ln(3)
	for _, step := range p.c.Evidence {
		p.style("", 9, 90)
		p.CellFormat(46, 5, step.At.UTC().Format("2006-01-02 15:04:05.000"), "", 0, "L", false, 0, "")
		p.style("B", 9.5, 0)
		p.MultiCell(p.width-46, 5, step.What, "", "L", false)
		p.style("", 8.5, 60)
		for _, line := range step.More {
			p.SetX(margin + 46)
			p.MultiCell(p.width-46, 4.4, line, "", "L", false)
		}
		p.Ln(1.2)
	}
}
