package mail

import (
	"bufio"
	"bytes"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"countersign/workflow"
)

// counted counts the writes to a connection.
type counted struct {
	net.Conn
	writes atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// agree answers every command well.
func agree(conn net.Conn) {
	in := bufio.NewReader(conn)
	say := func(words string) { _, _ = conn.Write([]byte(words + "\r\n")) }
	say("220 agree.test")
	for data := false; ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		switch {
		case data && verb != ".":
			continue
		case verb == "DATA":
			say("354 go")
		case verb == "BDAT":
			n, _ := strconv.Atoi(strings.TrimSuffix(rest, " LAST"))
			_, _ = in.Discard(n)
			say("250 queued")
		default:
			say("250 ok")
		}
		data = verb == "DATA"
	}
}

// TestPoolSend_WritesOfAnEmail: each write but the last waits for a reply, so
// they are the round trips.
func TestPoolSend_WritesOfAnEmail(t *testing.T) {
	for m, want := range map[manner]int64{stepwise: 4, grouped: 2, whole: 1} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			if conn, err := l.Accept(); err == nil {
				defer conn.Close()
				agree(conn)
			}
		}()
		tcp, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer tcp.Close()
		conn := &counted{Conn: tcp}
		s := &session{wire: newWire(conn), conn: conn}
		if s.smtp, err = smtp.NewClient(s.wire, "agree.test"); err != nil {
			t.Fatal(err)
		}
		out := outgoing{from: "<a@a.example>", to: "<b@b.example>", content: []byte(strings.Repeat(".line\r\n", 3000))}
		for n := range int64(3) {
			r := s.send(out, m, time.Now().Add(20*time.Second))
			if r.Outcome != workflow.Accepted || conn.writes.Load() != want*(n+1) {
				t.Errorf("manner %d: got %+v after %d writes, want %d an email", m, r, conn.writes.Load(), want)
			}
		}
	}
}

// FuzzStuff compares the bytes of messages with those that textproto's writer
// makes of them.
func FuzzStuff(f *testing.F) {
	for _, s := range []string{
		"a", ".", "..", ".\r\n.", "", "a\r\n.b\r\n..c", "a.\r\n.", "\r\n.\r\n\r\n.", "a\r\n.\r\nMAIL FROM:<eve@example.net>",
		strings.Repeat(".a\r\n", 4000), strings.Repeat("a", 5000) + "\r\n." + strings.Repeat("b", 5000),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, content string) {
		if strings.ContainsAny(strings.ReplaceAll(content, "\r\n", ""), "\r\n") {
			return // the lines of a message end in CR LF
		}
		content += "\r\n"
		var want bytes.Buffer
		w := bufio.NewWriter(&want)
		dots := textproto.NewWriter(w).DotWriter()
		_, _ = dots.Write([]byte(content))
		_ = dots.Close()
		if got := append(stuff(nil, []byte(content)), ".\r\n"...); string(got) != want.String() {
			t.Errorf("%.60q is written as\n%.300q, want\n%.300q", content, got, want.String())
		}
	})
}
