package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/wneessen/go-mail/smtp"

	"countersign/internal/delivery"
	"countersign/internal/redact"
	"countersign/internal/smtpurl"
)

// dialer opens connections.
type dialer struct {
	server smtpurl.Server
	tls    *tls.Config
	helo   string // empty: the host's own name, or its address
	tokens *tokens
	logger *slog.Logger
	clear  sync.Once // says that mails go out in the clear
}

func newDialer(c Config) (*dialer, error) {
	d := &dialer{
		server: c.Server, tls: &tls.Config{MinVersion: tls.VersionTLS12}, helo: c.HELO, tokens: newTokens(c), logger: c.Logger,
	}
	if c.TLS != nil {
		d.tls = c.TLS.Clone()
	}
	if d.tls.ServerName == "" {
		d.tls.ServerName = c.Server.Host
	}
	if d.logger == nil {
		d.logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Server.Host == "":
		return nil, errors.New("the mail server's URL must have a host")
	case c.Server.User != "" && c.Server.Password == "" && d.tokens == nil:
		return nil, errors.New("the mail server's URL has a user and no password: add the password, or set smtp-oauth-token-file or smtp-oauth-token-command")
	case c.Server.User == "" && d.tokens != nil:
		return nil, errors.New("an OAuth token needs a user: put the user into the mail server's URL, as in smtp://user@host")
	}
	switch c.Server.Encryption {
	case smtpurl.Implicit, smtpurl.Mandatory, smtpurl.Opportunistic, smtpurl.Plain:
		return d, nil
	}
	return nil, fmt.Errorf("the encryption must be mandatory, opportunistic, none or implicit, and is %q", c.Server.Encryption)
}

// link is a connection while it is made ready.
type link struct {
	conn   net.Conn // beneath TLS
	wire   *wire
	client *smtp.Client
	state  *tls.ConnectionState // nil: in the clear
	proven bool                 // the server has shown who it is
}

// errTLS says that a connection could not be encrypted.
var errTLS = errors.New("the connection cannot be encrypted")

// dial opens a connection and makes it ready for emails: greeting, EHLO, TLS, AUTH.
// It ends by until at the latest. Its errors are stageErrors.
//
// smtpurl.Opportunistic encryption (RFC 7435) takes any certificate. If it fails, the
// mails go out in the clear over another connection, which is said once.
func (d *dialer) dial(until time.Time) (*session, error) {
	starttls := d.server.Encryption == smtpurl.Mandatory || d.server.Encryption == smtpurl.Opportunistic
	s, err := d.open(until, starttls)
	if d.server.Encryption == smtpurl.Opportunistic && errors.Is(err, errTLS) {
		d.sayClear(err)
		return d.open(until, false)
	}
	return s, err
}

func (d *dialer) open(until time.Time, starttls bool) (*session, error) {
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", d.server.Address())
	if err != nil {
		return nil, stageError{delivery.AtConnect, err}
	}
	l := &link{conn: conn}
	if at, err := d.prepare(ctx, l, starttls); err != nil {
		_ = conn.Close()
		return nil, stageError{at, err}
	}
	return &session{offers: offersOf(l.client), smtp: l.client, wire: l.wire, conn: conn}, nil
}

// prepare says how far it came.
func (d *dialer) prepare(ctx context.Context, l *link, starttls bool) (delivery.Stage, error) {
	until, _ := ctx.Deadline()
	if err := l.conn.SetDeadline(until); err != nil {
		return delivery.AtConnect, err
	}
	l.wire = newWire(l.conn)
	if d.server.Encryption == smtpurl.Implicit {
		secure := tls.Client(l.conn, d.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return delivery.AtConnect, err
		}
		state := secure.ConnectionState()
		l.wire, l.state, l.proven = newWire(secure), &state, true
	}
	if at, err := d.greet(l); err != nil {
		return at, err
	}
	if starttls {
		if err := d.encrypt(ctx, l); err != nil {
			return delivery.AtSTARTTLS, err
		}
	}
	return delivery.AtAUTH, d.login(ctx, l)
}

