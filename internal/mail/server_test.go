package mail_test

import (
	"io"
	"log"
	"net"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// step is a moment of a dialogue at which a catcher can be made to fail.
type step string

const (
	atMail   step = "MAIL"
	atRcpt   step = "RCPT"
	atData   step = "DATA" // the message has come, and is not stored
	atStored step = "stored"
)

// catcher is an SMTP server that stores what it gets.
type catcher struct {
	addr string
	auth string // the one mechanism offered; empty: none

	mu    sync.Mutex
	fault func(n int, at step, c *smtp.Conn) error // n counts mails from 1
	rcpt  func(to string) error
	conns int
	begun int
	mails []string
	users []string
}

// catch starts a catcher on loopback that ends with the test.
func catch(t testing.TB, adjust ...func(*catcher, *smtp.Server)) *catcher {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &catcher{addr: l.Addr().String()}
	s := smtp.NewServer(smtp.BackendFunc(func(k *smtp.Conn) (smtp.Session, error) {
		return &catching{c: c, k: k}, nil
	}))
	s.Domain, s.ErrorLog = "catcher.test", log.New(io.Discard, "", 0)
	for _, f := range adjust {
		f(c, s)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(counting{l, c}) })
	t.Cleanup(func() {
		_ = s.Close()
		_ = l.Close() // a server that was not serving yet does not know it
		wg.Wait()
	})
	return c
}

type counting struct {
	net.Listener
	c *catcher
}

func (l counting) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.c.mu.Lock()
		l.c.conns++
		l.c.mu.Unlock()
	}
	return conn, err
}

// on makes the catcher fail as f says, from the next mail on, which is mail 1.
func (c *catcher) on(f func(n int, at step, k *smtp.Conn) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault, c.begun = f, 0
}

// onRecipient makes the catcher answer RCPT as f says.
func (c *catcher) onRecipient(f func(to string) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rcpt = f
}

func (c *catcher) stored() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.mails...)
}

func (c *catcher) logins() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.users...)
}

func (c *catcher) connections() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conns
}

type catching struct {
	c *catcher
	k *smtp.Conn
	n int
}

func (s *catching) at(at step) error {
	s.c.mu.Lock()
	if at == atMail {
		s.c.begun++
		s.n = s.c.begun
	}
	fault := s.c.fault
	s.c.mu.Unlock()
	if fault == nil {
		return nil
	}
	return fault(s.n, at, s.k)
}

func (s *catching) Reset()                               {}
func (s *catching) Logout() error                        { return nil }
func (s *catching) Mail(string, *smtp.MailOptions) error { return s.at(atMail) }
func (s *catching) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.c.mu.Lock()
	f := s.c.rcpt
	s.c.mu.Unlock()
	if f != nil {
		return f(to)
	}
	return s.at(atRcpt)
}

func (s *catching) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.at(atData); err != nil {
		return err
	}
	s.c.mu.Lock()
	s.c.mails = append(s.c.mails, string(b))
	s.c.mu.Unlock()
	return s.at(atStored)
}

func (s *catching) AuthMechanisms() []string {
	if s.c.auth == "" {
		return nil
	}
	return []string{s.c.auth}
}

func (s *catching) Auth(mechanism string) (sasl.Server, error) {
	check := func(user, password string) error {
		if user != "countersign" || password != "open sesame" {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "bad credentials"}
		}
		s.c.mu.Lock()
		s.c.users = append(s.c.users, mechanism+" "+user)
		s.c.mu.Unlock()
		return nil
	}
	if mechanism == sasl.Login {
		return &loginServer{check: check}, nil
	}
	return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
}

// loginServer is the server's side of AUTH LOGIN.
type loginServer struct {
	check func(user, password string) error
	said  []string
}

func (s *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if response != nil {
		s.said = append(s.said, string(response))
	}
	switch len(s.said) {
	case 0:
		return []byte("Username:"), false, nil
	case 1:
		return []byte("Password:"), false, nil
	}
	return nil, true, s.check(s.said[0], s.said[1])
}

func refuse(code int, enhanced smtp.EnhancedCode, words string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: words}
}

func portOf(t testing.TB, addr string) int {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return a.Port
}
