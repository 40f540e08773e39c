package mail

import (
	"countersign/internal/loa"
	"countersign/workflow"
)

// language is what mails say in one language. Each language is written as a whole.
type language struct {
	Language string // as package loa has it
	Letter   string // what the document is
	Instead  string // in front of the link, below the button

	order string // in front of the sid of an order without a number
	more  string // numbers that are not listed; has a %s in it
	utc   string // behind a day
	notMe string // why somebody declined who says so of themselves

	// kinds has a function for each kind of email. Of the values of a view, it may
	// ask only whether they are empty: it gets placeholders. What else the words
	// depend on is in shapeKey.
	kinds map[workflow.MailKind]func(view) said
}

// said is what one mail says. Both parts of the mail are written from it, so
// that they say the same.
type said struct {
	Subject   string
	Preheader string // what a mailbox shows beside the subject; in the HTML part
	Badge     string // how the letter stands, in a word or two
	Tone      string // colour of the badge: blue, amber, green, grey or red
	Heading   string
	Body      []paragraph
	Facts     []fact
	Button    string // what the link is for
	Notes     []paragraph
}

// paragraph begins with the words that stand out, if any.
type paragraph struct{ Strong, Text string }

// fact is a line of what a mail is about: a label, and what it stands for.
type fact struct {
	Label   string
	Values  []string
	Columns int    // in which several values are set
	More    string // a line below several values
	Aside   string // stands behind a value
	Code    bool   // the value is for machines to read
}

// Stacked reports whether the values stand below each other.
func (f fact) Stacked() bool { return len(f.Values) > 1 }

// Rows sets the values in columns, line by line.
func (f fact) Rows() [][]string {
	var rows [][]string
	for i := 0; i < len(f.Values); i += f.Columns {
		rows = append(rows, f.Values[i:min(i+f.Columns, len(f.Values))])
	}
	return rows
}

// is makes a fact of one value.
func is(label, value string) fact { return fact{Label: label, Values: []string{value}} }

// of returns the words for a locale; English if it has none.
func of(locale string) *language {
	if loa.Language(locale) == "es" {
		return &spanish
	}
	return &english
}

// pick returns the words that are right for n things.
func pick(n int, none, one, many string) string {
	switch n {
	case 0:
		return none
	case 1:
		return one
	}
	return many
}
