package emailaddr_test

import (
	"strings"
	"testing"

	"countersign/events/emailaddr"
)

func TestNormal_OneSpellingForOneMailbox(t *testing.T) {
	for in, want := range map[string]string{
		"owner@example.com":         "owner@example.com",
		" Owner@EXAMPLE.Com\u3000":  "Owner@example.com",
		"jose@exämple.com":          "jose@xn--exmple-cua.com",
		"a@straße.de":               "a@xn--strae-oqa.de",
		`"taro"@example.com`:        "taro@example.com",
		`"a b"@example.com`:         `"a b"@example.com`,
		"josé@example.com":          "",
		"a@[127.0.0.1]":             "",
		"a@example":                 "",
		"Owner <owner@example.com>": "",
		"a@" + strings.Repeat(strings.Repeat("x", 60)+".", 5) + "com": "",
	} {
		got, ok := emailaddr.Normal(in)
		if got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %t, want %q", in, got, ok, want)
		}
		if again, _ := emailaddr.Normal(got); again != got {
			t.Errorf("%q: the normal spelling %q became %q", in, got, again)
		}
	}
}

func TestHost_ASCIIInLowerCase(t *testing.T) {
	for in, want := range map[string]string{
		"Bücher.Example":        "xn--bcher-kva.example",
		"localhost":             "localhost",
		"127.0.0.1":             "127.0.0.1",
		"::1":                   "",
		strings.Repeat("x", 64): "",
	} {
		got, err := emailaddr.Host(in)
		if err == nil && got != want || err != nil && want != "" {
			t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
		}
	}
}
