// Package emailaddr brings email addresses and host names into one spelling. The
// reader of events, the emails, the filter of a list and the signing page all use
// it, so that they agree on which addresses are the same.
package emailaddr

import (
	"net/mail"
	"strings"

	"golang.org/x/net/idna"
)

// Max is the greatest length of an address in bytes, by RFC 5321, section
// 4.5.3.1.3.
const Max = 254

// maxLocal is the greatest length of a local part in bytes, by RFC 5321, section
// 4.5.3.1.1.
const maxLocal = 64

// hosts converts host names to the form that servers accept.
var hosts = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.VerifyDNSLength(true))

// Host returns a host name in lower case ASCII, by UTS 46 without its
// transitional mapping. It fails if the name is not a valid host name.
func Host(name string) (string, error) { return hosts.ToASCII(name) }

// Normal returns an email address in the spelling that documents have. It takes
// an addr-spec of RFC 5322, section 3.4.1, whose local part is an ASCII dot-atom
// or a quoted string: no display name, comment or address literal. White space
// around it is dropped. A local part is quoted in the result only if it has to
// be, so that one mailbox has one spelling.
func Normal(s string) (normal string, ok bool) {
	s = strings.TrimSpace(s)
	if len(s) > Max {
		return "", false
	}
	parsed, err := mail.ParseAddress(s)
	if err != nil || parsed.Name != "" {
		return "", false
	}
	at := strings.LastIndexByte(parsed.Address, '@')
	written := parsed.Address[at+1:]
	local := strings.TrimSuffix(strings.TrimPrefix((&mail.Address{Address: parsed.Address[:at+1] + "x"}).String(), "<"), "@x>")
	quoted := strings.HasPrefix(s, `"`) && strings.HasSuffix(s, `"@`+written)
	if !quoted && s != local+"@"+written {
		return "", false
	}
	if len(local) > maxLocal || strings.ContainsFunc(local, notPrintable) {
		return "", false
	}
	domain, err := Host(written)
	if err != nil || !isHost(domain) || len(local)+1+len(domain) > Max {
		return "", false
	}
	return local + "@" + domain, true
}

// notPrintable reports characters that a local part must not have: control
// characters, and those that are not ASCII.
func notPrintable(r rune) bool { return r < ' ' || r >= 0x7f }

// isHost reports whether domain is a full host name: not an IP address, and not
// a single label.
func isHost(domain string) bool {
	if domain == "localhost" {
		return true
	}
	last := domain[strings.LastIndexByte(domain, '.')+1:]
	return last != domain && last != "" && strings.Trim(last, "0123456789") != ""
}
