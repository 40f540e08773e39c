package mail

import (
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"countersign/internal/delivery"
	"countersign/internal/failpoint"
	"countersign/workflow"
)

// session is one connection to the server, ready for emails.
type session struct {
	offers
	smtp  *smtp.Client
	wire  *wire    // what smtp talks over
	conn  net.Conn // the same, beneath TLS
	alarm *time.Timer
	since time.Time // when it was last given back
	taken int       // emails that the server accepted on it
	out   []byte    // the last message, for its memory

	// Of the last email:
	until  time.Time // its deadline
	fit    fit
	broken bool // the connection is of no more use
	clean  bool // the server has answered a RSET
}

// farewell is how long a server may take to answer what decides nothing any more.
const farewell = 2 * time.Second

// send sends one email until a moment.
func (s *session) send(out outgoing, m manner, until time.Time) delivery.Result {
	s.until, s.fit, s.broken, s.clean = until, fits, false, false
	if err := s.conn.SetDeadline(until); err != nil {
		return result(answer{at: delivery.AtMAIL, err: err})
	}
	failpoint.Hit("dialogue")
	a := s.transact(out, m)
	failpoint.Hit("answered")
	r := result(a)
	if a.at == delivery.AtDot && a.good() {
		s.taken++
	}
	return r
}

func (s *session) transact(out outgoing, m manner) answer {
	switch m {
	case whole:
		return s.whole(out)
	case grouped:
		return s.grouped(out)
	default:
		return s.stepwise(out)
	}
}

// quiet reports whether the server has said nothing since its last reply, and has
// not closed the connection.
func (s *session) quiet() bool {
	if s.unread() || s.conn.SetDeadline(time.Time{}) != nil {
		return false
	}
	socket, ok := s.conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	var peeked error
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, peeked = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		return true
	})
	return err == nil && errors.Is(peeked, syscall.EAGAIN)
}

// unread reports whether something has come that nobody waits for.
func (s *session) unread() bool { return s.smtp.Text.R.Buffered() > 0 || s.wire.unread() }

// reset makes the connection ready for the mail after one with this result,
// and reports whether it is. After an accepted mail it is (RFC 5321 section
// 4.1.1.4); RSET would cost every mail a round trip. A server that is tired of the
// connection stays so, whatever it answers to RSET.
func (s *session) reset(last delivery.Result) bool {
	switch {
	case s.broken:
		return false
	case last.Outcome == workflow.Accepted:
		return true
	case gone(last), last.Stage == delivery.AtDATA && last.Code/100 < 4:
		return false
	case tired(last):
		s.quit()
		return false
	case s.clean:
		return true
	}
	return s.smtp.Reset() == nil
}

// quit takes leave of the server and closes the connection.
func (s *session) quit() {
	if s.conn.SetDeadline(time.Now().Add(farewell)) == nil {
		_ = s.smtp.Quit() // the connection is done with, whatever the answer
	}
	s.hangUp()
}

func (s *session) hangUp() { _ = s.conn.Close() }
