package catcher

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Phase is how far a dialogue is.
type Phase int

// The phases in which a script is asked, in the order of a dialogue.
const (
	Connect  Phase = iota // the client has said EHLO or HELO
	Auth                  // it has named a user and a password; any are good
	MailFrom              // it has named the sender
	RcptTo                // it has named a recipient
	Data                  // the body is here and is not stored
	Stored                // the mail is stored; the client does not know yet
)

// String returns the phase's name.
func (p Phase) String() string {
	names := []string{"connect", "auth", "mail from", "rcpt to", "data", "stored"}
	if p < 0 || int(p) >= len(names) {
		return fmt.Sprintf("phase %d", int(p))
	}
	return names[p]
}

// Step is a moment of a dialogue.
type Step struct {
	Phase   Phase
	From    string   // the sender, from MailFrom on
	To      string   // the recipient: the one just named in RcptTo, the first one after that
	Conn    net.Conn // to be closed, or looked at
	Session int      // 1 for the first EHLO or HELO, and so on
}

// session is one client's dialogue.
type session struct {
	catcher *Catcher
	conn    *smtp.Conn
	number  int
	from    string
	to      []string
}

func (c *Catcher) newSession(conn *smtp.Conn) (smtp.Session, error) {
	c.mu.Lock()
	c.sessions++
	s := &session{catcher: c, conn: conn, number: c.sessions}
	c.mu.Unlock()
	if err := s.step(Connect, ""); err != nil {
		return nil, err
	}
	return s, nil
}

// AuthMechanisms implements smtp.AuthSession.
func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth implements smtp.AuthSession. Every user is let in.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	if mechanism != sasl.Plain {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	return sasl.NewPlainServer(func(_, _, _ string) error { return s.step(Auth, "") }), nil
}

// Mail implements smtp.Session.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return s.step(MailFrom, "")
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := s.step(RcptTo, to); err != nil {
		return err
	}
	s.to = append(s.to, to)
	return nil
}

// Data implements smtp.Session.
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.step(Data, s.to[0]); err != nil {
		return err
	}
	m := parse(raw)
	m.At, m.From, m.To = time.Now(), s.from, slices.Clone(s.to)
	s.catcher.store(m)
	return s.step(Stored, s.to[0])
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.from, s.to = "", nil }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// step asks the script.
func (s *session) step(p Phase, to string) error {
	s.catcher.mu.Lock()
	script := s.catcher.script
	s.catcher.mu.Unlock()
	err := script(Step{Phase: p, From: s.from, To: to, Conn: s.conn.Conn(), Session: s.number})
	if err == nil {
		return nil
	}
	if reply, ok := errors.AsType[*smtp.SMTPError](err); ok {
		return reply
	}
	return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: err.Error()}
}
