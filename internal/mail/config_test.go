package mail_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/internal/mail"
)

func TestNew_RefusesBadSettings(t *testing.T) {
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
		{"dkim with a domain too long for DNS", func(c *mail.Config) {
			c.DKIM = &mail.DKIM{Domain: strings.Repeat("a.", 120) + "a", Selector: "s", KeyFile: badKey}
		}, "at most 253"},
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

func TestNew_DialsNothing(t *testing.T) {
	server := catch(t)
	p := pool(t, settings(t, server.addr))
	if diff := cmp.Diff([]int{1, 0}, []int{p.Size(), server.connections()}); diff != "" {
		t.Errorf("size and connections (-want +got):\n%s", diff)
	}
}
