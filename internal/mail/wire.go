package mail

import (
	"bufio"
	"bytes"
	"errors"
	"net"
)

// wire is a connection to a mail server, whatever it is encrypted with. It
// makes forms of replies readable that the parsers of net/textproto and go-mail
// do not take:
//
//   - a code without text or space ("250"; RFC 5321 section 4.2);
//   - in the answer to EHLO, keywords in lower case (RFC 5321 section 2.4), and
//     "AUTH=LOGIN", the form of drafts before RFC 2554.
//
// It reads lines, so it is of no use for anything but replies.
type wire struct {
	net.Conn
	in      *bufio.Reader
	pending []byte // of the line that is being read
	begun   bool   // pending continues a line that was longer than the buffer
	ehlo    bool   // the replies are to EHLO
}

func newWire(conn net.Conn) *wire { return &wire{Conn: conn, in: bufio.NewReader(conn)} }

// secure returns a wire over a connection that encrypts what goes over this
// one. greeting is read from it first: after STARTTLS a server sends no second
// greeting, and the reply to STARTTLS stands for it. Anything that was received
// in the clear after that reply is dropped (RFC 3207 section 4.2).
func (w *wire) secure(conn net.Conn, greeting string) *wire {
	s := newWire(conn)
	s.pending = []byte(greeting + "\r\n")
	return s
}

// Read implements net.Conn, and returns no more than one line at a time.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.pending) == 0 {
		line, err := w.in.ReadSlice('\n')
		if len(line) == 0 {
			return 0, err
		}
		whole := !w.begun && err == nil
		w.begun = errors.Is(err, bufio.ErrBufferFull)
		if w.pending = bytes.Clone(line); whole {
			w.pending = w.readable(w.pending)
		}
	}
	n := copy(p, w.pending)
	w.pending = w.pending[n:]
	return n, nil
}

// unread reports whether something was received and not read.
func (w *wire) unread() bool { return len(w.pending) > 0 || w.in.Buffered() > 0 }

// modernize changes an extension's keyword in place.
func modernize(line []byte) {
	for i, b := range line {
		switch {
		case 'a' <= b && b <= 'z':
			line[i] = b - 'a' + 'A'
		case b == '=' && string(line[:i]) == "AUTH":
			line[i] = ' '
			return
		case b == ' ', b == '=':
			return
		}
	}
}

// readable writes a whole line as today's parsers expect it.
func (w *wire) readable(line []byte) []byte {
	text := bytes.TrimRight(line, "\r\n")
	if len(text) < 3 || bytes.ContainsFunc(text[:3], func(r rune) bool { return r < '0' || r > '9' }) {
		return line
	}
	if len(text) == 3 {
		return append(text, " \r\n"...)
	}
	if w.ehlo && bytes.HasPrefix(text, []byte("250")) {
		modernize(text[4:])
	}
	return append(text, "\r\n"...)
}
