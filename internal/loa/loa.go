// Package loa holds the words of the letter of authorization. The page and the
// letter use the same words. Each language is complete, because binding
// statements must not be put together from pieces.
package loa

import (
	"strings"

	"golang.org/x/text/language"
)

// Version is the version of these words. Change it with them: evidence says
// which version somebody agreed to.
const Version = "2026-11"

// Words is the letter in one language. Of replaces {provider} by the name of
// the company that hosts the messages.
type Words struct {
	Language string // BCP 47 tag, "en"

	Title    string
	Subtitle string

	// The statements of the signer. Authority has a box of its own.
	Authority string
	Scope     string
	NotAPort  string
	Validity  string

	// Consent is the consent to sign electronically. It has a box of its own.
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

// Languages lists the available languages, the fallback first.
func Languages() []string { return []string{english.Language, spanish.Language} }

var matcher = language.NewMatcher([]language.Tag{language.English, language.Spanish})

// Language returns the first wanted language that is available; English if none
// is. A wish is a locale, "es" or "es-MX", or an Accept-Language header (RFC
// 9110, section 12.5.4); an empty wish is ignored.
func Language(wishes ...string) string {
	_, i := language.MatchStrings(matcher, wishes...)
	return Languages()[i]
}

// Of returns the words in the language that Language finds. provider is the
// name of the company that hosts the messages.
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
