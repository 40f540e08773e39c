package mail_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/internal/mail"
)

func TestParseURL(t *testing.T) {
	for _, c := range []struct {
		url  string
		want mail.Server
	}{
		{"smtp://mx.example.com", mail.Server{Host: "mx.example.com", Port: 25, Encryption: mail.Mandatory}},
		{"smtp://u:p@mx.example.com", mail.Server{Host: "mx.example.com", Port: 587, User: "u", Password: "p", Encryption: mail.Mandatory}},
		{"smtp://u%40x:p%2F%3A%40@mx.example.com:2525/", mail.Server{Host: "mx.example.com", Port: 2525, User: "u@x", Password: "p/:@", Encryption: mail.Mandatory}},
		{"smtp://mx.example.com?tls=opportunistic", mail.Server{Host: "mx.example.com", Port: 25, Encryption: mail.Opportunistic}},
		{"smtp://mx.example.com?tls=none", mail.Server{Host: "mx.example.com", Port: 25, Encryption: mail.Plain}},
		{"smtp://127.0.0.1:1025", mail.Server{Host: "127.0.0.1", Port: 1025, Encryption: mail.Opportunistic}},
		{"smtp://LocalHost", mail.Server{Host: "LocalHost", Port: 25, Encryption: mail.Opportunistic}},
		{"smtp://[::1]:1025", mail.Server{Host: "::1", Port: 1025, Encryption: mail.Opportunistic}},
		{"smtp://u:p@localhost", mail.Server{Host: "localhost", Port: 587, User: "u", Password: "p", Encryption: mail.Mandatory}},
		{"smtp://user@mx.example.com", mail.Server{Host: "mx.example.com", Port: 587, User: "user", Encryption: mail.Mandatory}},
		{"smtps://u:p@mx.example.com", mail.Server{Host: "mx.example.com", Port: 465, User: "u", Password: "p", Encryption: mail.Implicit}},
	} {
		t.Run(c.url, func(t *testing.T) {
			got, err := mail.ParseURL(c.url)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("got %#v, want %#v", got, c.want)
			}
			again, err := mail.ParseURL(got.String())
			if again.Password = got.Password; got.User == "" && (err != nil || again != got) {
				t.Errorf("%s is read as %v, %v", got, again, err)
			}
			for _, printed := range []string{fmt.Sprintf("%v", got), fmt.Sprintf("%+v", got), fmt.Sprintf("%#v", got), fmt.Sprint(mail.Config{Server: got})} {
				if got.Password != "" && strings.Contains(printed, ":"+got.Password+"@") || strings.Contains(printed, "p/:@") {
					t.Errorf("printed with its password: %s", printed)
				}
			}
		})
	}
}

