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

// recipient parses the address of a recipient. Its error does not quote the address,
// and an email to that address can never be delivered.
func recipient(s string) (*netmail.Address, error) {
	a, err := netmail.ParseAddress(s)
	if err != nil || a.Name != "" || strings.ContainsAny(s, "<>") {
		return nil, errors.New("the recipient must be an email address")
	}
	if a.Address, err = ascii(a.Address); err != nil {
		return nil, err
	}
	return &netmail.Address{Address: a.Address}, nil
}

// ascii converts the domain of an address to ASCII (RFC 5891). go-mail would send it
// as it is. It refuses a local part that is not ASCII: that would need SMTPUTF8 (RFC
// 6531) at each server on the way.
func ascii(written string) (string, error) {
	i := strings.LastIndexByte(written, '@')
	local, domain := written[:i], written[i+1:]
	if strings.ContainsFunc(local, func(r rune) bool { return r > unicode.MaxASCII }) {
		return "", errors.New("the address must have only ASCII characters before the @, because mail servers do not reliably carry others")
	}
	if !strings.ContainsFunc(domain, func(r rune) bool { return r > unicode.MaxASCII }) {
		return written, nil
	}
	domain, err := emailaddr.Host(domain)
	if err != nil {
		return "", errors.New("the address must have a valid domain")
	}
	return local + "@" + domain, nil
}
