package mail_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"countersign/internal/delivery"
	"countersign/internal/smtpurl"
	"countersign/internal/test/certtest"
	"countersign/internal/test/logtest"
	"countersign/workflow"
)

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
