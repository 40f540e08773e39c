package config

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"strings"

	"countersign/internal/smtpurl"
)

func mailbox(field *string) value {
	return into(field, "mailbox", func(s string) (string, error) {
		_, err := parseMailbox(s)
		return s, err
	})
}

func parseMailbox(s string) (*mail.Address, error) {
	a, err := mail.ParseAddress(s)
	if err != nil {
		return nil, errors.New("must be an address or a name with an address, such as Hosting Team <loa@example.com>")
	}
	return a, nil
}

// returnPath is a mailbox. Its local part may contain {mail} once, for the id
// of each email.
func returnPath(field *string) value {
	return into(field, "mailbox", func(s string) (string, error) {
		a, err := parseMailbox(s)
		if err != nil || !strings.ContainsAny(s, "{}") {
			return s, err
		}
		local := a.Address[:strings.LastIndexByte(a.Address, '@')]
		rest := strings.Replace(local, "{mail}", "", 1)
		switch {
		case rest == local || strings.ContainsAny(rest, "{}"):
			return "", errors.New("must have braces only as {mail}, once, before the @, such as bounces+{mail}@example.com")
		case rest == "" || len(rest) > maxReturnPath:
			return "", fmt.Errorf("must have 1 to %d characters besides {mail} before the @, such as bounces+{mail}@example.com", maxReturnPath)
		}
		return s, nil
	})
}

// maxReturnPath leaves 40 of the 64 octets of a local part to an email's id.
const maxReturnPath = 24

// helo is what a client may call itself (RFC 5321 section 4.1.4).
func helo(field *string) value {
	return into(field, "host", func(s string) (string, error) {
		literal := strings.TrimPrefix(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), "IPv6:")
		a, err := netip.ParseAddr(literal)
		if err == nil && (s == "["+literal+"]" && a.Is4() || s == "[IPv6:"+literal+"]" && a.Is6() && a.Zone() == "") {
			return s, nil
		}
		if err == nil || !strings.Contains(s, ".") || strings.Contains(s, "_") || !isHostName(s) {
			return "", errors.New("must be a full host name such as worker.example.com, or an address literal such as [192.0.2.1] or [IPv6:2001:db8::1]")
		}
		return s, nil
	})
}

func nonempty(s string) error {
	if strings.TrimSpace(s) == "" {
		return errors.New("must not be empty")
	}
	return nil
}

// smtpURL is the URL of a mail server. Its errors quote nothing of it.
func smtpURL(field *Secret) value {
	return hidden(field, "url", func(s string) error {
		_, err := smtpurl.Parse(s)
		return err
	})
}