func TestParseURLRefuses(t *testing.T) {
	for _, c := range []struct{ url, says string }{
		{"", "neither smtp:// nor smtps://"},
		{"mx.example.com:25", "neither smtp:// nor smtps://"},
		{"http://mx.example.com", "neither smtp:// nor smtps://"},
		{"smtp://", "no host"},
		{"smtp://:25", "no host"},
		{"smtp://mx.example.com/inbox", "follows the host"},
		{"smtp://mx.example.com#x", "follows the host"},
		{"smtp://:hunter2@mx.example.com", "go together"},
		{"smtp://mx.example.com:0", "port"},
		{"smtp://mx.example.com:65536", "port"},
		{"smtp://mx.example.com?tls=perhaps", "mandatory, opportunistic or none"},
		{"smtp://mx.example.com?tls=implicit", "mandatory, opportunistic or none"},
		{"smtp://mx.example.com?tls=none&tls=none", "twice"},
		{"smtp://mx.example.com?starttls=yes", "other than tls"},
		{"smtp://mx.example.com?tls=%zz", "cannot be read"},
		{"smtps://mx.example.com?tls=mandatory", "leave out tls"},
		{"smtp://user:hunter2%zz@mx.example.com", "percent-encoding"},
		{"smtp://user:hunter2/x@mx.example.com", "percent-encoding"},
		{"smtp://user:1234/hunter2@mx.example.com", "percent-encoding"},
		{"smtp://user:1234?hunter2@mx.example.com", "other than tls"},
		{"smtp://user:1234?tls=hunter2@mx.example.com", "mandatory"},
		{"smtp://user:1234#hunter2@mx.example.com", "percent-encoding"},
		{"smtp://user:hunter2\x7f@mx.example.com", "percent-encoding"},
	} {
		t.Run(c.url, func(t *testing.T) {
			got, err := mail.ParseURL(c.url)
			if err == nil {
				t.Fatalf("read as %v", got)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %q does not say %q", err, c.says)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats the password: %s", err)
			}
		})
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("smtp://u:p@host:587?tls=mandatory")
	f.Add("smtps://[::1]")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := mail.ParseURL(s)
		if err != nil {
			if got != (mail.Server{}) {
				t.Errorf("an error and %v", got)
			}
			return
		}
		if got.Host == "" || got.Port < 1 || got.Port > 65535 || got.Encryption == "" {
			t.Errorf("read as %v", got)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	noKey := filepath.Join(t.TempDir(), "none.pem")
	badKey := filepath.Join(t.TempDir(), "bad.pem")
	if err := os.WriteFile(badKey, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*mail.Config)
		says   string
	}{
		{"no sender", func(c *mail.Config) { c.From = "" }, "sender"},
		{"a sender that is not ASCII", func(c *mail.Config) { c.From = "josé@example.com" }, "sender"},
		{"a sender of two lines", func(c *mail.Config) { c.From = "Team\r\nBcc: eve@example.net <loa@example.com>" }, "sender"},
		{"a sender of two encoded lines", func(c *mail.Config) { c.From = "=?utf-8?q?Team=0D=0ABcc:?= <loa@example.com>" }, "sender"},
		{"dkim with a domain too long to sign", func(c *mail.Config) {
			c.DKIM = &mail.DKIM{Domain: strings.Repeat("a", 71), Selector: "s", KeyFile: badKey}
		}, "70 characters"},
		{"no mailbox to reply to", func(c *mail.Config) { c.ReplyTo = "nobody" }, "reply-to"},
		{"no mailbox to report to", func(c *mail.Config) { c.ReturnPath = "nobody" }, "return path"},
		{"no pool", func(c *mail.Config) { c.Pool = 0 }, "pool"},
		{"no link", func(c *mail.Config) { c.Link = nil }, "link"},
		{"negative idle", func(c *mail.Config) { c.Idle = -time.Second }, "negative"},
		{"helo of two lines", func(c *mail.Config) { c.HELO = "a\r\nQUIT" }, "helo"},
		{"a user without a password or a token", func(c *mail.Config) { c.Server.User = "u" }, "smtp-oauth-token-file"},
		{"a token without a user", func(c *mail.Config) { c.TokenFile = "token" }, "smtp://user@host"},
		{"no host", func(c *mail.Config) { c.Server.Host = "" }, "host"},
		{"no such encryption", func(c *mail.Config) { c.Server.Encryption = "rot13" }, "encryption"},
		{"dkim without selector", func(c *mail.Config) { c.DKIM = &mail.DKIM{Domain: "example.com", KeyFile: badKey} }, "selector"},
		{"dkim with a tag in the domain", func(c *mail.Config) { c.DKIM = &mail.DKIM{Domain: "x; l=0", Selector: "s", KeyFile: badKey} }, "plain names"},
		{"dkim without a file", func(c *mail.Config) { c.DKIM = &mail.DKIM{Domain: "example.com", Selector: "s", KeyFile: noKey} }, "none.pem"},
		{"dkim without a key", func(c *mail.Config) { c.DKIM = &mail.DKIM{Domain: "example.com", Selector: "s", KeyFile: badKey} }, "bad.pem"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := settings(t, "127.0.0.1:1")
			c.change(&config)
			if _, err := mail.New(config); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v does not say %q", err, c.says)
			}
		})
	}
}

func TestNewDialsNothing(t *testing.T) {
	server := catch(t)
	p := pool(t, settings(t, server.addr))
	if diff := cmp.Diff([]int{1, 0}, []int{p.Size(), server.connections()}); diff != "" {
		t.Errorf("size and connections (-want +got):\n%s", diff)
	}
}
