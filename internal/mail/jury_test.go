package mail_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"countersign/internal/delivery"
	"countersign/internal/mail"
	"countersign/workflow"
)

// sendTo sends a signature mail, the n-th document's, to an address.
func sendTo(t testing.TB, p *mail.Pool, n int, to string) delivery.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	d := document()
	d.SID, d.Email = workflow.SID(fmt.Sprintf("PX%032x", n)), to
	return p.Send(ctx, mail.Message{Mail: mailOf(workflow.MailSignature, d)})
}

// is compares what a result says of the mail and of the server.
func is(t testing.TB, got delivery.Result, outcome workflow.Outcome, server, unsure bool) {
	t.Helper()
	if got.Outcome != outcome || got.Server != server || got.Unsure != unsure || server != (got.Alike != "") {
		t.Errorf("got %+v, want %s, about the server: %t, unsure: %t", got, outcome, server, unsure)
	}
}

// TestPoolSend_RefusalAboutUsWaits has the cases d1, d3 and d4, and others of
// their kind, each met by one mail alone.
func TestPoolSend_RefusalAboutUsWaits(t *testing.T) { eachPath(t, refusalAboutUsWaits) }

func refusalAboutUsWaits(t *testing.T, w path) {
	for _, c := range []struct {
		stage delivery.Stage
		verb  string
		reply string
	}{
		{delivery.AtRCPT, "RCPT", "504 5.5.2 <vm>: Helo command rejected: need fully-qualified hostname"},
		{delivery.AtRCPT, "RCPT", "501 5.5.2 <vm>: Helo command rejected: Invalid name"},
		{delivery.AtRCPT, "RCPT", "550 5.7.1 <vm.local>: Helo command rejected: Host not found"},
		{delivery.AtDot, ".", "550 5.7.0 Requested action not taken: too many mails a second"},
		{delivery.AtRCPT, "RCPT", "554 5.7.0 limit of outgoing mails exceeded, try again later"},
		{delivery.AtRCPT, "RCPT", "550 5.4.5 Daily user sending limit exceeded"},
		{delivery.AtDot, ".", "554 Message rejected: address is not verified: loa@countersign.example"},
		{delivery.AtRCPT, "RCPT", "553 5.7.1 <loa@countersign.example>: sender not owned by user countersign"},
		{delivery.AtRCPT, "RCPT", "554 5.7.1 <owner@example.com>: relaying denied"},
		{delivery.AtMAIL, "MAIL", "550 5.7.1 client host rejected: no reverse name"},
		{delivery.AtMAIL, "MAIL", "550 5.1.1 not you"},
		{delivery.AtRCPT, "RCPT", "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"},
		{delivery.AtDATA, "DATA", "550 5.1.1 no"},
		{delivery.AtEHLO, "EHLO", "501 5.5.4 Invalid domain name"},
	} {
		if !w.meets(c.verb) {
			continue
		}
		t.Run(c.verb+" "+c.reply, func(t *testing.T) {
			t.Parallel()
			s := script{c.verb: c.reply}
			if c.verb == "EHLO" {
				s["HELO"] = c.reply
			}
			_, p := w.speak(t, s)
			got := send(t, p)
			is(t, got, workflow.Deferred, true, false)
			if got.Stage != c.stage || strings.Contains(got.Reply, "@") {
				t.Errorf("at %s with the words %q, want %s", got.Stage, got.Reply, c.stage)
			}
		})
	}
}

// TestPoolSend_ReplyAlikeForTwoDomainsIsAboutUs: nothing in the code says whom a
// bare 550 is about. The first mail is not believed lost at once, and the second
// domain shows that it is about us.
func TestPoolSend_ReplyAlikeForTwoDomainsIsAboutUs(t *testing.T) {
	for _, reply := range []string{"550 relay not permitted", "551 <$> not here", "553 no", "550", "550 5.1.0 $ refused", "550 5.4.1 [$]: Access denied", "550 5.0.0 no"} {
		t.Run(reply, func(t *testing.T) {
			t.Parallel()
			server := speak(t, script{"RCPT": reply})
			p := pool(t, settings(t, server.addr))
			is(t, sendTo(t, p, 1, "owner@one.example"), workflow.Deferred, false, true)
			is(t, sendTo(t, p, 2, "owner@two.example"), workflow.Deferred, true, false)
			is(t, sendTo(t, p, 1, "owner@one.example"), workflow.Deferred, true, false)
		})
	}
}

