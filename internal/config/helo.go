package config

import (
	"errors"
	"net/netip"
	"strings"
	"unicode"
)

// helo is what a client may call itself (RFC 5321 section 4.1.4).
func helo(field *string) value {
	return into(field, "host", func(s string) (string, error) {
		literal := strings.TrimPrefix(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), "IPv6:")
		a, err := netip.ParseAddr(literal)
		if err == nil && (s == "["+literal+"]" && a.Is4() || s == "[IPv6:"+literal+"]" && a.Is6() && a.Zone() == "") {
			return s, nil
		}
		if err == nil || !strings.Contains(s, ".") || strings.Contains("."+s+".", "..") || len(s) > 253 || strings.ContainsFunc(s, notInHost) {
			return "", errors.New("must be a full host name such as worker.example.com, or an address literal such as [192.0.2.1] or [IPv6:2001:db8::1]")
		}
		return s, nil
	})
}

// notInHost tells the characters that no host name has.
func notInHost(r rune) bool {
	return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '.'
}

func nonempty(s string) error {
	if strings.TrimSpace(s) == "" {
		return errors.New("must not be empty")
	}
	return nil
}
