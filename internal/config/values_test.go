package config_test

import (
	"fmt"
	"strings"
	"testing"

	"countersign/internal/smtpurl"
)

func TestLoad_BadValues(t *testing.T) {
	for setting, texts := range map[string][]string{
		"data-dir":         {""},
		"nats-url":         {"n1:4222", "http://h", "nats://", "nats://a, nats://b", "nats://a,"},
		"nats-context":     {"a b", "../a"},
		"nats-listen":      {"", "on", "h:65536"},
		"nats-token-file":  {""},
		"nats-sync":        {"", "never", "0s", "-1s", "5"},
		"link-lifetime":    {"", "off", "0s", "999ms", "87601h"},
		"replicas":         {"", "0", "6", "1.5"},
		"smtp-url":         {"h:25", "smtp://h?pool=2", "smtps://h?tls=none", "smtp://u:p%%@h"},
		"mail-helo":        {"vm", "a b.example", "a_b.example", "192.0.2.1", "[example.com]", "[2001:db8::1]", "[IPv6:192.0.2.1]", "a..b", ".a", "[192.0.2.1", "münchen.example"},
		"smtp-ca":          {"/none.pem"},
		"mail-from":        {"me", "a@b, c@d", "<@>"},
		"mail-pool":        {"", "0", "257"},
		"mail-deadline":    {"", "999ms", "-30s", "1d", "soon"},
		"mail-in-doubt":    {"", "drop"},
		"mail-domain-rate": {"-1", "NaN", "Inf"},
		"parking-limit":    {"0", "10ms"},
		"remind-after":     {"", "0", "0s", "500ms", "1500ms", "never", "-1h", "87601h"},
		"remind-most":      {"", "-1", "101"},
		"expire-after":     {"0s", "1d"},
		"letter-requires":  {"all", "number,none", "number, title", "title,title"},
		"notify-cc":        {"signed", "canceled,", "canceled, failed", "failed,failed"},
		"public-url":       {"", "sign.example.com", "https://h/", "https://h/x", "https://h?x", "https://u@h", "ftp://h", "https://", "https://h#x"},
		"admin-listen":     {"", "h", "h:", "h:http", ":-1"},
		"admin-hosts":      {"h:8081", "a, b", "http://h", "-h", "h..x", ",", "*", "é.example"},
		"autocert":         {"", "yes"},
		"acme-directory":   {"", "http://h", "h", "https://u@h"},
		"tsa-url":          {"tsa.example.com", "ftp://h", "http://u:p@h"},
		"mail-return-path": {"x", "{mail}@example.com", "a+{mails}@example.com", "{mail}+{mail}@example.com", "a@{mail}.example.com", "abcdefghijklmnopqrstuvwxyz+{mail}@example.com", "a+{mail@example.com"},
		"webhook-ca":       {"/none.pem"},
		"webhook-allow":    {"10.0.0.0/33", "a, b", "http://h", ",", "h:80", "*.internal"},
		"trusted-proxies":  {"h", "::ffff:10.0.0.0/90", "127.0.0.1/33", "127.0.0.1, ::1", ","},
		"api-account-rate": {"", "-1"},
		"unknown-orders":   {"", "reject"},
		"log-format":       {"", "xml"},

		"nats-inbox-prefix":      {"_INBOX.>", "a.*", "a b", "_INBOX.", ".a", "a..b", "$JS.API", "authdocs", "authdocs.v1"},
		"mail-recipient-day":     {"", "-1", "1000001", "1.5", "off"},
		"mail-document-interval": {"", "0", "0s", "500ms", "-1s"},
		"mail-document-day":      {"", "-1", "1001"},
	} {
		for _, text := range texts {
			_, faults := given{args: []string{"--" + setting, text}}.load(t)
			if !strings.HasPrefix(faults, "--"+setting+": ") || strings.Contains(faults, "\n") {
				t.Errorf("%s %q: faults are %q", setting, text, faults)
			}
		}
	}
}

func TestLoad_SMTPURLIsReadByTheMailersGrammar(t *testing.T) {
	for _, url := range []string{"smtp://h", "smtps://u:p@h", "smtp://h?tls=maybe", "smtp://:p@h", "h:25"} {
		_, err := smtpurl.Parse(url)
		_, faults := given{args: []string{"--smtp-url", url}}.load(t)
		if (err == nil) != (faults == "") {
			t.Errorf("%s: the mailer says %v, config says %q", url, err, faults)
		}
	}
}

// TestReturnPath_TakesTheMarkOfAnEmail tries addresses that name the email (VERP).
func TestReturnPath_TakesTheMarkOfAnEmail(t *testing.T) {
	for _, text := range []string{"bounces@example.com", "bounces+{mail}@example.com", "b-{mail}@example.com", "abcdefghijklmnopqrstuvw+{mail}@example.com", "Bounces <b+{mail}=x@example.com>"} {
		if c := (given{args: []string{"--mail-return-path=" + text}}).mustLoad(t); c.MailReturnPath != text {
			t.Errorf("%s: got %s", text, c.MailReturnPath)
		}
	}
}

// TestLoad_MappedTrustedProxiesCountAsIPv4 is case g5, and more of its
// kind: a peer's address is compared as IPv4.
func TestLoad_MappedTrustedProxiesCountAsIPv4(t *testing.T) {
	for text, want := range map[string]string{
		"::ffff:127.0.0.0/104":            "127.0.0.0/8",
		"::ffff:127.0.0.1":                "127.0.0.1/32",
		"::FFFF:0a01:0203/112":            "10.1.0.0/16",
		"::ffff:0:0/96":                   "0.0.0.0/0",
		"fd00::1/8,::ffff:192.0.2.16/124": "fd00::/8 192.0.2.16/28",
	} {
		c := (given{args: []string{"--trusted-proxies=" + text}}).mustLoad(t)
		if got := strings.Trim(fmt.Sprint(c.TrustedProxies), "[]"); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
