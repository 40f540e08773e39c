package mail

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"countersign/internal/failpoint"
	"countersign/workflow"
)

// session is one connection to the server, ready for mails.
type session struct {
	client *gomail.Client
	smtp   *smtp.Client
	conn   net.Conn // what client and smtp talk over, beneath TLS
	alarm  *time.Timer
	since  time.Time // when it was last given back
}

// farewell is how long a server may take to answer QUIT.
const farewell = 2 * time.Second

// send sends one mail until a moment. Again says that the connection was gone
// before the server had seen anything of the message.
func (s *session) send(msg *gomail.Msg, until time.Time) (r Result, again bool) {
	if err := s.conn.SetDeadline(until); err != nil {
		return Result{Outcome: workflow.Deferred, Reply: err.Error()}, true
	}
	failpoint.Hit("dialogue")
	err := s.client.SendWithSMTPClient(s.smtp, msg)
	failpoint.Hit("answered")
	r = classify(err, msg)
	return r, gone(r) && !begun(err)
}

// reset makes the connection ready for the mail after one with this result,
// and reports whether it is. After an accepted mail it is (RFC 5321 section
// 4.1.1.4); RSET would cost every mail a round trip.
func (s *session) reset(last Result) bool {
	if last.Outcome == workflow.Accepted {
		return true
	}
	return !gone(last) && s.smtp.Reset() == nil
}

// quit takes leave of the server and closes the connection.
func (s *session) quit() {
	if s.conn.SetDeadline(time.Now().Add(farewell)) == nil {
		_ = s.smtp.Quit() // the connection is done with, whatever the answer
	}
	s.hangUp()
}

func (s *session) hangUp() { _ = s.conn.Close() }

// dialer opens connections.
type dialer struct {
	server  Server
	tls     *tls.Config
	options []gomail.Option
}

func newDialer(c Config) (dialer, error) {
	d := dialer{server: c.Server, tls: &tls.Config{MinVersion: tls.VersionTLS12}}
	if c.TLS != nil {
		d.tls = c.TLS.Clone()
	}
	if d.tls.ServerName == "" {
		d.tls.ServerName = c.Server.Host
	}
	d.options = []gomail.Option{
		gomail.WithPort(c.Server.Port), gomail.WithTLSConfig(d.tls),
		gomail.WithoutNoop(), gomail.WithoutRset(), gomail.WithoutSMTPUTF8(),
	}
	if c.HELO != "" {
		d.options = append(d.options, gomail.WithHELO(c.HELO))
	}
	switch c.Server.Encryption {
	case Implicit:
		d.options = append(d.options, gomail.WithSSL())
	case Mandatory:
		d.options = append(d.options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case Opportunistic:
		d.options = append(d.options, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	case Plain:
		d.options = append(d.options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		return dialer{}, fmt.Errorf("encryption %q: it can be mandatory, opportunistic, none or implicit", c.Server.Encryption)
	}
	if c.Server.User != "" {
		mechanisms := []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin}
		if c.Server.Encryption == Plain {
			mechanisms = []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc}
		}
		d.options = append(d.options, gomail.WithOpportunisticSMTPAuth(mechanisms...),
			gomail.WithUsername(c.Server.User), gomail.WithPassword(c.Server.Password))
	}
	if _, err := gomail.NewClient(d.server.Host, d.options...); err != nil {
		return dialer{}, fmt.Errorf("set up the mail client: %w", err)
	}
	return d, nil
}

// dial opens a connection and brings it to where mails can be sent: greeting,
// EHLO, TLS, AUTH. All of it ends by until.
func (d dialer) dial(until time.Time) (*session, error) {
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	s := &session{}
	connect := func(ctx context.Context, network, _ string) (net.Conn, error) {
		var err error
		if s.conn, err = new(net.Dialer).DialContext(ctx, network, d.server.address()); err != nil {
			return nil, err
		}
		if err = s.conn.SetDeadline(until); err != nil || d.server.Encryption != Implicit {
			return fixed{s.conn}, err
		}
		secure := tls.Client(fixed{s.conn}, d.tls)
		return secure, secure.HandshakeContext(ctx)
	}
	var err error
	options := append([]gomail.Option{gomail.WithDialContextFunc(connect)}, d.options...)
	if s.client, err = gomail.NewClient(d.server.Host, options...); err != nil {
		return nil, fmt.Errorf("set up the mail client: %w", err)
	}
	if s.smtp, err = s.client.DialToSMTPClientWithContext(ctx); err != nil {
		if s.conn != nil {
			s.hangUp()
		}
		return nil, fmt.Errorf("connect to the mail server: %w", err)
	}
	return s, nil
}

// fixed is a connection whose deadline go-mail cannot move. go-mail grants
// each step its own time-out anew; here a mail has one deadline for all steps.
type fixed struct{ net.Conn }

// SetDeadline does nothing.
func (fixed) SetDeadline(time.Time) error { return nil }
