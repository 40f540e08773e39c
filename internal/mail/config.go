package mail

import (
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/emersion/go-msgauth/dkim"
	gomail "github.com/wneessen/go-mail"

	"countersign/internal/smtpurl"
	"countersign/workflow"
)

// Config says how emails are sent and what they say.
type Config struct {
	Server     smtpurl.Server
	From       string      // "Hosting Team <loa@example.com>"
	ReplyTo    string      // address for answers; empty: From
	ReturnPath string      // sender of the envelope, to whom mail servers report; empty: From
	Pool       int         // connections at most, at least 1
	HELO       string      // the name given in EHLO; empty: the host's own if it is a full one, else the address literal
	TLS        *tls.Config // nil: the system's roots; ServerName is the server's host unless it is set
	TokenFile  string      // holds an OAuth token, which logs in by XOAUTH2; read for each connection
	// TokenCommand prints such a token; sh runs it, and a token is used for a minute.
	TokenCommand string
	DKIM         *DKIM // nil: mails are not signed
	// Hold says that an email in doubt is not sent again. Then no email goes out with
	// its envelope in one write, which leaves more of them in doubt if a connection breaks.
	Hold bool

	// Link returns the signing link of an email's document, and the time until which
	// it is valid. It is called for emails to the signer only, by several goroutines
	// at once, and must return the same for the same email.
	Link func(m workflow.Mail) (url string, signBy time.Time)

	Now    func() time.Time // for the Date of mails; nil: this machine's clock
	Idle   time.Duration    // a connection unused for so long is closed; 0: 30 s
	Logger *slog.Logger     // is told if emails are sent in the clear; may be nil
}

// DKIM is the key that signs mails (RFC 6376). KeyFile holds it as PEM: RSA
// (PKCS #1 or #8) or Ed25519 (PKCS #8, RFC 8463).
type DKIM struct {
	Domain   string
	Selector string
	KeyFile  string
}

const (
	defaultIdle = 30 * time.Second
	maxName     = 253 // characters of a DNS name as it is written, RFC 1035 section 2.3.4
)

// check checks the settings that New does not parse.
func (c Config) check() error {
	switch {
	case c.Pool < 1:
		return fmt.Errorf("the pool must have at least one connection, and has %d", c.Pool)
	case c.Idle < 0:
		return fmt.Errorf("the time for which idle connections are kept must not be negative, and is %s", c.Idle)
	case c.Link == nil:
		return errors.New("the function that makes signing links must be set")
	case strings.ContainsFunc(c.HELO, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("the helo name must be a host name, and is %q", c.HELO)
	}
	return nil
}

// mailbox parses a sender and brings its domain into ASCII.
func mailbox(s string) (*netmail.Address, error) {
	a, err := netmail.ParseAddress(s)
	if err != nil {
		return nil, errors.New("must be a mailbox such as Hosting Team <loa@example.com>")
	}
	if a.Address, err = ascii(a.Address); err != nil {
		return nil, err
	}
	return a, nil
}

// key reads the signing key; nil if emails are not signed.
func (d *DKIM) key() (crypto.Signer, error) {
	if d == nil {
		return nil, nil
	}
	if d.Domain == "" || d.Selector == "" || strings.ContainsFunc(d.Domain+d.Selector, notInTag) {
		return nil, errors.New("dkim must have a domain and a selector, both plain names")
	}
	if n := len(d.Selector + "._domainkey." + d.Domain); n > maxName {
		return nil, fmt.Errorf("dkim: selector and domain make a DNS name of %d characters, which must have at most %d", n, maxName)
	}
	pem, err := os.ReadFile(d.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("read the dkim key: %w", err)
	}
	key, err := gomail.PrivKeyFromPEM(pem)
	if err != nil {
		return nil, fmt.Errorf("read the dkim key %s: %w", d.KeyFile, err)
	}
	return key, nil
}

// options are how messages are signed.
func (d *DKIM) options(key crypto.Signer) *dkim.SignOptions {
	return &dkim.SignOptions{
		Domain: d.Domain, Selector: d.Selector, Signer: key, HeaderKeys: signed,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	}
}

// notInTag tells the characters that no domain and no selector has.
func notInTag(r rune) bool {
	return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-._", r)
}
