// Package loa holds the words of the letter of authorization: what a person
// reads on the page, signs, and finds in the letter, word for word the same.
// Each language is written as a whole, because statements that bind are not
// put together from pieces.
package loa

import (
	"strings"

	"golang.org/x/text/language"
)

// Version is the version of these words. Change it with them: evidence says
// which version somebody agreed to.
const Version = "2026-11"

// Words is the letter in one language. {provider} in a sentence stands for who
// hosts the messages; Of fills it in.
type Words struct {
	Language string // BCP 47 tag, "en"

	Title    string
	Subtitle string

	// What the signer states. Authority is ticked apart from the others.
	Authority string
	Scope     string
	NotAPort  string
	Validity  string

	// Consent is to sign electronically, ticked apart from the statements.
	Consent string

	// Headings and labels of the letter.
	Parties, Subscriber, Address, Carrier, Provider string
	Signer, Name, JobTitle, Email, Phone            string
	Numbers, Number, Order, OrderUnknown            string
	Statements, ConsentHeading                      string
	Signature, SignedBy, SignedAt, NotSigned        string
	Document, WordsVersion, Page, NotGiven          string
	Evidence, EvidenceLead, At, Happened            string
}

// Languages lists the languages there are, the fallback first.
func Languages() []string { return []string{english.Language, spanish.Language} }

var matcher = language.NewMatcher([]language.Tag{language.English, language.Spanish})

// Language returns the first language that can be served; English if none can.
// A wish is a locale, "es" or "es-MX", or an Accept-Language header (RFC 9110,
// section 12.5.4); an empty one is none.
func Language(wishes ...string) string {
	_, i := language.MatchStrings(matcher, wishes...)
	return Languages()[i]
}

// Of returns the words in the language that Language finds. provider is the
// name of who hosts the messages.
func Of(provider string, wishes ...string) Words {
	w := english
	if Language(wishes...) == spanish.Language {
		w = spanish
	}
	for _, sentence := range []*string{&w.Subtitle, &w.Authority, &w.Scope, &w.NotAPort, &w.Validity, &w.Consent, &w.EvidenceLead} {
		*sentence = strings.ReplaceAll(*sentence, "{provider}", provider)
	}
	return w
}
