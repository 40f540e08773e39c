package mail_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"countersign/internal/delivery"
	"countersign/internal/mail"
	"countersign/internal/smtpurl"
	"countersign/internal/test/certtest"
	"countersign/workflow"
)

const (
	documentSID = workflow.SID("PX0123456789abcdef0123456789abcdef")
	token       = "c2lnbi10aGlzLWxldHRlci1vbmNlLWFuZC1mb3ItYWxs"
)

var owedAt = time.Date(2026, 11, 23, 15, 4, 5, 0, time.UTC)

// document is a document with one number.
func document() *workflow.Document {
	return &workflow.Document{
		SID: documentSID, Status: workflow.Opened, Round: 1,
		Email: "owner@example.com", CCEmails: []string{"ops@example.com"}, ContactTitle: "Owner",
		Orders: []workflow.Order{{SID: "HR00000000000000000000000000000001", PhoneNumber: "+14155550100"}},
	}
}

// mailOf owes a mail of a kind about a document.
func mailOf(kind workflow.MailKind, about *workflow.Document) workflow.Mail {
	to := about.Email
	if kind == workflow.MailSent || kind == workflow.MailCanceled || kind == workflow.MailFailed {
		to = about.CCEmails[0]
	}
	return workflow.Mail{
		ID:       workflow.MailID(fmt.Sprintf("%s.%d.%s.0", about.SID, about.Round, kind)),
		Document: about.SID, Round: about.Round, Kind: kind, Recipient: to, CausedAt: owedAt, About: about,
	}
}

// settings are those of a pool of one that talks to a server.
func settings(t testing.TB, addr string) mail.Config {
	t.Helper()
	server, err := smtpurl.Parse("smtp://" + addr + "?tls=none")
	if err != nil {
		t.Fatal(err)
	}
	return mail.Config{
		Server: server, From: "Hosting Team <loa@countersign.example>", Pool: 1, HELO: "worker.test",
		Link: func(m workflow.Mail) (string, time.Time) {
			return fmt.Sprintf("https://sign.example.com/s/%s?r=%d&d=%s", token, m.Round, m.Document), m.CausedAt.AddDate(0, 0, 30)
		},
	}
}

func pool(t testing.TB, c mail.Config) *mail.Pool {
	t.Helper()
	p, err := mail.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// send sends a signature mail within a time that is enough.
func send(t testing.TB, p *mail.Pool) delivery.Result {
	t.Helper()
	return sendWithin(t, p, 20*time.Second)
}

func sendWithin(t testing.TB, p *mail.Pool, limit time.Duration) delivery.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return p.Send(ctx, mail.Message{Mail: mailOf(workflow.MailSignature, document())})
}

// whatOnly leaves out how far the dialogue came, which TestPoolSend_RefusalAboutUsWaits has.
var whatOnly = cmpopts.IgnoreFields(delivery.Result{}, "Stage", "Alike")

// short is a deadline for mails that a server leaves hanging.
const short = 300 * time.Millisecond

func TestPoolSend_OutcomeByFault(t *testing.T) {
	fail := func(where step, err error) func(int, step, *smtp.Conn) error {
		return func(_ int, at step, _ *smtp.Conn) error {
			if at == where {
				return err
			}
			return nil
		}
	}
	cut := func(where step) func(int, step, *smtp.Conn) error {
		return func(_ int, at step, k *smtp.Conn) error {
			if at == where {
				_ = k.Conn().Close()
			}
			return nil
		}
	}
	for _, c := range []struct {
		name   string
		fault  func(int, step, *smtp.Conn) error
		want   delivery.Result
		stored int
	}{
		{"none", nil, delivery.Result{Outcome: workflow.Accepted, Code: 250, Reply: "2.0.0 OK: queued"}, 1},
		{"451 to MAIL", fail(atMail, refuse(451, smtp.EnhancedCode{4, 3, 0}, "greylisted")), delivery.Result{Outcome: workflow.Deferred, Code: 451, Reply: "4.3.0 greylisted"}, 0},
		{"550 to MAIL", fail(atMail, refuse(550, smtp.EnhancedCode{5, 7, 1}, "not this sender")), delivery.Result{Outcome: workflow.Deferred, Code: 550, Reply: "5.7.1 not this sender", Server: true}, 0},
		{"450 to RCPT", fail(atRcpt, refuse(450, smtp.EnhancedCode{4, 2, 0}, "<owner@example.com>: mailbox busy")), delivery.Result{Outcome: workflow.Deferred, Code: 450, Reply: "4.2.0 <…>: mailbox busy"}, 0},
		{"550 to RCPT", fail(atRcpt, refuse(550, smtp.EnhancedCode{5, 1, 1}, "no such user owner@example.com here")), delivery.Result{Outcome: workflow.Rejected, Code: 550, Reply: "5.1.1 no such user <…> here"}, 0},
		{"554 after the message", fail(atData, refuse(554, smtp.EnhancedCode{5, 7, 1}, "spam: https://sign.example.com/s/"+token+" is listed")), delivery.Result{Outcome: workflow.Deferred, Code: 554, Reply: "5.7.1 spam: https://sign.example.com/s/<…> is listed", Server: true}, 0},
		{"421 after the message", fail(atData, refuse(421, smtp.EnhancedCode{4, 3, 2}, "shutting down")), delivery.Result{Outcome: workflow.Deferred, Code: 421, Reply: "4.3.2 shutting down"}, 0},
		{"connection lost before the message", cut(atRcpt), delivery.Result{Outcome: workflow.Deferred, Reply: "no reply to RCPT: EOF"}, 0},
		{"connection lost after the message", cut(atStored), delivery.Result{Outcome: workflow.Unknown, Reply: "no reply to final dot: EOF"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := catch(t)
			server.on(c.fault)
			got := send(t, pool(t, settings(t, server.addr)))
			if strings.Contains(got.Reply, "connection reset") { // what an EOF sometimes is
				got.Reply = c.want.Reply
			}
			if diff := cmp.Diff(c.want, got, whatOnly); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if n := len(server.stored()); n != c.stored {
				t.Errorf("the server stored %d mails, want %d", n, c.stored)
			}
		})
	}
}

