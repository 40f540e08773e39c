package mail_test

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"countersign/internal/delivery"
	"countersign/internal/smtpurl"
	"countersign/internal/test/certtest"
	"countersign/internal/test/proxytest"
	"countersign/workflow"
)

// TestPoolSend_OutcomeAtEachPhase has the server close the service, or the connection,
// at every moment of a dialogue. Only after the final dot can the mail be in
// doubt, and only a 5xx that is about the recipient ends it.
func TestPoolSend_OutcomeAtEachPhase(t *testing.T) { eachPath(t, outcomeAtEachPhase) }

func outcomeAtEachPhase(t *testing.T, w path) {
	for _, phase := range []string{"", "EHLO", "MAIL", "RCPT", "DATA", "."} {
		for reply, want := range map[string]workflow.Outcome{
			"421 4.3.2 closing&": workflow.Deferred, "452 4.3.1 no room": workflow.Deferred, drop: workflow.Deferred,
			"550 5.1.1 no such mailbox": workflow.Rejected,
		} {
			switch {
			case !w.meets(phase):
				continue
			case phase == "." && reply == drop:
				want = workflow.Unknown
			case reply == drop:
				want = w.lost()
			}
			ours := phase == "" || phase == "EHLO" || reply[0] == '5' && (phase == "MAIL" || phase == "DATA")
			if ours {
				want = workflow.Deferred // the server refuses us, and no mail of ours
			}
			t.Run(phase+" "+reply, func(t *testing.T) {
				t.Parallel()
				s := script{phase: reply}
				if phase == "EHLO" {
					s["HELO"] = reply
				}
				_, p := w.speak(t, s)
				got := send(t, p)
				if got.Outcome != want || got.Server != ours {
					t.Errorf("got %+v, want %s", got, want)
				}
			})
		}
	}
}

// TestPoolSend_QuitThatFailsChangesNothing has RSET and QUIT fail: neither is anything of a mail's.
func TestPoolSend_QuitThatFailsChangesNothing(t *testing.T) {
	for name, s := range map[string]script{
		"RSET is refused": {"RCPT": "450 4.7.1 later", "RSET": "421 bye&"}, "RSET is dropped": {"RCPT": "450 4.7.1 later", "RSET": drop},
		"QUIT is refused": {"QUIT": "500 no"}, "QUIT is dropped": {"QUIT": drop},
	} {
		t.Run(name, func(t *testing.T) {
			want := workflow.Accepted
			if s["RCPT"] != "" {
				want = workflow.Deferred
			}
			server := speak(t, s, script{})
			p := pool(t, settings(t, server.addr))
			if got := send(t, p); got.Outcome != want || got.Server {
				t.Errorf("got %+v, want %s", got, want)
			}
			if got := send(t, p); got.Outcome != workflow.Accepted {
				t.Errorf("the next mail: got %+v, want accepted", got)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPoolSend_ByteASecondEndsAtTheDeadline has the server's words arrive so slowly that no dialogue
// ends in time, and a mail's deadline holds all the same.
func TestPoolSend_ByteASecondEndsAtTheDeadline(t *testing.T) {
	server := catch(t)
	slow := proxytest.Start(t, server.addr)
	slow.Set(proxytest.Down, proxytest.Fault{PerSecond: 1})
	done := make(chan delivery.Result, 1)
	p := pool(t, settings(t, slow.Addr()))
	go func() { done <- sendWithin(t, p, short) }()
	select {
	case got := <-done:
		if got.Outcome != workflow.Deferred || !got.Server {
			t.Errorf("got %+v, want deferred, the server's trouble", got)
		}
	case <-time.After(30 * time.Second):
		t.Error("the dialogue outlived its deadline")
	}
}

// TestPoolSend_NothingGoesOutInTheClear strips STARTTLS from a server's offers, or has
// it fail, where TLS is mandatory: the server hears of no mail.
func TestPoolSend_NothingGoesOutInTheClear(t *testing.T) {
	offered := "250-raw.test\r\n250 STARTTLS"
	for name, s := range map[string]script{
		"stripped":              {},
		"refused":               {"EHLO": offered, "STARTTLS": "454 4.7.0 not now"},
		"refused for good":      {"EHLO": offered, "STARTTLS": "502 what"},
		"accepted, and no TLS":  {"EHLO": offered, "STARTTLS": "220 go&"},
		"accepted, and SMTP on": {"EHLO": offered, "STARTTLS": "220 go\r\n250 raw.test"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := speak(t, s)
			config := settings(t, server.addr)
			config.Server.Encryption, config.Server.User, config.Server.Password = smtpurl.Mandatory, "countersign", "open sesame"
			got := sendWithin(t, pool(t, config), 2*time.Second)
			if got.Outcome != workflow.Deferred || !got.Server {
				t.Errorf("got %+v, want deferred, the server's trouble", got)
			}
			for _, verb := range []string{"AUTH", "MAIL", "RCPT", "DATA"} {
				if server.heard(verb) > 0 {
					t.Errorf("the server was sent %s in the clear", verb)
				}
			}
		})
	}
}

// TestPoolSend_ExpiredCertificateIsRefused is refused if encryption is mandatory, as one for
// another name is (TestPoolSend_STARTTLS), and taken if it is opportunistic.
func TestPoolSend_ExpiredCertificateIsRefused(t *testing.T) {
	cert, roots := certtest.New(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	})
	server := catch(t, func(_ *catcher, s *smtp.Server) {
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	})
	config := settings(t, server.addr)
	config.TLS, config.Server.Encryption = &tls.Config{RootCAs: roots}, smtpurl.Mandatory
	if got := send(t, pool(t, config)); got.Outcome != workflow.Deferred || !got.Server || got.Stage != delivery.AtSTARTTLS || len(server.stored()) > 0 {
		t.Errorf("mandatory: got %+v, want deferred at STARTTLS, the server's trouble; %d mails stored", got, len(server.stored()))
	}
	config.Server.Encryption = smtpurl.Opportunistic
	if got := send(t, pool(t, config)); got.Outcome != workflow.Accepted || len(server.stored()) != 1 {
		t.Errorf("opportunistic: got %+v, want accepted; %d mails stored", got, len(server.stored()))
	}
}
