package web

import (
	"strings"

	"countersign/internal/ticket"
)

// Owns reports whether a path is one of the links in emails, or what is left of
// one after its way through mail programs and other texts.
func Owns(path string) bool {
	_, _, ok := splitLink(path)
	return ok
}

// splitLink takes the path of a link apart: the purpose, "sign" or "letter", in
// lower case, and what follows its slash.
func splitLink(path string) (purpose, rest string, ok bool) {
	purpose, rest, _ = strings.Cut(strings.TrimLeft(path, "/"), "/")
	purpose = strings.ToLower(purpose)
	return purpose, rest, purpose == "sign" || purpose == "letter"
}

const below = "/letter.pdf" // what is below the page of a link

// unmangled returns the path that a link had before programs added what cannot
// be part of a token: a slash, the full stop of a sentence, a bracket, a
// quotation mark, a blank (RFC 3986, appendix C). A path that is not a link is
// returned unchanged.
func unmangled(path string) string {
	purpose, rest, ok := splitLink(path)
	if !ok {
		return path
	}
	rest = strings.TrimLeftFunc(rest, notOfToken)
	end := strings.IndexFunc(rest, notOfToken)
	if end < 0 {
		end = len(rest)
	}
	token, after := rest[:end], rest[end:]
	if len(token) > ticket.Length { // _ and - belong to the alphabet of tokens, and to Markdown
		token = token[:ticket.Length]
	}
	switch {
	case len(after) >= len(below) && strings.EqualFold(after[:len(below)], below):
		return "/" + purpose + "/" + token + below
	case strings.HasPrefix(after, "/") && strings.ContainsFunc(after, ofToken):
		return path // not the path of a link
	}
	return "/" + purpose + "/" + token
}

func ofToken(r rune) bool {
	return r == '-' || r == '_' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
}

func notOfToken(r rune) bool { return !ofToken(r) }
