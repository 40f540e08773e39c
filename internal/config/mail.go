package config

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
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
		return nil, errors.New("neither an address nor a name with one, such as Hosting Team <loa@example.com>")
	}
	return a, nil
}

// returnPath is a mailbox in whose local part {mail} may stand once, for the id
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
			return "", errors.New("braces can only stand in it as {mail}, once, before the @, such as bounces+{mail}@example.com")
		case rest == "" || len(rest) > maxReturnPath:
			return "", fmt.Errorf("beside {mail}, 1 to %d characters must stand before the @, such as bounces+{mail}@example.com", maxReturnPath)
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

// smtpModes are what a URL's tls may be.
var smtpModes = []string{"mandatory", "opportunistic", "none"}

// smtpURL takes the URLs that internal/mail can read, so that a bad one is
// among the faults found at once; a test holds the two together.
func smtpURL(field *Secret) value {
	return hidden(field, "url", func(s string) error {
		u, err := url.Parse(s)
		if err != nil || u.Hostname() == "" || (u.Scheme != "smtp" && u.Scheme != "smtps") {
			return errors.New("not a URL such as smtp://user:password@mail.example.com:587 (percent-encode special characters of user and password)")
		}
		password, _ := u.User.Password()
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		switch {
		case u.Path != "" && u.Path != "/" || u.Fragment != "":
			return errors.New("something follows the host (percent-encode special characters of user and password)")
		case u.User.Username() == "" && password != "":
			return errors.New("user and password go together, and it has a password alone")
		case u.Port() != "" && (err != nil || port == 0):
			return errors.New("its port is not a number from 1 to 65535")
		}
		return smtpOptions(u)
	})
}

func smtpOptions(u *url.URL) error {
	options, err := url.ParseQuery(u.RawQuery)
	modes, given := options["tls"]
	switch {
	case err != nil || len(options) > 1 || len(options) == 1 && !given:
		return errors.New("what follows the question mark is not tls=" + strings.Join(smtpModes, ", tls="))
	case given && u.Scheme == "smtps":
		return errors.New("smtps:// is TLS from the start; leave out ?tls=")
	case given && (len(modes) != 1 || !slices.Contains(smtpModes, modes[0])):
		return errors.New("its tls is not one of " + strings.Join(smtpModes, ", "))
	}
	return nil
}
