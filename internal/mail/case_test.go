package mail_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"countersign/internal/delivery"
	"countersign/internal/mail"
	"countersign/internal/smtpurl"
	"countersign/internal/test/certtest"
	"countersign/internal/test/logtest"
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
func TestPoolSend_RefusalAboutUsWaits(t *testing.T) {
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
		t.Run(c.verb+" "+c.reply, func(t *testing.T) {
			t.Parallel()
			s := script{c.verb: c.reply}
			if c.verb == "EHLO" {
				s["HELO"] = c.reply
			}
			got := send(t, pool(t, settings(t, speak(t, s).addr)))
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
func TestPoolSend_LimitOfMailsPerConnection(t *testing.T) {
	for verb, reply := range map[string]string{
		"DATA": "452 4.4.5 Maximum number of messages per session exceeded.", "MAIL": "450 4.7.0 enough", "RCPT": "452 4.5.3 enough of you",
		".": "421 4.7.0 Too many messages on this connection&", "MAIL 5xx": "554 5.7.0 too many messages in this session",
	} {
		t.Run(verb+" "+reply, func(t *testing.T) {
			t.Parallel()
			server := speak(t, script{})
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
func TestPoolSend_BareReplyCodes(t *testing.T) {
	for name, s := range map[string]script{
		"MAIL": {"MAIL": "250"}, "final dot": {".": "250"}, "DATA": {"DATA": "354"}, "RCPT": {"RCPT": "250"}, "greeting": {"": "220"},
		"EHLO": {"EHLO": "250"}, "several lines, the last one bare": {"EHLO": "250-raw.test\r\n250-8BITMIME\r\n250", "RCPT": "250-\r\n250"},
		"everything":      {"": "220", "EHLO": "250", "MAIL": "250", "RCPT": "250", "DATA": "354", ".": "250", "RSET": "250"},
		"another success": {"MAIL": "251 ok", "RCPT": "200 ok", ".": "252"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := speak(t, s)
			if got := send(t, pool(t, settings(t, server.addr))); got.Outcome != workflow.Accepted || server.heard(".") != 1 {
				t.Errorf("got %+v, want accepted", got)
			}
		})
	}
	for reply, want := range map[string]workflow.Outcome{"550": workflow.Deferred, "450": workflow.Deferred, "25": workflow.Unknown, "2500": workflow.Unknown} {
		if got := send(t, pool(t, settings(t, speak(t, script{".": reply}).addr))); got.Outcome != want {
			t.Errorf("%q to the final dot: got %+v, want %s", reply, got, want)
		}
	}
}

// TestPoolSend_OpportunisticTLSFallsBack has the case d2c and variants: the mail
// goes out in the clear, and that is said once.
func TestPoolSend_OpportunisticTLSFallsBack(t *testing.T) {
	offered := "250-raw.test\r\n250 STARTTLS"
	for name, s := range map[string]script{
		"454":                   {"STARTTLS": "454 4.7.0 TLS not available due to local problem"},
		"502":                   {"STARTTLS": "502 5.5.1 what"},
		"454, and it leaves":    {"STARTTLS": "454 4.7.0 no&"},
		"421":                   {"STARTTLS": "421 4.3.0 no&"},
		"closed":                {"STARTTLS": drop},
		"accepted, and closed":  {"STARTTLS": "220 go&"},
		"accepted, and SMTP on": {"STARTTLS": "220 go\r\n250 raw.test"},
		"accepted, and silent":  {"STARTTLS": "220 go%"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s["EHLO"], s["."] = offered, "250 2.0.0 queued&" // each mail has a connection of its own
			server := speak(t, s)
			config, said := settings(t, server.addr), &logtest.Buffer{}
			config.Server.Encryption, config.Logger = smtpurl.Opportunistic, slog.New(slog.NewTextHandler(said, nil))
			config.Pool = 2
			p := pool(t, config)
			for range 2 {
				if got := sendWithin(t, p, 2*time.Second); got.Outcome != workflow.Accepted {
					t.Fatalf("got %+v, want accepted", got)
				}
			}
			if n := strings.Count(said.String(), "unencrypted"); n != 1 {
				t.Errorf("it is said %d times: %s", n, said)
			}
		})
	}
}

// TestPoolSend_OpportunisticTLSTakesAnyCertificate is the case d2, with others
// that mandatory refuses.
func TestPoolSend_OpportunisticTLSTakesAnyCertificate(t *testing.T) {
	for name, edit := range map[string]func(*x509.Certificate){
		"self-signed":  func(*x509.Certificate) {},
		"expired":      func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Unix(0, 0), time.Unix(1, 0) },
		"another name": func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"elsewhere.test"} },
	} {
		t.Run(name, func(t *testing.T) {
			cert, _ := certtest.New(t, edit)
			secured := false
			server := catch(t, func(_ *catcher, s *smtp.Server) { s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}} })
			server.on(func(_ int, at step, k *smtp.Conn) error {
				if at == atMail {
					_, secured = k.TLSConnectionState()
				}
				return nil
			})
			config := settings(t, server.addr)
			config.Server.Encryption = smtpurl.Opportunistic
			if got := send(t, pool(t, config)); got.Outcome != workflow.Accepted || !secured {
				t.Errorf("got %+v, encrypted %t", got, secured)
			}
			config.Server.Encryption = smtpurl.Mandatory
			got := send(t, pool(t, config))
			is(t, got, workflow.Deferred, true, false)
			if got.Stage != delivery.AtSTARTTLS || !strings.Contains(got.Reply, "certificate") {
				t.Errorf("mandatory says %q at %s", got.Reply, got.Stage)
			}
		})
	}
}

