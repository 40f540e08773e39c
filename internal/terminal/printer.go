package terminal

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"
)

// Printer prints lines. Its methods fail with the error of the writer behind it.
// Several goroutines may use one if they may use the writer.
type Printer struct{ to io.Writer }

// New returns a printer that prints to a writer: standard output or standard
// error.
func New(to io.Writer) *Printer { return &Printer{to} }

// Linef prints one line. Whatever the values hold, it stays one.
func (p *Printer) Linef(format string, args ...any) error {
	_, err := io.WriteString(p.to, Escape(fmt.Sprintf(format, args...))+"\n")
	return err
}

// Tabs prints values on one line with tabs between them, for people and for cut.
func (p *Printer) Tabs(values ...any) error {
	cells := make([]string, len(values))
	for i, v := range values {
		cells[i] = cell(fmt.Sprint(v))
	}
	_, err := io.WriteString(p.to, strings.Join(cells, "\t")+"\n")
	return err
}

// Error prints an error behind a prefix. Errors that were joined (errors.Join)
// have a line each; a line feed in the text of one is escaped.
func (p *Printer) Error(prefix string, err error) error {
	for _, line := range faults(err) {
		if err := p.Linef("%s%s", prefix, line); err != nil {
			return err
		}
	}
	return nil
}

// faults takes joined errors apart.
func faults(err error) []string {
	text := err.Error()
	if one, ok := err.(interface{ Unwrap() error }); ok {
		if inner := one.Unwrap(); inner != nil && inner.Error() == text {
			return faults(inner)
		}
	}
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []string{text}
	}
	var joined, out []string
	for _, e := range many.Unwrap() {
		joined = append(joined, e.Error())
	}
	if strings.Join(joined, "\n") != text { // it has words of its own around them
		return []string{text}
	}
	for _, e := range many.Unwrap() {
		out = append(out, faults(e)...)
	}
	return out
}

// JSON prints a value as one line of JSON, as EscapeJSON writes it.
func (p *Printer) JSON(v any) error { return p.encode(v, "") }

// JSONIndent prints a value as JSON of several lines.
func (p *Printer) JSONIndent(v any) error { return p.encode(v, "  ") }

func (p *Printer) encode(v any, indent string) error {
	e := json.NewEncoder(JSONWriter(p.to))
	e.SetIndent("", indent)
	return e.Encode(v)
}

// Write implements io.Writer for text that the program has written itself, such
// as help: line feeds and tabs stay, and the rest is as Escape writes it. A text
// with values from outside needs Linef, or a Table.
func (p *Printer) Write(text []byte) (int, error) {
	var b strings.Builder
	for rest := string(text); rest != ""; {
		i := strings.IndexAny(rest, "\n\t")
		if i < 0 {
			i = len(rest)
		}
		b.WriteString(Escape(rest[:i]))
		rest = rest[i:]
		if rest != "" {
			b.WriteByte(rest[0])
			rest = rest[1:]
		}
	}
	if _, err := io.WriteString(p.to, b.String()); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Device is the writer behind the printer, for what draws on a terminal or
// escapes by itself. Nothing from outside may reach it as it is.
func (p *Printer) Device() io.Writer { return p.to }

// Terminal reports whether somebody watches.
func (p *Printer) Terminal() bool {
	f, ok := p.to.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Table collects rows, to print them with aligned columns: each is as wide as
// its widest value, and two blanks follow.
type Table struct {
	p      *Printer
	done   strings.Builder // the sections before
	rows   [][]string
	widths []int
}

// Table begins a table with a row of headings, or without one.
func (p *Printer) Table(headings ...any) *Table {
	t := &Table{p: p}
	if len(headings) > 0 {
		t.Row(headings...)
	}
	return t
}

// Row adds a row. Each value is written as %v does, and escaped. The last of a
// row may be as long as it likes: it makes no column wider.
func (t *Table) Row(values ...any) {
	row := make([]string, len(values))
	for i, v := range values {
		row[i] = cell(fmt.Sprint(v))
		if i == len(values)-1 {
			break
		}
		if i == len(t.widths) {
			t.widths = append(t.widths, 0)
		}
		t.widths[i] = max(t.widths[i], width(row[i]))
	}
	t.rows = append(t.rows, row)
}

// Section goes on behind a blank line, with headings and columns of its own.
func (t *Table) Section(headings ...any) {
	t.align()
	t.done.WriteByte('\n')
	t.Row(headings...)
}

// align writes the rows of a section, whose widths are known by now.
func (t *Table) align() {
	for _, row := range t.rows {
		for i, value := range row {
			t.done.WriteString(value)
			if i < len(row)-1 {
				t.done.WriteString(strings.Repeat(" ", t.widths[i]-width(value)+2))
			}
		}
		t.done.WriteByte('\n')
	}
	t.rows, t.widths = nil, nil
}

// Flush prints the table.
func (t *Table) Flush() error {
	t.align()
	_, err := io.WriteString(t.p.to, t.done.String())
	return err
}

// columns counts the columns that a text takes, whatever the locale.
var columns = &runewidth.Condition{StrictEmojiNeutral: true}

func width(text string) int {
	if plain(text) {
		return len(text)
	}
	return columns.StringWidth(text)
}