// greet reads the greeting and says EHLO, or HELO if the server does not know EHLO.
func (d *dialer) greet(l *link) (at delivery.Stage, err error) {
	if l.client, err = smtp.NewClient(l.wire, d.server.Host); err != nil {
		return delivery.AtConnect, err
	}
	l.client.SkipSMTPUTF8(true) // addresses are ASCII, see ascii
	l.wire.ehlo = true
	defer func() { l.wire.ehlo = false }()
	return delivery.AtEHLO, l.client.Hello(d.name(l.conn))
}

// encrypt starts TLS (RFC 3207) if the server offers it. Its error is an errTLS if
// the server offers what does not work.
func (d *dialer) encrypt(ctx context.Context, l *link) error {
	may := d.server.Encryption == smtpurl.Opportunistic
	if offered, _ := l.client.Extension("STARTTLS"); !offered {
		if may {
			return nil
		}
		return errors.New("the server does not offer STARTTLS, and tls=mandatory needs it: " +
			"let the server offer it, or set tls=opportunistic or tls=none in smtp-url")
	}
	_, greeting, err := command(l.client.Text, 220, "STARTTLS")
	if err != nil {
		return fmt.Errorf("%w: %w", errTLS, err)
	}
	config := d.tls
	if may {
		config = d.unverified(l)
		// Half of the time is for the same mail in the clear.
		until, _ := ctx.Deadline()
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(until)/2)
		defer cancel()
	}
	secure := tls.Client(l.conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("%w: %w", errTLS, err)
	}
	state := secure.ConnectionState()
	l.wire, l.state, l.proven = l.wire.secure(secure, "220 "+firstLine(greeting)), &state, l.proven || !may
	if _, err := d.greet(l); err != nil {
		return fmt.Errorf("%w: %w", errTLS, err)
	}
	return nil
}

// unverified takes any certificate, and notes whether it would have been good.
func (d *dialer) unverified(l *link) *tls.Config {
	config := d.tls.Clone()
	config.InsecureSkipVerify = true // RFC 7435 section 3: better than in the clear
	config.VerifyConnection = func(state tls.ConnectionState) error {
		options := x509.VerifyOptions{Roots: d.tls.RootCAs, DNSName: d.tls.ServerName, Intermediates: x509.NewCertPool()}
		for _, c := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(c)
		}
		_, err := state.PeerCertificates[0].Verify(options)
		l.proven = err == nil
		return nil
	}
	return config
}

func (d *dialer) sayClear(err error) {
	d.clear.Do(func() {
		d.logger.Warn("emails go to the mail server unencrypted: STARTTLS failed, and tls=opportunistic allows it; "+
			"set tls=mandatory in smtp-url to forbid it", "host", d.server.Host, "port", d.server.Port, "err", redact.Reply(err.Error()))
	})
}

// name is what to say in EHLO (RFC 5321 section 4.1.4): the name that was set,
// the host's name if it is a full one, or the address that the connection comes
// from. Many servers refuse a name without a dot.
func (d *dialer) name(conn net.Conn) string {
	if d.helo != "" {
		return d.helo
	}
	if name, err := os.Hostname(); err == nil {
		if name = strings.TrimSuffix(name, "."); fullName(name) {
			return name
		}
	}
	return literal(conn.LocalAddr())
}

// fullName reports whether a host's name has a domain and can be said in EHLO.
func fullName(name string) bool {
	return strings.Contains(name, ".") && net.ParseIP(name) == nil && !strings.ContainsFunc(name, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '.'
	}) && !strings.Contains("."+name+".", "..")
}

// literal writes an address as RFC 5321 section 4.1.3 does.
func literal(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	switch {
	case !ok:
		return "[127.0.0.1]"
	case tcp.IP.To4() != nil:
		return "[" + tcp.IP.To4().String() + "]"
	}
	return "[IPv6:" + tcp.IP.String() + "]"
}

// command says something that go-mail's client has no method for.
func command(text *textproto.Conn, expect int, line string) (int, string, error) {
	id, err := text.Cmd("%s", line)
	if err != nil {
		return 0, "", err
	}
	text.StartResponse(id)
	defer text.EndResponse(id)
	return text.ReadResponse(expect)
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}
