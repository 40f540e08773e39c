package mail_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"strings"
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

// Words of a script that are not replies.
const (
	hang = "(hang)" // do not answer, and wait for the client to go
	drop = "(drop)" // close the connection
)

// script is what a raw server answers to the commands of one connection, by
// verb; "" is the greeting and "." the end of the message. What is missing is
// answered well. "&" at the end closes the connection after the reply, "%" answers
// nothing after it.
type script map[string]string

// raw is an SMTP server that says word for word what its scripts say, one for
// each connection; the last one repeats.
type raw struct {
	addr string

	mu    sync.Mutex
	lines []string // every command that came, and "(gone)" at each end
	conns int

	most    int // mails on one connection; 0: no limit
	verb    string
	enough  string // the reply to verb after so many
	refused int
}

// limit has the server take a number of mails on each connection, and answer a
// command of the next one with a reply.
func (r *raw) limit(most int, verb, reply string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.most, r.verb, r.enough = most, verb, reply
}

// refusals counts the mails that the limit kept out.
func (r *raw) refusals() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused
}

// over returns a script in which a command is refused if the connection has taken
// enough mails.
func (r *raw) over(s script, verb string, taken int) script {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.most == 0 || taken < r.most || verb != r.verb {
		return s
	}
	r.refused++
	return script{verb: r.enough}
}

func speak(t testing.TB, scripts ...script) *raw {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &raw{addr: l.Addr().String()}
	var wg sync.WaitGroup
	open := make(map[net.Conn]bool)
	wg.Go(func() {
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.conns++
			open[conn] = true
			r.mu.Unlock()
			wg.Go(func() {
				defer conn.Close()
				r.talk(conn, scripts[min(n, len(scripts)-1)])
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.mu.Lock()
		for conn := range open {
			_ = conn.Close()
		}
		r.mu.Unlock()
		wg.Wait()
	})
	return r
}

func (r *raw) talk(conn net.Conn, s script) {
	defer r.note("(gone)")
	in := bufio.NewReader(conn)
	if !answer(conn, in, s, "", "220 raw.test") {
		return
	}
	taken := 0
	for data := false; ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		if data && line != "." {
			continue
		}
		r.note(line)
		verb, _, _ := strings.Cut(line, " ")
		good := map[string]string{
			"EHLO": "250-raw.test\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES", "DATA": "354 go on",
			".": "250 2.0.0 queued as 42", "QUIT": "221 bye&",
		}[verb]
		if good == "" {
			good = "250 ok"
		}
		s := r.over(s, verb, taken)
		if !answer(conn, in, s, verb, good) {
			return
		}
		reply, scripted := s[verb]
		if verb == "." && !scripted {
			taken++
		}
		data = verb == "DATA" && (!scripted || strings.HasPrefix(reply, "354"))
	}
}

// answer says what the script has for a verb, and whether to go on.
func answer(conn net.Conn, in *bufio.Reader, s script, verb, good string) bool {
	reply, ok := s[verb]
	if !ok {
		reply = good
	}
	switch reply {
	case hang:
		_, _ = io.Copy(io.Discard, in)
		return false
	case drop:
		return false
	}
	words, last := strings.CutSuffix(reply, "&")
	words, silent := strings.CutSuffix(words, "%")
	_, err := fmt.Fprintf(conn, "%s\r\n", words)
	if silent {
		_, _ = io.Copy(io.Discard, in)
	}
	return err == nil && !last && !silent
}

func (r *raw) note(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

func (r *raw) connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conns
}

// heard counts the commands that begin with a word.
func (r *raw) heard(word string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, line := range r.lines {
		if strings.HasPrefix(line, word) {
			n++
		}
	}
	return n
}

func portOf(t testing.TB, addr string) int {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return a.Port
}
