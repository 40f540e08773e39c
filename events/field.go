package events

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"countersign/events/emailaddr"
	"countersign/workflow"
)

// sid reads a sid that begins with the given two letters.
func (r *reader) sid(v value, letters string) workflow.SID {
	s := r.str(v)
	if r.problem == nil && !isSID(s, letters) {
		r.fail(workflow.CodeInvalid, v.path(), "must be %s and 32 hex digits, got %s", letters, quote(s))
	}
	return workflow.SID(s)
}

// address reads an e-mail address, and returns it with its domain in ASCII.
func (r *reader) address(v value) string {
	s := r.str(v)
	if r.problem != nil {
		return s
	}
	ascii, ok := emailaddr.Normal(s)
	if !ok {
		r.fail(workflow.CodeInvalid, v.path(), "must be an email address, got %s", quote(s))
	}
	return ascii
}

var (
	phonePattern   = regexp.MustCompile(PhonePattern)
	digestPattern  = regexp.MustCompile(DigestPattern)
	localePattern  = regexp.MustCompile(LocalePattern)
	countries      = regexp.MustCompile(CountryPattern)
	dialledPattern = regexp.MustCompile(DialledPattern)
	codePattern    = regexp.MustCompile(CodePattern)
	callPattern    = regexp.MustCompile(CallPattern)
	urlPattern     = regexp.MustCompile(URLPattern)
	statusPattern  = regexp.MustCompile(StatusPattern)
)

// phone reads a phone number, and returns it in E.164; "" means none.
func (r *reader) phone(v value) string {
	s := r.str(v)
	if s == "" || r.problem != nil {
		return ""
	}
	if !phonePattern.MatchString(s) {
		r.fail(workflow.CodeInvalid, v.path(), "must be a phone number like +14155550100, got %s", quote(s))
	}
	return Ungrouped(s)
}

// Ungrouped removes the characters that group the digits of a phone number.
// Numbers on the log have none.
func Ungrouped(s string) string {
	if !strings.ContainsAny(s, " .-") {
		return s
	}
	return strings.NewReplacer(" ", "", ".", "", "-", "").Replace(s)
}

// locale reads a language tag; "" means none.
func (r *reader) locale(v value) string {
	s := r.str(v)
	if r.problem == nil && s != "" && (len(s) > MaxLocale || !localePattern.MatchString(s)) {
		r.fail(workflow.CodeInvalid, v.path(), "must be a language tag like en or es-MX, got %s", quote(s))
	}
	return s
}

// serviceAddress reads a postal address; each part is optional.
func (r *reader) serviceAddress(object value) (a workflow.ServiceAddress) {
	for v := range r.members(object) {
		if v.isNull() {
			continue
		}
		switch string(v.name) {
		case "street":
			a.Street = r.line(v, MaxStreet)
		case "city":
			a.City = r.line(v, MaxPlace)
		case "region":
			a.Region = r.line(v, MaxPlace)
		case "postal_code":
			a.PostalCode = r.line(v, MaxPostal)
		case "country":
			a.Country = r.country(v)
		}
	}
	return a
}

// country reads the code of a country; "" means none.
func (r *reader) country(v value) string {
	s := r.str(v)
	if r.problem == nil && s != "" && !countries.MatchString(s) {
		r.fail(workflow.CodeInvalid, v.path(), "must be a country's two capital letters (ISO 3166-1), like US, got %s", quote(s))
	}
	return s
}

// line reads a name or another text that people read on one line; "" means
// none.
func (r *reader) line(v value, limit int) string {
	s := r.text(v, limit, func(rune) bool { return false })
	if r.problem == nil {
		r.named(v.path(), s)
	}
	return s
}

// named refuses a name that workflow.NameFault finds fault with.
func (r *reader) named(field, s string) {
	if fault := workflow.NameFault(s); fault != "" {
		r.fail(workflow.CodeInvalid, field, "%s: %s", fault, strconv.QuoteToASCII(cut(s, 64)))
	}
}

// prose reads a text that may have several lines.
func (r *reader) prose(v value, limit int) string {
	return r.text(v, limit, func(c rune) bool { return unicode.IsControl(c) && c != '\n' && c != '\r' && c != '\t' })
}

func (r *reader) text(v value, limit int, bad func(rune) bool) string {
	s := r.str(v)
	switch n := utf8.RuneCountInString(s); {
	case r.problem != nil:
	case n > limit:
		r.fail(workflow.CodeInvalid, v.path(), "%d characters are more than %d", n, limit)
	case strings.ContainsFunc(s, bad):
		r.fail(workflow.CodeInvalid, v.path(), "has a control character: %s", quote(s))
	}
	return s
}

// digest reads the digest of a letter; "" means none.
func (r *reader) digest(v value) string {
	s := r.str(v)
	if r.problem == nil && s != "" && !digestPattern.MatchString(s) {
		r.fail(workflow.CodeInvalid, v.path(), "must be sha256: and 64 hex digits, got %s", quote(s))
	}
	return s
}

// seconds reads a time; 0 is never.
func (r *reader) seconds(v value) *int64 { return new(r.count(v, MaxSeconds, "seconds")) }

// count reads a whole number of things, from 0 to most.
func (r *reader) count(v value, most int64, things string) int64 {
	n, err := strconv.ParseInt(string(v.raw), 10, 64)
	if err != nil || n < 0 || n > most {
		r.fail(workflow.CodeInvalid, v.path(), "want a whole number of %s from 0 to %d, got %s", things, most, quote(string(v.raw)))
	}
	return n
}

// round reads the number of a round.
func (r *reader) round(v value) int {
	n, err := strconv.ParseInt(string(v.raw), 10, 32)
	if err != nil || n < 1 {
		r.fail(workflow.CodeInvalid, v.path(), "must be the number of a round, 1 or more, got %s", quote(string(v.raw)))
	}
	return int(n)
}

// evidence reads an object and keeps its bytes unchanged.
func (r *reader) evidence(v value) []byte {
	switch {
	case v.raw[0] != '{':
		r.want(&v, "an object")
	case nesting(v.raw) > MaxDepth: // otherwise a database could later refuse an entry that is on the log
		r.fail(workflow.CodeTooLarge, v.path(), "nested more than %d levels deep", MaxDepth)
	}
	return slices.Clone(v.raw)
}

// oneOf reads a word that must be one of the given words.
func oneOf[T ~string](r *reader, v value, words []T) T {
	s := T(r.str(v))
	if r.problem == nil && !slices.Contains(words, s) {
		r.fail(workflow.CodeInvalid, v.path(), "want one of %q, got %s", words, quote(string(s)))
	}
	return s
}
