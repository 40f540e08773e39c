package mail

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Encryption says how a connection to the mail server is kept secret.
type Encryption string

// The ways of encryption. A password is never sent in the clear or to a server
// whose certificate is not trusted, unless the server is on this machine or Plain
// was asked for in so many words.
const (
	Mandatory     Encryption = "mandatory"     // STARTTLS (RFC 3207) with a trusted certificate, or no mail
	Opportunistic Encryption = "opportunistic" // STARTTLS with any certificate if it works, else in the clear (RFC 7435)
	Plain         Encryption = "none"          // never
	Implicit      Encryption = "implicit"      // TLS from the first byte (RFC 8314), smtps://
)

// Server is a mail server and how to talk to it. Printed, it shows no password.
type Server struct {
	Host       string // name or IP address, without brackets
	Port       int
	User       string // empty: no AUTH
	Password   string // empty with a User: a token logs in
	Encryption Encryption
}

// String returns the server as a URL without its password.
func (s Server) String() string {
	scheme, query := "smtp", "?tls="+string(s.Encryption)
	if s.Encryption == Implicit {
		scheme, query = "smtps", ""
	}
	user := ""
	if s.User != "" {
		user = url.User(s.User).String() + "@"
	}
	return scheme + "://" + user + s.address() + query
}

// GoString does as String, for %#v.
func (s Server) GoString() string { return s.String() }

func (s Server) address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// ParseURL reads smtp://user:password@host:port?tls=mode and smtps://. The mode
// is mandatory, opportunistic or none; where it is missing, mandatory, or
// opportunistic for a server on this machine that needs no password. The port
// is 587 with a user and 25 without; for smtps 465.
//
// An error names what is wrong and quotes nothing: a password with a character
// that should have been percent-encoded can end up in any part of the URL.
func ParseURL(s string) (Server, error) {
	u, err := url.Parse(s)
	if err != nil {
		return Server{}, errors.New("smtp url: not a URL such as smtp://user:password@mail.example.com:587; " +
			"special characters of user and password need percent-encoding")
	}
	password, _ := u.User.Password()
	server := Server{Host: u.Hostname(), User: u.User.Username(), Password: password}
	switch {
	case u.Scheme != "smtp" && u.Scheme != "smtps":
		return Server{}, errors.New("smtp url: it begins with neither smtp:// nor smtps://")
	case server.Host == "":
		return Server{}, errors.New("smtp url: it names no host")
	case u.Path != "" && u.Path != "/" || u.Fragment != "":
		return Server{}, errors.New("smtp url: something follows the host; special characters of the password need percent-encoding")
	case server.User == "" && password != "":
		return Server{}, errors.New("smtp url: user and password go together; it has a password alone")
	}
	if server.Encryption, err = encryption(u, server); err != nil {
		return Server{}, err
	}
	if server.Port, err = port(u, server); err != nil {
		return Server{}, err
	}
	return server, nil
}

func encryption(u *url.URL, s Server) (Encryption, error) {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", errors.New("smtp url: what follows the question mark cannot be read")
	}
	modes, given := query["tls"]
	for key := range query {
		if key != "tls" {
			return "", errors.New("smtp url: it has an option other than tls")
		}
	}
	switch {
	case u.Scheme == "smtps" && given:
		return "", errors.New("smtp url: smtps is TLS from the start; leave out tls")
	case u.Scheme == "smtps":
		return Implicit, nil
	case !given && s.User == "" && loopback(s.Host):
		return Opportunistic, nil
	case !given:
		return Mandatory, nil
	}
	switch mode := Encryption(modes[0]); {
	case len(modes) > 1:
		return "", errors.New("smtp url: tls is given twice")
	case mode == Mandatory, mode == Opportunistic, mode == Plain:
		return mode, nil
	default:
		return "", errors.New("smtp url: its tls is not mandatory, opportunistic or none")
	}
}

func port(u *url.URL, s Server) (int, error) {
	switch {
	case u.Port() != "":
		n, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil || n == 0 {
			return 0, errors.New("smtp url: its port is not 1 to 65535")
		}
		return int(n), nil
	case s.Encryption == Implicit:
		return 465, nil
	case s.User != "":
		return 587, nil
	}
	return 25, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
