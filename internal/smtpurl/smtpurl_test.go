package smtpurl_test

import (
	"fmt"
	"strings"
	"testing"

	"countersign/internal/smtpurl"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		url  string
		want smtpurl.Server
	}{
		{"smtp://mx.example.com", smtpurl.Server{Host: "mx.example.com", Port: 25, Encryption: smtpurl.Mandatory}},
		{"smtp://u:p@mx.example.com", smtpurl.Server{Host: "mx.example.com", Port: 587, User: "u", Password: "p", Encryption: smtpurl.Mandatory}},
		{"smtp://u%40x:p%2F%3A%40@mx.example.com:2525/", smtpurl.Server{Host: "mx.example.com", Port: 2525, User: "u@x", Password: "p/:@", Encryption: smtpurl.Mandatory}},
		{"smtp://mx.example.com?tls=opportunistic", smtpurl.Server{Host: "mx.example.com", Port: 25, Encryption: smtpurl.Opportunistic}},
		{"smtp://mx.example.com?tls=none", smtpurl.Server{Host: "mx.example.com", Port: 25, Encryption: smtpurl.Plain}},
		{"smtp://127.0.0.1:1025", smtpurl.Server{Host: "127.0.0.1", Port: 1025, Encryption: smtpurl.Opportunistic}},
		{"smtp://LocalHost", smtpurl.Server{Host: "LocalHost", Port: 25, Encryption: smtpurl.Opportunistic}},
		{"smtp://[::1]:1025", smtpurl.Server{Host: "::1", Port: 1025, Encryption: smtpurl.Opportunistic}},
		{"smtp://u:p@localhost", smtpurl.Server{Host: "localhost", Port: 587, User: "u", Password: "p", Encryption: smtpurl.Mandatory}},
		{"smtp://user@mx.example.com", smtpurl.Server{Host: "mx.example.com", Port: 587, User: "user", Encryption: smtpurl.Mandatory}},
		{"smtps://u:p@mx.example.com", smtpurl.Server{Host: "mx.example.com", Port: 465, User: "u", Password: "p", Encryption: smtpurl.Implicit}},
	} {
		t.Run(c.url, func(t *testing.T) {
			got, err := smtpurl.Parse(c.url)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("got %#v, want %#v", got, c.want)
			}
			again, err := smtpurl.Parse(got.String())
			if again.Password = got.Password; got.User == "" && (err != nil || again != got) {
				t.Errorf("%s is read as %v, %v", got, again, err)
			}
			for _, printed := range []string{fmt.Sprintf("%v", got), fmt.Sprintf("%+v", got), fmt.Sprintf("%#v", got), fmt.Sprint(struct{ Server smtpurl.Server }{got})} {
				if got.Password != "" && strings.Contains(printed, ":"+got.Password+"@") || strings.Contains(printed, "p/:@") {
					t.Errorf("printed with its password: %s", printed)
				}
			}
		})
	}
}

func TestParse_RefusesURLsWithoutQuotingThem(t *testing.T) {
	for _, c := range []struct{ url, says string }{
		{"", "begin with smtp:// or smtps://"},
		{"mx.example.com:25", "begin with smtp:// or smtps://"},
		{"http://mx.example.com", "begin with smtp:// or smtps://"},
		{"smtp://", "name a host"},
		{"smtp://:25", "name a host"},
		{"smtp://mx.example.com/inbox", "nothing after the host"},
		{"smtp://mx.example.com#x", "nothing after the host"},
		{"smtp://:hunter2@mx.example.com", "a user if it has"},
		{"smtp://mx.example.com:0", "port"},
		{"smtp://mx.example.com:65536", "port"},
		{"smtp://mx.example.com?tls=perhaps", "mandatory, opportunistic or none"},
		{"smtp://mx.example.com?tls=implicit", "mandatory, opportunistic or none"},
		{"smtp://mx.example.com?tls=none&tls=none", "only once"},
		{"smtp://mx.example.com?starttls=yes", "except tls"},
		{"smtp://mx.example.com?tls=%zz", "question mark"},
		{"smtps://mx.example.com?tls=mandatory", "no tls option"},
		{"smtp://user:hunter2%zz@mx.example.com", "percent-encode"},
		{"smtp://user:hunter2/x@mx.example.com", "percent-encode"},
		{"smtp://user:1234/hunter2@mx.example.com", "percent-encode"},
		{"smtp://user:1234?hunter2@mx.example.com", "except tls"},
		{"smtp://user:1234?tls=hunter2@mx.example.com", "mandatory"},
		{"smtp://user:1234#hunter2@mx.example.com", "percent-encode"},
		{"smtp://user:hunter2\x7f@mx.example.com", "percent-encode"},
	} {
		t.Run(c.url, func(t *testing.T) {
			got, err := smtpurl.Parse(c.url)
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

func FuzzParse(f *testing.F) {
	f.Add("smtp://u:p@host:587?tls=mandatory")
	f.Add("smtps://[::1]")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := smtpurl.Parse(s)
		if err != nil {
			if got != (smtpurl.Server{}) {
				t.Errorf("an error and %v", got)
			}
			return
		}
		if got.Host == "" || got.Port < 1 || got.Port > 65535 || got.Encryption == "" {
			t.Errorf("read as %v", got)
		}
	})
}
