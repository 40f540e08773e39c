package mail

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"countersign/internal/private"
	"countersign/internal/smtpurl"
)

// mechanism is a way to log in (RFC 4954).
type mechanism struct {
	name  string
	bare  bool // the server gets the secret itself
	token bool // it takes an OAuth token in place of a password
	start func(d *dialer, l *link, secret string) smtp.Auth
}

// mechanisms are those that can be used, the best first.
var mechanisms = []mechanism{
	{"SCRAM-SHA-256", false, false, func(d *dialer, _ *link, secret string) smtp.Auth {
		return smtp.ScramSHA256Auth(d.server.User, secret)
	}},
	{"PLAIN", true, false, func(d *dialer, _ *link, secret string) smtp.Auth {
		return smtp.PlainAuth("", d.server.User, secret, d.server.Host, true)
	}},
	{"LOGIN", true, false, func(d *dialer, _ *link, secret string) smtp.Auth {
		return smtp.LoginAuth(d.server.User, secret, d.server.Host, true)
	}},
	{"SCRAM-SHA-1", false, false, func(d *dialer, _ *link, secret string) smtp.Auth {
		return smtp.ScramSHA1Auth(d.server.User, secret)
	}},
	{"CRAM-MD5", false, false, func(d *dialer, _ *link, secret string) smtp.Auth {
		return smtp.CRAMMD5Auth(d.server.User, secret)
	}},
	{"NTLM", false, false, func(d *dialer, _ *link, secret string) smtp.Auth {
		return smtp.NTLMAuth(d.server.User, secret, "")
	}},
	{"SCRAM-SHA-256-PLUS", false, false, func(d *dialer, l *link, secret string) smtp.Auth {
		return smtp.ScramSHA256PlusAuth(d.server.User, secret, l.state)
	}},
	{"XOAUTH2", true, true, func(d *dialer, _ *link, secret string) smtp.Auth {
		return smtp.XOAuth2Auth(d.server.User, secret)
	}},
}

// login authenticates, if the server's URL has a user. The error names what the
// server offers if there is no mechanism in common.
func (d *dialer) login(ctx context.Context, l *link) error {
	if d.server.User == "" {
		return nil
	}
	_, list := l.client.Extension("AUTH")
	offered := strings.Fields(strings.ToUpper(list))
	safe := l.proven || d.server.Encryption == smtpurl.Plain || d.server.Local()
	var known []string
	hidden := false // a mechanism is left out because the secret would be shown
	for _, m := range mechanisms {
		if m.token != (d.tokens != nil) || strings.HasSuffix(m.name, "-PLUS") && l.state == nil {
			continue
		}
		known = append(known, m.name)
		if !slices.Contains(offered, m.name) {
			continue
		}
		if m.bare && !safe {
			hidden = true
			continue
		}
		return d.authenticate(ctx, l, m)
	}
	switch {
	case hidden:
		return errors.New("the password or token is not sent: the connection is in the clear, or the server's certificate is not trusted; " +
			"set tls=mandatory in smtp-url, and smtp-ca if the authority is a private one")
	case len(offered) == 0:
		return errors.New("the server offers no AUTH on this connection, and smtp-url has a user: leave the user out, or check host, port and tls")
	case d.tokens == nil && slices.Contains(offered, "XOAUTH2"):
		return fmt.Errorf("no AUTH mechanism in common: the server offers %s; with a password Countersign can use %s; "+
			"for XOAUTH2 set smtp-oauth-token-file or smtp-oauth-token-command", strings.Join(offered, ", "), strings.Join(known, ", "))
	}
	return fmt.Errorf("no AUTH mechanism in common: the server offers %s; Countersign can use %s", strings.Join(offered, ", "), strings.Join(known, ", "))
}

func (d *dialer) authenticate(ctx context.Context, l *link, m mechanism) error {
	secret := d.server.Password
	if m.token {
		var err error
		if secret, err = d.tokens.get(ctx); err != nil {
			return err
		}
	}
	err := l.client.Auth(m.start(d, l, secret))
	if err != nil && m.token {
		d.tokens.forget()
	}
	return err
}

// tokens gets OAuth 2.0 access tokens, which live for about an hour: from a file
// that somebody keeps fresh, or from a command that prints one.
type tokens struct {
	file, command string

	mu  sync.Mutex
	got string
	at  time.Time // of got
}

// maxToken is how many bytes a token file has at most: access tokens have a few
// thousand.
const maxToken = 64 << 10

// tokenKept is how long a command's token is used again.
const tokenKept = time.Minute

// newTokens returns nil if no token is used.
func newTokens(c Config) *tokens {
	if c.TokenFile == "" && c.TokenCommand == "" {
		return nil
	}
	return &tokens{file: c.TokenFile, command: c.TokenCommand}
}

// get returns a token. It fails if other users can read or change the file
// (private.Read). Its error has nothing of the token, nor of what the command
// printed.
func (t *tokens) get(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.got != "" && time.Since(t.at) < tokenKept {
		return t.got, nil
	}
	source := "smtp-oauth-token-file"
	var raw []byte
	var err error
	if t.file != "" {
		raw, err = private.Read(t.file, maxToken)
	} else {
		source = "smtp-oauth-token-command"
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", t.command)
		cmd.WaitDelay = time.Second
		raw, err = cmd.Output()
	}
	if err != nil {
		return "", fmt.Errorf("get the OAuth token by %s: %w", source, err)
	}
	token := strings.TrimSpace(string(raw))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("get the OAuth token by %s: it must give one token, on one line", source)
	}
	if t.file == "" {
		t.got, t.at = token, time.Now()
	}
	return token, nil
}

// forget has the next get ask again: the server refused the token.
func (t *tokens) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.got = ""
}