func TestPoolSend_OutcomeByReply(t *testing.T) { eachPath(t, outcomeByReply) }

func outcomeByReply(t *testing.T, w path) {
	for _, c := range []struct {
		name   string
		script script
		want   delivery.Result // an empty Reply matches any
	}{
		{"421 greeting", script{"": "421 4.3.2 too busy&"}, delivery.Result{Outcome: workflow.Deferred, Code: 421, Reply: "4.3.2 too busy", Server: true}},
		{"554 greeting", script{"": "554 no mail from you&"}, delivery.Result{Outcome: workflow.Deferred, Code: 554, Reply: "no mail from you", Server: true}},
		{"no greeting", script{"": hang}, delivery.Result{Outcome: workflow.Deferred, Server: true}},
		{"closed before the greeting", script{"": drop}, delivery.Result{Outcome: workflow.Deferred, Server: true}},
		{"not SMTP", script{"": "HTTP/1.1 400 Bad Request"}, delivery.Result{Outcome: workflow.Deferred, Server: true}},
		{"421 to EHLO", script{"EHLO": "421 4.3.2 later&"}, delivery.Result{Outcome: workflow.Deferred, Code: 421, Reply: "4.3.2 later", Server: true}},
		{"550 to EHLO and HELO", script{"EHLO": "550 who", "HELO": "550 are you"}, delivery.Result{Outcome: workflow.Deferred, Code: 550, Reply: "who", Server: true}},
		{"HELO only", script{"EHLO": "502 what"}, delivery.Result{Outcome: workflow.Accepted, Code: 250, Reply: "2.0.0 queued as 42"}},
		{"530 to MAIL: authenticate first", script{"MAIL": "530 5.7.0 Authentication required"}, delivery.Result{Outcome: workflow.Deferred, Code: 530, Reply: "5.7.0 Authentication required", Server: true}},
		{"554 to DATA", script{"DATA": "554 5.5.1 no valid recipients"}, delivery.Result{Outcome: workflow.Deferred, Code: 554, Reply: "5.5.1 no valid recipients", Server: true}},
		{"451 to DATA", script{"DATA": "451 4.3.0 disk"}, delivery.Result{Outcome: workflow.Deferred, Code: 451, Reply: "4.3.0 disk"}},
		{"several lines", script{"RCPT": "550-5.1.1 The account owner@example.com\r\n550-5.1.1\tdoes not exist.\r\n550 5.1.1 See https://help.test/?p=NoSuchUser"}, delivery.Result{Outcome: workflow.Rejected, Code: 550, Reply: "5.1.1 The account <…> 5.1.1 does not exist. 5.1.1 See https://help.test/?p=NoSuchUser"}},
		{"no reply to MAIL", script{"MAIL": hang}, delivery.Result{Outcome: w.lost()}},
		{"no reply to RCPT", script{"RCPT": hang}, delivery.Result{Outcome: w.lost()}},
		{"nonsense to RCPT", script{"RCPT": "certainly"}, delivery.Result{Outcome: w.lost()}},
		{"no reply to DATA", script{"DATA": hang}, delivery.Result{Outcome: workflow.Deferred}},
		{"no reply to the final dot", script{".": hang}, delivery.Result{Outcome: workflow.Unknown}},
		{"closed at the final dot", script{".": drop}, delivery.Result{Outcome: workflow.Unknown}},
		{"nonsense at the final dot", script{".": "certainly"}, delivery.Result{Outcome: workflow.Unknown}},
		{"accepted, then closed", script{".": "250 2.0.0 queued as 42&"}, delivery.Result{Outcome: workflow.Accepted, Code: 250, Reply: "2.0.0 queued as 42"}},
		{"accepted with an address", script{".": "250 2.6.0 <PX.1@mx.example.com> Queued mail for delivery"}, delivery.Result{Outcome: workflow.Accepted, Code: 250, Reply: "2.6.0 <…> Queued mail for delivery"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			limit := 20 * time.Second
			for verb, reply := range c.script {
				if !w.meets(verb) {
					return
				}
				if reply == hang {
					limit = short
				}
			}
			_, p := w.speak(t, c.script)
			got := sendWithin(t, p, limit)
			if c.want.Reply == "" {
				if got.Reply == "" {
					t.Error("the result has no words")
				}
				got.Reply = ""
			}
			if diff := cmp.Diff(c.want, got, whatOnly); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPoolSend_NoServerDefers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	got := send(t, pool(t, settings(t, addr)))
	if got.Outcome != workflow.Deferred || !got.Server || got.Code != 0 {
		t.Errorf("a server that is down: got %+v, want deferred, the server's trouble", got)
	}
}

func TestPoolSend_ConnectionThatCannotBeSetUpIsClosed(t *testing.T) {
	server := speak(t, script{"EHLO": "550 no", "HELO": "550 no"})
	p := pool(t, settings(t, server.addr))
	for n := 1; n <= 2; n++ {
		if got := send(t, p); got.Outcome != workflow.Deferred || !got.Server {
			t.Errorf("got %+v, want deferred, the server's trouble", got)
		}
		await(t, "the connection is closed", func() bool { return server.heard("(gone)") == n })
	}
}

func TestPoolSend_STARTTLS(t *testing.T) {
	cert, roots := certtest.New(t)
	_, strangers := certtest.New(t)
	starttls := func(_ *catcher, s *smtp.Server) {
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	for _, c := range []struct {
		name   string
		server func(*catcher, *smtp.Server)
		url    string
		tls    *tls.Config
		want   workflow.Outcome
	}{
		{"mandatory", starttls, "smtp://%s?tls=mandatory", &tls.Config{RootCAs: roots}, workflow.Accepted},
		{"mandatory, a stranger's certificate", starttls, "smtp://%s?tls=mandatory", &tls.Config{RootCAs: strangers}, workflow.Deferred},
		{"mandatory, the system's roots", starttls, "smtp://%s?tls=mandatory", nil, workflow.Deferred},
		{"mandatory, another name", starttls, "smtp://%s?tls=mandatory", &tls.Config{RootCAs: roots, ServerName: "elsewhere.test"}, workflow.Deferred},
		{"mandatory, stripped", func(*catcher, *smtp.Server) {}, "smtp://%s?tls=mandatory", &tls.Config{RootCAs: roots}, workflow.Deferred},
		{"opportunistic", starttls, "smtp://%s?tls=opportunistic", &tls.Config{RootCAs: roots}, workflow.Accepted},
		{"opportunistic, not offered", func(*catcher, *smtp.Server) {}, "smtp://%s?tls=opportunistic", nil, workflow.Accepted},
		{"implicit, to a server in the clear", func(*catcher, *smtp.Server) {}, "smtps://%s", &tls.Config{RootCAs: roots}, workflow.Deferred},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := catch(t, c.server)
			config := settings(t, server.addr)
			config.TLS = c.tls
			var err error
			if config.Server, err = smtpurl.Parse(fmt.Sprintf(c.url, server.addr)); err != nil {
				t.Fatal(err)
			}
			limit := 20 * time.Second
			if config.Server.Encryption == smtpurl.Implicit {
				limit = short // client and server each wait for the other to begin
			}
			got := sendWithin(t, pool(t, config), limit)
			if got.Outcome != c.want || got.Server != (c.want == workflow.Deferred) {
				t.Errorf("got %+v, want %s", got, c.want)
			}
			if stored := len(server.stored()); (stored == 1) != (c.want == workflow.Accepted) {
				t.Errorf("the server stored %d mails", stored)
			}
		})
	}
}

func TestPoolSend_ImplicitTLS(t *testing.T) {
	cert, roots := certtest.New(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	c := &catcher{auth: "PLAIN"}
	s := smtp.NewServer(smtp.BackendFunc(func(k *smtp.Conn) (smtp.Session, error) { return &catching{c: c, k: k}, nil }))
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })

	config := settings(t, l.Addr().String())
	config.TLS = &tls.Config{RootCAs: roots}
	if config.Server, err = smtpurl.Parse("smtps://countersign:open%20sesame@" + l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	p := pool(t, config)
	for range 2 {
		if got := send(t, p); got.Outcome != workflow.Accepted {
			t.Errorf("got %+v, want accepted", got)
		}
	}
	if diff := cmp.Diff([]string{"PLAIN countersign"}, c.logins()); diff != "" {
		t.Errorf("logins (-want +got):\n%s", diff)
	}
}

func TestPoolSend_Auth(t *testing.T) {
	cert, roots := certtest.New(t)
	for _, c := range []struct {
		name, mechanism, user, password string
		secure                          bool
		mode                            string
		want                            delivery.Result // Reply and Code only where Code is set
	}{
		{"PLAIN", "PLAIN", "countersign", "open sesame", true, "mandatory", delivery.Result{Outcome: workflow.Accepted}},
		{"LOGIN", "LOGIN", "countersign", "open sesame", true, "mandatory", delivery.Result{Outcome: workflow.Accepted}},
		{"PLAIN in the clear, where asked for", "PLAIN", "countersign", "open sesame", false, "none", delivery.Result{Outcome: workflow.Accepted}},
		{"LOGIN in the clear, where asked for", "LOGIN", "countersign", "open sesame", false, "none", delivery.Result{Outcome: workflow.Accepted}},
		{"PLAIN, wrong password", "PLAIN", "countersign", "sesame", true, "mandatory", delivery.Result{Outcome: workflow.Deferred, Code: 535, Reply: "5.7.8 bad credentials", Server: true}},
		{"LOGIN, wrong password", "LOGIN", "countersign", "sesame", true, "mandatory", delivery.Result{Outcome: workflow.Deferred, Code: 535, Reply: "5.7.8 bad credentials", Server: true}},
		{"not offered", "", "countersign", "open sesame", true, "mandatory", delivery.Result{Outcome: workflow.Deferred, Server: true}},
		{"a mechanism nobody knows", "X-RIDDLE", "countersign", "open sesame", true, "mandatory", delivery.Result{Outcome: workflow.Deferred, Server: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := catch(t, func(k *catcher, s *smtp.Server) {
				k.auth, s.AllowInsecureAuth = c.mechanism, !c.secure
				if c.secure {
					s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
				}
			})
			config := settings(t, server.addr)
			config.TLS = &tls.Config{RootCAs: roots}
			config.Server.User, config.Server.Password = c.user, c.password
			config.Server.Encryption = smtpurl.Encryption(c.mode)
			got := send(t, pool(t, config))
			if strings.Contains(got.Reply, c.password) {
				t.Errorf("the reply holds the password: %s", got.Reply)
			}
			if c.want.Code == 0 {
				got.Reply, got.Code = "", 0
			}
			if diff := cmp.Diff(c.want, got, whatOnly); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

// The dialogue must end in an outcome whatever a server says, and in Accepted
// only where the server took the message.
func FuzzPoolSend_Dialogue(f *testing.F) {
	f.Add("220 raw.test", "250 raw.test", "250 ok", "250 ok", "354 go", "250 ok")
	f.Add("220 raw.test", "250-raw.test\r\n250 DSN", "250 ok", "550 5.1.1 owner@example.com?", "354 go", "250 ok")
	f.Add("220 raw.test", "250 raw.test", "250 ok", "250 ok", "354 go", "354 more")
	f.Add("220 raw.test", "250 raw.test", "250 ok", "250 ok", "354 go", "2500 ok")
	f.Add("421 busy", "", "", "", "", "")
	f.Add("220-\r\n220 ", "500", "25", "-1 x", "354", "999 \xff@\xfe")
	f.Add("220 x", "250 x", "250 ok", "250 ok", "354 go", "450-a@b\r\n550 c@d")
	f.Fuzz(func(t *testing.T, greeting, ehlo, mailFrom, rcpt, data, dot string) {
		said := script{"": greeting, "EHLO": ehlo, "MAIL": mailFrom, "RCPT": rcpt, "DATA": data, ".": dot}
		server := speak(t, said)
		got := sendWithin(t, pool(t, settings(t, server.addr)), short)
		switch got.Outcome {
		case workflow.Rejected, workflow.Deferred, workflow.Unknown:
		case workflow.Accepted:
			if !strings.Contains(greeting+ehlo+mailFrom+rcpt+data+dot, "250") {
				t.Errorf("accepted, and nobody said so: %+v", got)
			}
		default:
			t.Errorf("outcome %q", got.Outcome)
		}
		if strings.ContainsAny(got.Reply, "@\r\n") {
			t.Errorf("an address or a line break in %q", got.Reply)
		}
		if got.Outcome == workflow.Rejected && got.Code/100 != 5 || got.Server && got.Outcome != workflow.Deferred {
			t.Errorf("no such result: %+v", got)
		}
	})
}
