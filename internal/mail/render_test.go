package mail

import (
	"strings"
	"testing"
)

func TestPlain(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"as it is", "Owner & Söhne", "Owner & Söhne"},
		{"ASCII as it is", "Owner & Sons, (415) 555-0100", "Owner & Sons, (415) 555-0100"},
		{"empty", "", ""},
		{"ASCII with two spaces", "a  b", "a b"},
		{"ASCII with a space at its ends", " a ", "a"},
		{"a space only", " ", ""},
		{"ASCII with a control character", "a\x7fb", "a b"},
		{"long ASCII", strings.Repeat("a", 121), strings.Repeat("a", 120) + "…"},
		{"lines and gaps", " a\r\nb\t\u00a0 c\u2028d ", "a b c d"},
		{"control characters", "a\x00b\x1bc", "a b c"},
		{"turned around and hidden", "a\u202eb\u200bc\ufeff", "abc"},
		{"not UTF-8", "a\xffb", "ab"},
		{"long", strings.Repeat("é", 200), strings.Repeat("é", maxWords) + "…"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := plain(c.in); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestDomainOf(t *testing.T) {
	for address, want := range map[string]string{
		"owner@Example.COM": "example.com", `"a@b"@c.test`: "c.test", "owner": "", "": "", "owner@": "",
	} {
		if got := domainOf(address); got != want {
			t.Errorf("domainOf(%q) = %q, want %q", address, got, want)
		}
	}
}
