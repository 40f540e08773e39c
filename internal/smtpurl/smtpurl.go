// Package smtpurl reads the URL of a mail server: smtp://user:password@host:port
// with the option tls, and smtps://. The settings and the mail client read it
// by the same rules.
package smtpurl

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
// whose certificate is not trusted, unless the server is on this machine or the
// URL asks for Plain.
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
	Password   string // empty with a User: login with a token
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
	return scheme + "://" + user + s.Address() + query
}

// GoString does as String, for %#v.
func (s Server) GoString() string { return s.String() }

// Address is the server as net.Dial takes it: host:port.
func (s Server) Address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// Parse reads smtp://user:password@host:port?tls=mode and smtps://. The mode
// is mandatory, opportunistic or none. The default is mandatory, or opportunistic
// for a server on this machine without a user. The default port is 587 with a user,
// 25 without, and 465 for smtps.
//
// An error says what the URL must be and quotes nothing of it: a password with a character
// that should have been percent-encoded can end up in any part of the URL.
func Parse(s string) (Server, error) {
	u, err := url.Parse(s)
	if err != nil {
		return Server{}, errors.New("must be a URL such as smtp://user:password@mail.example.com:587; percent-encode special characters of user and password")
	}
	password, _ := u.User.Password()
	server := Server{Host: u.Hostname(), User: u.User.Username(), Password: password}
	switch {
	case u.Scheme != "smtp" && u.Scheme != "smtps":
		return Server{}, errors.New("must begin with smtp:// or smtps://")
	case server.Host == "":
		return Server{}, errors.New("must name a host, such as smtp://mail.example.com")
	case u.Path != "" && u.Path != "/" || u.Fragment != "":
		return Server{}, errors.New("must have nothing after the host and port except ?tls=; percent-encode special characters of user and password")
	case server.User == "" && password != "":
		return Server{}, errors.New("must have a user if it has a password")
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
		return "", errors.New("must have a question mark only before tls=; percent-encode special characters of user and password")
	}
	modes, given := query["tls"]
	for key := range query {
		if key != "tls" {
			return "", errors.New("must have no option except tls; percent-encode special characters of user and password")
		}
	}
	switch {
	case u.Scheme == "smtps" && given:
		return "", errors.New("must have no tls option with smtps://, which is TLS from the start")
	case u.Scheme == "smtps":
		return Implicit, nil
	case !given && s.User == "" && s.Local():
		return Opportunistic, nil
	case !given:
		return Mandatory, nil
	}
	switch mode := Encryption(modes[0]); {
	case len(modes) > 1:
		return "", errors.New("must have the tls option only once")
	case mode == Mandatory, mode == Opportunistic, mode == Plain:
		return mode, nil
	default:
		return "", errors.New("must have mandatory, opportunistic or none as its tls option")
	}
}

func port(u *url.URL, s Server) (int, error) {
	switch {
	case u.Port() != "":
		n, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil || n == 0 {
			return 0, errors.New("must have a port from 1 to 65535")
		}
		return int(n), nil
	case s.Encryption == Implicit:
		return 465, nil
	case s.User != "":
		return 587, nil
	}
	return 25, nil
}

// Local reports whether the server is on this machine, by its name or address.
func (s Server) Local() bool {
	ip := net.ParseIP(s.Host)
	return strings.EqualFold(s.Host, "localhost") || ip != nil && ip.IsLoopback()
}
