package mail

import (
	"errors"
	netmail "net/mail"
	"strings"
	"unicode"

	"countersign/events/emailaddr"
)

// domainOf returns the domain of an address in lower case, or "" if it has
// none.
func domainOf(address string) string {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return ""
	}
	return strings.ToLower(address[i+1:])
}

// recipient makes the address of a mail. What it refuses can never be
// delivered, whoever tries; the error does not repeat the address.
func recipient(s string) (*netmail.Address, error) {
	a, err := netmail.ParseAddress(s)
	if err != nil || a.Name != "" || strings.ContainsAny(s, "<>") {
		return nil, errors.New("the address of the recipient is not one")
	}
	if a.Address, err = ascii(a.Address); err != nil {
		return nil, err
	}
	return &netmail.Address{Address: a.Address}, nil
}

// ascii brings the domain of an address into ASCII (RFC 5891). go-mail would
// send it raw. A local part cannot be brought into ASCII: it would take
// SMTPUTF8 (RFC 6531) at each server on the way.
func ascii(written string) (string, error) {
	i := strings.LastIndexByte(written, '@')
	local, domain := written[:i], written[i+1:]
	if strings.ContainsFunc(local, func(r rune) bool { return r > unicode.MaxASCII }) {
		return "", errors.New("the address has characters before the @ that are not ASCII, which mail servers do not reliably carry")
	}
	if !strings.ContainsFunc(domain, func(r rune) bool { return r > unicode.MaxASCII }) {
		return written, nil
	}
	domain, err := emailaddr.Host(domain)
	if err != nil {
		return "", errors.New("the address has a domain that cannot exist")
	}
	return local + "@" + domain, nil
}
