package web

import (
	"fmt"
	"time"

	"countersign/internal/loa"
	"countersign/workflow"
)

// say is what a page says about the state of a letter.
type say struct{ Status, Title, Lead string }

// texts has the words of the pages in one language, except those of the letter.
// No language falls back to another for single texts.
type texts struct {
	Language string // as in loa.Words
	Other    string // the other language's name, in that language
	OtherTag string

	Front, Nowhere, Unknown, Recalled, Replaced, Expired, Unavailable, TooMany, Foreign say

	DownloadExpired say // a link to the signed letter that has expired; its Lead has a moment in it

	Ready, Thanks, Signed, Declining, NotYou, Declined, Withdrawn, Closed say

	ConfirmDecline, ConfirmNotMe say // what will happen

	Changed, Busy, Failed, NotNow string // notices on top of the letter

	// Expired's Lead and Good have a moment in them, and Replaced's an address.
	Good string

	Asks, DoesTitle, DoesNotTitle  string // Asks has the provider in it
	Does, DoesNot                  []string
	ToTheForm                      string
	TheLetter, ReadPDF, SaveSigned string
	SignedOn                       string

	FormTitle, Name, NameHelp, JobTitle, TitleHelp string
	Statements, Consent                            string // the labels of the boxes to tick, after the sentences
	Draw, DrawHelp, DrawLabel, Clear, Sign         string
	DeclineTitle, DeclineLead                      string
	DeclineHeading, Reason, ReasonHelp, Decline    string
	DeclinesAlone, DeclinesFor                     string // the label of the box to tick; DeclinesFor has the subscriber in it
	NotMe, NotMeLead, Person, PersonHelp           string
	WrongPerson                                    string // what is ticked
	YouState, YourReason, RightPerson              string // on the page that asks whether to end the letter
	YesDecline, YesNotMe, Back                     string

	Errors, ErrorPrefix                                                       string
	NoName, BadName, BadTitle, NoAuthority, NoStatements, NoConsent, BadDrawn string
	BadReason, NoDeclines, BadPerson, NoWrongPerson                           string

	// What the letter's fonts cannot draw. NoGlyph, at a field that the signer
	// typed, has the character in it; Unprintable, a notice on top of the letter,
	// has the name of the field and then the character.
	NoGlyph, Unprintable string
}

// declines is the statement of those who decline a document.
func (t *texts) declines(doc workflow.Document) string {
	if doc.Subscriber == "" {
		return t.DeclinesAlone
	}
	return fmt.Sprintf(t.DeclinesFor, doc.Subscriber)
}

// moment writes a moment, in UTC.
func (t *texts) moment(at time.Time) string { return loa.Moment(t.Language, at) }

// in returns the texts of a language that loa has.
func in(language string) *texts {
	if language == spanish.Language {
		return &spanish
	}
	return &english
}

// speak has the letter's words and the page's texts for a visitor.
func speak(provider string, wishes ...string) (loa.Words, *texts) {
	w := loa.Of(provider, wishes...)
	return w, in(w.Language)
}