func TestPoolSend_ReplyOfOneDomainIsBelievedAtSecondTry(t *testing.T) {
	server := speak(t, script{"RCPT": "550 no such user"})
	p := pool(t, settings(t, server.addr))
	is(t, sendTo(t, p, 1, "owner@one.example"), workflow.Deferred, false, true)
	is(t, sendTo(t, p, 2, "boss@one.example"), workflow.Deferred, false, true)
	is(t, sendTo(t, p, 1, "owner@one.example"), workflow.Rejected, false, false)
}

// TestPoolSend_PlainCodeIsBelievedWhoeverGetsIt: two mistyped addresses at two
// domains do not stop all mails.
func TestPoolSend_PlainCodeIsBelievedWhoeverGetsIt(t *testing.T) {
	for _, reply := range []string{"550 5.1.1 no such user", "554 5.1.2 no such host", "550 5.2.1 inactive", "556 5.1.10 null MX", "556 no mail"} {
		p := pool(t, settings(t, speak(t, script{"RCPT": reply}).addr))
		is(t, sendTo(t, p, 1, "owner@one.example"), workflow.Rejected, false, false)
		is(t, sendTo(t, p, 2, "owner@two.example"), workflow.Rejected, false, false)
	}
}

// TestPoolSend_OneDomainDoesNotStopTheOthers has one domain refuse all mails for
// a reason that seems to be about us, while others take them.
func TestPoolSend_OneDomainDoesNotStopTheOthers(t *testing.T) {
	server := catch(t)
	server.onRecipient(func(to string) error {
		if strings.HasSuffix(to, "@strict.example") {
			return refuse(550, smtp.EnhancedCode{5, 7, 26}, "unauthenticated")
		}
		return nil
	})
	p := pool(t, settings(t, server.addr))
	is(t, sendTo(t, p, 1, "a@strict.example"), workflow.Deferred, true, false)
	is(t, sendTo(t, p, 2, "b@strict.example"), workflow.Deferred, true, false)
	is(t, sendTo(t, p, 3, "a@other.example"), workflow.Accepted, false, false)
	is(t, sendTo(t, p, 4, "c@strict.example"), workflow.Deferred, false, false)
	is(t, sendTo(t, p, 1, "a@strict.example"), workflow.Deferred, false, false)
}

// TestPoolSend_OneMailThatIsRefusedWaitsAlone: other mails passed since it was
// refused, so its refusal is not everybody's.
func TestPoolSend_OneMailThatIsRefusedWaitsAlone(t *testing.T) {
	server := catch(t)
	server.onRecipient(func(to string) error {
		if strings.HasPrefix(to, "spam") {
			return refuse(554, smtp.EnhancedCode{5, 7, 1}, "content rejected")
		}
		return nil
	})
	p := pool(t, settings(t, server.addr))
	is(t, sendTo(t, p, 1, "spam@one.example"), workflow.Deferred, true, false)
	is(t, sendTo(t, p, 1, "spam@one.example"), workflow.Deferred, true, false)
	is(t, sendTo(t, p, 2, "owner@one.example"), workflow.Accepted, false, false)
	is(t, sendTo(t, p, 1, "spam@one.example"), workflow.Deferred, false, false)
}

// TestPoolSend_LimitOfMailsPerConnection is the case d5, with variants: no mail
// is deferred, and the limit is learned.
func TestPoolSend_LimitOfMailsPerConnection(t *testing.T) { eachPath(t, limitOfMailsPerConnection) }

