// Package redact takes email addresses and secrets out of what mail servers say,
// so that logs and the event log never hold them.
package redact

import (
	"regexp"
	"strings"
	"unicode"
)

// Gone replaces what was removed.
const Gone = "<…>"

// maxReply is how many bytes of a reply are kept.
const maxReply = 500

// address matches everything that contains an at sign, also in the encoding of
// URLs, up to the next blanks: rather too much than too little.
var address = regexp.MustCompile(`(?i)<?(?:"(?:[^"\\]|\\.)*"|[^\s<>()\[\],;:"\\]*)(?:@|＠|%40)(?:\[[^\]\s]*\]|[^\s<>()\[\],;:"\\]*)>?`)

// Addresses replaces each email address in a text, with everything that touches
// it, by Gone.
func Addresses(text string) string { return address.ReplaceAllString(text, Gone) }

// Reply makes a mail server's reply fit for logs and histories: one line of at
// most 500 bytes and an ellipsis, valid UTF-8, without control characters,
// addresses and the given secrets.
func Reply(reply string, secrets ...string) string {
	reply = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(reply, "?"))
	for _, s := range secrets {
		if s != "" {
			reply = strings.ReplaceAll(reply, s, Gone)
		}
	}
	reply = strings.Join(strings.Fields(Addresses(reply)), " ")
	if len(reply) > maxReply {
		reply = strings.ToValidUTF8(reply[:maxReply], "") + "…"
	}
	return reply
}
