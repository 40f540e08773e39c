package mail_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/delivery"
	"countersign/internal/mail"
	"countersign/workflow"
)

// misfits are servers that offer to take commands in a group, and do not cope with
// it. wants are the outcomes that an email may have: grouped, and in one write.
var misfits = []struct {
	name          string
	script        script
	grouped, once []workflow.Outcome // nil: the case is none on that path
}{
	{"two replies to MAIL", script{"MAIL": "250 ok\r\n250 ok"}, accepted, taken},
	{"two replies to MAIL, and the message is refused", script{"MAIL": "250 ok\r\n250 ok", ".": "554 5.7.1 spam"}, accepted, doubt},
	{"two replies to RCPT, and the message is refused", script{"RCPT": "250 ok\r\n250 ok", ".": "554 5.7.1 spam"}, accepted, doubt},
	{"two replies to DATA", script{"DATA": "354 go\r\n250 ok"}, accepted, nil},
	{"two replies to the message, the second refuses it", script{".": "250 2.0.0 octets received\r\n554 5.7.1 spam"}, nil, doubt},
	{"one reply too many in the end", script{"RSET": "250 ok\r\n250 ok"}, nil, taken},
	{"RSET is refused", script{"RSET": "451 no"}, nil, doubt},
	{"354 to MAIL", script{"MAIL": "354 go"}, accepted, doubt},
	{"354 to RCPT", script{"RCPT": "354 go"}, accepted, doubt},
	{"354 to the message", script{".": "354 go"}, nil, doubt},
	{"250 to DATA", script{"DATA": "250 ok"}, accepted, nil},
	{"354 without a recipient", script{"RCPT": "550 5.1.1 no such mailbox", "DATA": "354 go"}, refused, nil},
	{"354 without a sender", script{"MAIL": "450 4.3.2 no", "RCPT": "503 no", "DATA": "354 go"}, accepted, nil},
	{"250 to a message without a recipient", script{"RCPT": "550 5.1.1 no such mailbox", ".": "250 ok"}, nil, refused},
	{"BDAT is unknown", script{"BDAT": "500 5.5.1 what"}, nil, accepted},
	{"BDAT is refused", script{".": "502 5.5.1 no"}, nil, accepted},
	{"the reply to RCPT is missing", script{"RCPT": mute}, accepted, doubt},
	{"the reply to MAIL is missing, and the message is refused", script{"MAIL": mute, ".": "554 5.7.1 spam"}, nil, doubtOrDeferred},
	{"only MAIL is answered", script{"MAIL": "250 ok", "RCPT": mute, "DATA": mute, ".": mute, "RSET": mute}, deferred, doubt},
	{"only MAIL is answered, and refused", script{"MAIL": "450 4.3.2 no", "RCPT": mute, "DATA": mute, ".": mute, "RSET": mute}, accepted, accepted},
	{"closed at the second command", script{"RCPT": drop}, accepted, doubt},
}

var (
	accepted        = []workflow.Outcome{workflow.Accepted}
	refused         = []workflow.Outcome{workflow.Rejected}
	deferred        = []workflow.Outcome{workflow.Deferred}
	doubt           = []workflow.Outcome{workflow.Unknown}
	taken           = []workflow.Outcome{workflow.Accepted, workflow.Unknown} // the server has taken it
	doubtOrDeferred = []workflow.Outcome{workflow.Unknown, workflow.Deferred}
)

// TestPoolSend_MisfitReplies has each of the misfits. No email that was refused is
// accepted, and the next ones go command by command.
func TestPoolSend_MisfitReplies(t *testing.T) {
	for _, w := range paths[1:] {
		w.misfit = true
		for _, c := range misfits {
			wants := c.grouped
			if w.once {
				wants = c.once
			}
			if wants == nil {
				continue
			}
			t.Run(w.name+", "+c.name, func(t *testing.T) {
				t.Parallel()
				server, p := w.speak(t, c.script)
				limit := 20 * time.Second
				if slices.Contains(wants, workflow.Unknown) || wants[0] == workflow.Deferred {
					limit = short
				}
				got := sendWithin(t, p, limit)
				if !slices.Contains(wants, got.Outcome) {
					t.Errorf("got %+v, want %v", got, wants)
				}
				// The reply too many may come only after the email was accepted.
				seen := got.Outcome != workflow.Accepted || len(wants) == 1
				groups := server.grouped()
				if got := send(t, p); got.Outcome != workflow.Accepted {
					t.Errorf("the next email: got %+v, want accepted", got)
				}
				if seen && server.grouped() != groups {
					t.Error("the next email went in a group")
				}
			})
		}
	}
}

// TestPoolSend_MessageWaitsForItsTurn: nothing of the message goes out in a group
// before 354.
func TestPoolSend_MessageWaitsForItsTurn(t *testing.T) {
	for _, reply := range []string{"451 4.3.0 no", "550 no", hang, "250 ok"} {
		server, p := paths[1].speak(t, script{"DATA": reply})
		sendWithin(t, p, short)
		for _, line := range server.heardAll() {
			verb, _, _ := strings.Cut(line, " ")
			if !slices.Contains([]string{"EHLO", "MAIL", "RCPT", "DATA", "RSET", "QUIT", "(gone)"}, verb) {
				t.Fatalf("%q to DATA: the server got %q", reply, line)
			}
		}
		if n := len(server.received()); n > 0 {
			t.Errorf("%q to DATA: the server got %d messages", reply, n)
		}
	}
}