// TestPoolSend_PasswordIsKeptFromUntrustedServers: opportunistic encryption
// takes any certificate, and gives a password to none that it cannot trust.
func TestPoolSend_PasswordIsKeptFromUntrustedServers(t *testing.T) {
	cert, roots := certtest.New(t, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"mail.test"} })
	for name, config := range map[string]*tls.Config{"untrusted": {ServerName: "mail.test"}, "trusted": {ServerName: "mail.test", RootCAs: roots}} {
		server := catch(t, func(k *catcher, s *smtp.Server) {
			k.auth, s.TLSConfig = "PLAIN", &tls.Config{Certificates: []tls.Certificate{cert}}
		})
		c := settings(t, server.addr)
		c.TLS, c.Server.Encryption, c.Server.User, c.Server.Password = config, smtpurl.Opportunistic, "countersign", "open sesame"
		c.Server.Host = "0.0.0.0" // leads here too, and is not called loopback
		got := send(t, pool(t, c))
		if name == "trusted" {
			is(t, got, workflow.Accepted, false, false)
			continue
		}
		is(t, got, workflow.Deferred, true, false)
		if got.Stage != delivery.AtAUTH || !strings.Contains(got.Reply, "smtp-ca") || len(server.logins()) > 0 {
			t.Errorf("%s: it says %q at %s; logins %v", name, got.Reply, got.Stage, server.logins())
		}
	}
}

// TestPoolSend_OldAuthSyntax is the case d7old.
func TestPoolSend_OldAuthSyntax(t *testing.T) {
	for _, ehlo := range []string{"250 AUTH=LOGIN", "250-raw.test\r\n250-AUTH=LOGIN PLAIN\r\n250 8BITMIME", "250-raw.test\r\n250-AUTH=LOGIN\r\n250 AUTH LOGIN", "250-raw.test\r\n250 auth=login"} {
		if !strings.HasPrefix(ehlo, "250-") {
			ehlo = "250-raw.test\r\n" + ehlo
		}
		server := speak(t, script{"EHLO": ehlo, "AUTH": "334 VXNlcm5hbWU6", "bG9h": "334 UGFzc3dvcmQ6", "c2VzYW1l": "235 2.7.0 in"})
		c := settings(t, server.addr)
		c.Server.User, c.Server.Password = "loa", "sesame"
		if strings.Contains(ehlo, "PLAIN") {
			server = speak(t, script{"EHLO": ehlo, "AUTH": "235 2.7.0 in"})
			c.Server.Port = portOf(t, server.addr)
		}
		if got := send(t, pool(t, c)); got.Outcome != workflow.Accepted || server.heard("AUTH") != 1 {
			t.Errorf("%q: got %+v after %d AUTH", ehlo, got, server.heard("AUTH"))
		}
	}
}

