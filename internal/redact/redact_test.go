package redact

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestReply(t *testing.T) {
	for _, c := range []struct{ name, reply, want string }{
		{"nothing to hide", "2.0.0 queued as 42", "2.0.0 queued as 42"},
		{"in brackets", "<jose@example.com>: Recipient address rejected", "<…>: Recipient address rejected"},
		{"bare", "no mailbox jose@example.com here", "no mailbox <…> here"},
		{"after a colon", "RCPT TO:<Jose@Example.COM> failed", "RCPT TO:<…> failed"},
		{"quoted local part", `5.1.1 "jose maria"@example.com unknown`, "5.1.1 <…> unknown"},
		{"quoted with a quote in it", `"a\" b"@example.com unknown`, "<…> unknown"},
		{"in quotation marks", `no "jose@example.com" here`, `no "<…>" here`},
		{"address literal", "jose@[192.0.2.1] unknown", "<…> unknown"},
		{"within a URL", "see http://spf.test/why?s=mfrom;id=jose%40example.com;ip=192.0.2.1", "see http://spf.test/why?s=mfrom;<…>;ip=192.0.2.1"},
		{"rewritten", "SRS0=x=TT=example.net=jose@example.com", "<…>"},
		{"not ASCII", "josé@exämple.com and jose＠example.com", "<…> and <…>"},
		{"two at signs", "a@b@c d", "<…> d"},
		{"alone", "what @ is", "what <…> is"},
		{"several lines", "5.1.1 no\n5.1.1\tjose@example.com\r\n5.1.1 here", "5.1.1 no 5.1.1 <…> 5.1.1 here"},
		{"control characters", "a\x00b\x1b[31mc\u0085d", "a b [31mc d"},
		{"not UTF-8", "caf\xe9 jos\xe9@example.com", "caf? <…>"},
		{"secret", "listed: https://x.test/s/s3cret", "listed: https://x.test/s/<…>"},
		{"empty", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Reply(c.reply, "s3cret", ""); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func FuzzReply(f *testing.F) {
	f.Add("<jose@example.com>: no such user", "s3cret")
	f.Add(`"a b"@c %40 ＠ <>@<> "@"`, "@")
	f.Add(strings.Repeat("é", 600)+"x@y", "é")
	f.Add("\xff\xfe@\x80", "\xff")
	f.Fuzz(func(t *testing.T, reply, secret string) {
		got := Reply(reply, secret)
		if !utf8.ValidString(got) || len(got) > maxReply+len("…") {
			t.Errorf("%d bytes: %q", len(got), got)
		}
		if strings.ContainsAny(got, "@＠\r\n\t\x00") || strings.Contains(got, "%40") {
			t.Errorf("left in: %q", got)
		}
		if again := Reply(got); len(got) <= maxReply && again != got {
			t.Errorf("redacted again it changes: %q, then %q", got, again)
		}
		if len(secret) > 3 && !strings.Contains("<…>", secret) && strings.Contains(got, secret) &&
			!strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r >= 0x7f }) && !strings.ContainsAny(secret, "<>") {
			t.Errorf("the secret %q is left in %q", secret, got)
		}
	})
}