// TestPoolSend_OneWriteOnlyIfADoubtIsCheap: an email that was in doubt, and each
// email if one in doubt is held, waits for 354.
func TestPoolSend_OneWriteOnlyIfADoubtIsCheap(t *testing.T) {
	w := paths[2]
	for _, c := range []struct {
		name   string
		hold   bool
		doubts int
		chunks int
	}{{"first try", false, 0, 1}, {"in doubt before", false, 1, 0}, {"held", true, 0, 0}} {
		server, p := w.speakTo(t, func(s *mail.Config) { s.Hold = c.hold }, script{})
		m := mailOf(workflow.MailSignature, document())
		m.Doubts = c.doubts
		got := p.Send(t.Context(), mail.Message{Mail: m})
		if got.Outcome != workflow.Accepted || server.heard("BDAT") != c.chunks || server.grouped() != 2 {
			t.Errorf("%s: got %+v, %d BDAT and %d groups", c.name, got, server.heard("BDAT"), server.grouped())
		}
	}
}

// TestPoolSend_MessageIsTheSameOnEachPath sends a letter and texts with dots.
func TestPoolSend_MessageIsTheSameOnEachPath(t *testing.T) {
	var first string
	eachPath(t, func(t *testing.T, w path) {
		server, p := w.speakTo(t, func(c *mail.Config) { c.Now = func() time.Time { return owedAt } }, script{})
		d := document()
		d.ContactTitle = strings.Repeat(".", 300)
		if got := p.Send(t.Context(), mail.Message{Mail: mailOf(workflow.MailSignature, d)}); got.Outcome != workflow.Accepted {
			t.Fatalf("got %+v", got)
		}
		all := server.received()
		got := unbounded(all[len(all)-1])
		if first == "" {
			first = got
		}
		if got != first || len(got) < 2000 || strings.Count(got, "\n") != strings.Count(got, "\r\n") || !strings.HasSuffix(got, "\r\n") {
			t.Errorf("%d bytes, and %d on the first path", len(got), len(first))
		}
	})
}

// TestPoolSend_RefusedEmailInAGroupKeepsTheConnection: the replies are all read.
func TestPoolSend_RefusedEmailInAGroupKeepsTheConnection(t *testing.T) {
	for _, w := range paths[1:] {
		server, p := w.kept().speak(t, script{"RCPT": "450 4.7.1 later"})
		for range 3 {
			if got := send(t, p); got.Outcome != workflow.Deferred || got.Stage != delivery.AtRCPT {
				t.Errorf("%s: got %+v, want deferred", w.name, got)
			}
		}
		if server.connections() != 1 || server.grouped() != 4 {
			t.Errorf("%s: %d connections and %d groups, want 1 and 4", w.name, server.connections(), server.grouped())
		}
	}
}

// unbounded takes away the boundaries of the parts, which are random.
func unbounded(message string) string {
	_, rest, _ := strings.Cut(message, "boundary=")
	boundary, _, _ := strings.Cut(strings.TrimLeft(rest, "\r\n \""), "\r\n")
	return strings.ReplaceAll(message, strings.Trim(boundary, "\""), "boundary")
}

// FuzzPoolSend_GroupedReplies answers an email that goes in one write with any
// bytes. It is accepted only if the first three replies are positive.
func FuzzPoolSend_GroupedReplies(f *testing.F) {
	for _, s := range []string{
		"250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n", "250 ok\r\n550 5.1.1 no\r\n503 no\r\n250 ok\r\n", "250 ok\r\n250 ok\r\n554 5.7.1 no\r\n250 ok\r\n",
		"250-a\r\n250 b\r\n250 c\r\n250-d\r\n250 e\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n554 no\r\n", "421 bye\r\n", "", "25\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, replies string) {
		w := paths[2]
		server, p := w.speak(t, script{"MAIL": replies + "&"}, script{"MAIL": "450 4.3.2 later"})
		got := sendWithin(t, p, short)
		var codes []string
		for line := range strings.SplitSeq(replies, "\n") {
			if len(line) < 4 || line[3] != '-' {
				codes = append(codes, line[:min(1, len(line))])
			}
		}
		if got.Outcome == workflow.Accepted && (len(codes) < 3 || slices.ContainsFunc(codes[:3], func(c string) bool { return c != "2" })) {
			t.Errorf("%q: got %+v", replies, got)
		}
		if strings.ContainsAny(got.Reply, "@\r\n") || got.Outcome == "" || got.Server && got.Outcome != workflow.Deferred {
			t.Errorf("%q: no such result: %+v", replies, got)
		}
		if n := len(server.received()); n > 1 {
			t.Errorf("%q: the server got %d messages", replies, n)
		}
	})
}