// TestPoolSend_OAuthToken is the case d7xo, with a token from a file and from a
// command, and without any.
func TestPoolSend_OAuthToken(t *testing.T) {
	want := "AUTH XOAUTH2 " + base64.StdEncoding.EncodeToString([]byte("user=loa@countersign.example\x01auth=Bearer t0ken\x01\x01"))
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("t0ken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := file + ".open"
	if err := errors.Join(os.WriteFile(open, []byte("t0ken\n"), 0o600), os.Chmod(open, 0o644)); err != nil {
		t.Fatal(err)
	}
	good := script{"EHLO": "250-raw.test\r\n250 AUTH XOAUTH2", "AUTH": "235 2.7.0 Accepted"}
	for _, c := range []struct {
		name          string
		file, command string
		password      string
		script        script
		outcome       workflow.Outcome
		says          string
	}{
		{"from a file", file, "", "", good, workflow.Accepted, ""},
		{"from a command", "", "printf t0ken", "", good, workflow.Accepted, ""},
		{"no token", "", "", "secret", good, workflow.Deferred, "the server offers XOAUTH2"},
		{"no token, two offered", "", "", "secret", script{"EHLO": "250-raw.test\r\n250 AUTH GSSAPI XOAUTH2"}, workflow.Deferred, "GSSAPI, XOAUTH2"},
		{"a token, and passwords are offered", file, "", "", script{"EHLO": "250-raw.test\r\n250 AUTH LOGIN PLAIN"}, workflow.Deferred, "offers LOGIN, PLAIN; Countersign can use XOAUTH2"},
		{"nothing offered", file, "", "", script{}, workflow.Deferred, "offers no AUTH"},
		{"the file is missing", file + ".none", "", "", good, workflow.Deferred, "smtp-oauth-token-file"},
		{"others can read the file", open, "", "", good, workflow.Deferred, "chmod 600"},
		{"the command fails", "", "echo t0ken; exit 3", "", good, workflow.Deferred, "exit status 3"},
		{"the command prints nothing", "", "true", "", good, workflow.Deferred, "one token"},
		{"the command prints two lines", "", "echo t0ken; echo t0ken", "", good, workflow.Deferred, "one token"},
		{"the token is refused", file, "", "", script{"EHLO": good["EHLO"], "AUTH": "334 eyJzdGF0dXMiOiI0MDAifQ==", "": "220 raw.test"}, workflow.Deferred, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := speak(t, c.script)
			s := settings(t, server.addr)
			s.Server.User, s.Server.Password, s.TokenFile, s.TokenCommand = "loa@countersign.example", c.password, c.file, c.command
			got := send(t, pool(t, s))
			is(t, got, c.outcome, c.outcome != workflow.Accepted, false)
			if !strings.Contains(got.Reply, c.says) || strings.Contains(got.Reply, "t0ken") {
				t.Errorf("it says %q, want %q and no token", got.Reply, c.says)
			}
			if c.outcome == workflow.Accepted && server.heard(want) != 1 {
				t.Errorf("the server heard no %q", want)
			}
		})
	}
}

// TestPoolSend_RefusedOAuthTokenIsFetchedAgain: a token is kept for a minute, but
// not one that the server refused.
func TestPoolSend_RefusedOAuthTokenIsFetchedAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	put := func(token string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("stale")
	ehlo := "250-raw.test\r\n250 AUTH XOAUTH2"
	server := speak(t, script{"EHLO": ehlo, "AUTH": "535 5.7.3 Authentication unsuccessful"}, script{"EHLO": ehlo, "AUTH": "235 2.7.0 in", ".": "250 ok&"})
	c := settings(t, server.addr)
	c.Server.User, c.TokenCommand = "loa", "cat "+file
	p := pool(t, c)
	is(t, send(t, p), workflow.Deferred, true, false)
	put("fresh")
	is(t, send(t, p), workflow.Accepted, false, false)
	put("unread")
	is(t, send(t, p), workflow.Accepted, false, false)
	fresh := "AUTH XOAUTH2 " + base64.StdEncoding.EncodeToString([]byte("user=loa\x01auth=Bearer fresh\x01\x01"))
	if server.heard(fresh) != 2 || server.heard("AUTH") != 3 {
		t.Errorf("the fresh token was used %d times of %d", server.heard(fresh), server.heard("AUTH"))
	}
}

// TestPoolSend_NameInEHLO: a name without a dot is refused by many servers.
func TestPoolSend_NameInEHLO(t *testing.T) {
	server := speak(t, script{})
	c := settings(t, server.addr)
	send(t, pool(t, c))
	c.HELO = ""
	send(t, pool(t, c))
	want := "[127.0.0.1]"
	if name, err := os.Hostname(); err == nil && strings.Contains(name, ".") {
		want = name
	}
	if server.heard("EHLO worker.test") != 1 || server.heard("EHLO "+want) != 1 {
		t.Errorf("the server did not hear worker.test and %s once each", want)
	}
}

// TestPoolSend_NothingAfterSTARTTLSIsBelieved injects a reply in the clear behind
// the one to STARTTLS (RFC 3207 section 4.2).
func TestPoolSend_NothingAfterSTARTTLSIsBelieved(t *testing.T) {
	server := speak(t, script{"EHLO": "250-raw.test\r\n250 STARTTLS", "STARTTLS": "220 go\r\n250-raw.test\r\n250 AUTH PLAIN"})
	c := settings(t, server.addr)
	c.Server.Encryption, c.Server.User, c.Server.Password = smtpurl.Mandatory, "countersign", "open sesame"
	is(t, sendWithin(t, pool(t, c), 2*time.Second), workflow.Deferred, true, false)
	if server.heard("AUTH") != 0 {
		t.Error("the password was sent")
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
