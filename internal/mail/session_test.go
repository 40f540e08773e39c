package mail

import (
	"bytes"
	"io"
	"net/textproto"
	"strings"
	"testing"

	"github.com/wneessen/go-mail/smtp"
)

// sink is a connection on which a client writes and reads nothing.
type sink struct{ io.Writer }

func (sink) Read([]byte) (int, error) { return 0, io.EOF }
func (sink) Close() error             { return nil }

// over makes a session that writes to w.
func over(w io.Writer) *session {
	return &session{smtp: &smtp.Client{Text: textproto.NewConn(sink{w})}}
}

// TestSessionBody_DotsAreDoubledAsByTextproto compares the bytes of messages with
// those that textproto's writer makes of them.
func TestSessionBody_DotsAreDoubledAsByTextproto(t *testing.T) {
	for _, content := range []string{
		"a\r\n", ".\r\n", "..\r\n", ".\r\n.\r\n", "\r\n", "a\r\n.b\r\n..c\r\n", "a.\r\n.", "\r\n.\r\n\r\n.", "a\r\n.\r\nMAIL FROM:<eve@example.net>\r\n",
		strings.Repeat(".a\r\n", 4000), strings.Repeat("a", 5000) + "\r\n." + strings.Repeat("b", 5000),
	} {
		content = strings.TrimSuffix(content, "\r\n") + "\r\n"
		var got, want bytes.Buffer
		s := over(&got)
		data := s.smtp.Text.DotWriter()
		if err := s.body(data, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if err := data.Close(); err != nil {
			t.Fatal(err)
		}
		w := textproto.NewConn(sink{&want}).DotWriter()
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() {
			t.Errorf("%.60q is written as\n%.300q, want\n%.300q", content, got.String(), want.String())
		}
	}
}

// BenchmarkBody writes the content of a signature email as SMTP has it.
func BenchmarkBody(b *testing.B) {
	c := testComposer(b, plainSettings(plainLink))
	email := Message{Mail: anEmail("signature", aDocument(2), "owner@example.com")}
	to, err := recipient(email.Mail.Recipient)
	if err != nil {
		b.Fatal(err)
	}
	out, err := c.write(email, to)
	if err != nil {
		b.Fatal(err)
	}
	s := over(io.Discard)
	for _, way := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"lines", func(data io.Writer) error { return s.body(data, out.content) }},
		{"textproto", func(data io.Writer) error { _, err := data.Write(out.content); return err }},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				data := s.smtp.Text.DotWriter()
				if err := way.write(data); err != nil {
					b.Fatal(err)
				}
				if err := data.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