func limitOfMailsPerConnection(t *testing.T, w path) {
	for verb, reply := range map[string]string{
		"DATA": "452 4.4.5 Maximum number of messages per session exceeded.", "MAIL": "450 4.7.0 enough", "RCPT": "452 4.5.3 enough of you",
		".": "421 4.7.0 Too many messages on this connection&", "MAIL 5xx": "554 5.7.0 too many messages in this session",
	} {
		if !w.meets(verb) {
			continue
		}
		t.Run(verb+" "+reply, func(t *testing.T) {
			t.Parallel()
			server := speak(t, script{"EHLO": w.ehlo})
			server.limit(3, strings.Fields(verb)[0], reply)
			p := pool(t, settings(t, server.addr))
			for n := range 20 {
				if got := sendTo(t, p, n, "owner@example.com"); got.Outcome != workflow.Accepted {
					t.Fatalf("mail %d: got %+v, want accepted", n+1, got)
				}
			}
			if n := server.connections(); n != 7 {
				t.Errorf("%d connections for 20 mails, want 7", n)
			}
			if n := server.refusals(); n != 2 {
				t.Errorf("the server refused %d times, want 2: then the limit is known", n)
			}
		})
	}
}

// TestPoolSend_BareReplyCodes is the case d6, at every step.
func TestPoolSend_BareReplyCodes(t *testing.T) { eachPath(t, bareReplyCodes) }

func bareReplyCodes(t *testing.T, w path) {
	for name, s := range map[string]script{
		"MAIL": {"MAIL": "250"}, "final dot": {".": "250"}, "DATA": {"DATA": "354"}, "RCPT": {"RCPT": "250"}, "greeting": {"": "220"},
		"EHLO": {"EHLO": "250"}, "several lines, the last one bare": {"EHLO": "250-raw.test\r\n250-8BITMIME\r\n250", "RCPT": "250-\r\n250"},
		"everything":      {"": "220", "EHLO": "250", "MAIL": "250", "RCPT": "250", "DATA": "354", ".": "250", "RSET": "250"},
		"another success": {"MAIL": "251 ok", "RCPT": "200 ok", ".": "252"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, p := w.speak(t, s)
			if got := send(t, p); got.Outcome != workflow.Accepted {
				t.Errorf("got %+v, want accepted", got)
			}
			dots, chunks := 1, 0
			switch {
			case w.once && s["EHLO"] == "":
				chunks++
			case w.once: // the script's EHLO offers nothing
				dots++
			}
			if server.heard(".") != dots || server.heard("BDAT") != chunks {
				t.Errorf("the server got %d messages by DATA and %d by BDAT, want %d and %d", server.heard("."), server.heard("BDAT"), dots, chunks)
			}
		})
	}
	for reply, want := range map[string]workflow.Outcome{"550": workflow.Deferred, "450": workflow.Deferred, "25": workflow.Unknown, "2500": workflow.Unknown} {
		_, p := w.speak(t, script{".": reply})
		if got := send(t, p); got.Outcome != want {
			t.Errorf("%q to the final dot: got %+v, want %s", reply, got, want)
		}
	}
}

// TestPoolSend_LetterGoesOutWholeAtSecondTry has a connection refuse the message
// after it was sent: the attachment is there again on the next one.
func TestPoolSend_LetterGoesOutWholeAtSecondTry(t *testing.T) {
	server := catch(t)
	server.on(func(n int, at step, _ *smtp.Conn) error {
		if n == 2 && at == atData {
			return refuse(452, smtp.EnhancedCode{4, 4, 5}, "enough")
		}
		return nil
	})
	p := pool(t, settings(t, server.addr))
	letter := bytes.Repeat([]byte("%PDF"), 1000)
	for range 2 {
		if got := p.Send(t.Context(), mail.Message{Mail: mailOf(workflow.MailSigned, document()), Letter: letter}); got.Outcome != workflow.Accepted {
			t.Fatalf("got %+v", got)
		}
	}
	stored := server.stored()
	if len(stored) != 2 || len(stored[0]) < 5000 || len(stored[1]) != len(stored[0]) {
		t.Errorf("%d mails are stored, of %d and %d bytes", len(stored), len(stored[0]), len(stored[len(stored)-1]))
	}
}
