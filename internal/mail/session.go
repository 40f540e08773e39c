package mail

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/textproto"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"countersign/internal/delivery"
	"countersign/internal/failpoint"
)

// session is one connection to the server, ready for mails.
type session struct {
	smtp  *smtp.Client
	conn  net.Conn // what smtp talks over, beneath TLS
	alarm *time.Timer
	since time.Time // when it was last given back
	taken int       // mails that the server accepted on it
}

// farewell is how long a server may take to answer QUIT.
const farewell = 2 * time.Second

// send sends one mail until a moment.
func (s *session) send(out outgoing, until time.Time) delivery.Result {
	if err := s.conn.SetDeadline(until); err != nil {
		return result(delivery.AtMAIL, 0, "", err)
	}
	name(s.smtp, out.envelope())
	failpoint.Hit("dialogue")
	at, words, err := s.transact(out)
	failpoint.Hit("answered")
	r := result(at, 250, words, err)
	if at == delivery.AtDot && r.Code/100 == 2 {
		s.taken++
	}
	return r
}

// transact takes a mail through MAIL, RCPT and DATA to the final dot (RFC 5321
// section 3.3), and says how far it came. The words are those by which the server
// accepted the mail.
func (s *session) transact(out outgoing) (at delivery.Stage, words string, err error) {
	if err := positive(s.smtp.Mail(out.from)); err != nil {
		return delivery.AtMAIL, "", err
	}
	if err := positive(s.smtp.Rcpt(out.to)); err != nil {
		return delivery.AtRCPT, "", err
	}
	data, err := s.smtp.Data()
	if err != nil {
		return delivery.AtDATA, "", err
	}
	// A message that breaks off is never ended with a dot.
	if err := s.body(data, out.content); err != nil {
		return delivery.AtMessage, "", err
	}
	if err := data.Close(); positive(err) != nil {
		return delivery.AtDot, "", err
	}
	if dc, ok := data.(*smtp.DataCloser); ok {
		words = dc.ServerResponse()
	}
	return delivery.AtDot, words, nil
}

// body writes a message, whose lines end in CR LF, with a second dot before each
// dot that begins a line (RFC 5321 section 4.5.2). data does that too, one byte at a
// time; it gets the end of the last line only, and knows by it where the final dot
// belongs.
func (s *session) body(data io.Writer, content []byte) error {
	last := len(content) - len("\r\n")
	for rest := content[:last]; len(rest) > 0; {
		if rest[0] == '.' {
			if err := s.smtp.Text.W.WriteByte('.'); err != nil {
				return err
			}
		}
		line := bytes.Index(rest, []byte("\n.")) + 1
		if line == 0 {
			line = len(rest)
		}
		if _, err := s.smtp.Text.W.Write(rest[:line]); err != nil {
			return err
		}
		rest = rest[line:]
	}
	_, err := data.Write(content[last:])
	return err
}

// positive drops the error of a reply that was another success than the
// expected one: the first digit decides (RFC 5321 section 4.2.1).
func positive(err error) error {
	var reply *textproto.Error
	if errors.As(err, &reply) && reply.Code/100 == 2 {
		return nil
	}
	return err
}

// reset makes the connection ready for the mail after one with this result,
// and reports whether it is. After an accepted mail it is (RFC 5321 section
// 4.1.1.4); RSET would cost every mail a round trip. A server that is tired of the
// connection stays so, whatever it answers to RSET.
func (s *session) reset(last delivery.Result) bool {
	switch {
	case last.Code/100 == 2:
		return true
	case gone(last), last.Stage == delivery.AtDATA && last.Code/100 < 4:
		return false
	case tired(last):
		s.quit()
		return false
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
