package inert_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"countersign/internal/inert"
)

func TestText_AddressesAreInert(t *testing.T) {
	for in, want := range map[string]string{
		"https://evil.example/login?a=b":         "https[:]//evil[.]example/login?a=b",
		"HTTP://EVIL.EXAMPLE":                    "HTTP[:]//EVIL[.]EXAMPLE",
		"see http://localhost/x":                 "see http[:]//localhost/x",
		"ftp://evil.example, or (www.evil.com).": "ftp[:]//evil[.]example, or (www[.]evil[.]com).",
		"www.x":                                  "www[.]x",
		"www2.intranet":                          "www2[.]intranet",
		"ｗｗｗ．evil．com":                           "ｗｗｗ[.]evil[.]com",
		"ｈｔｔｐｓ：／／evil。com":                       "ｈｔｔｐｓ[:]／／evil[.]com",
		"evil｡com evil․com evil﹒com":             "evil[.]com evil[.]com evil[.]com",
		"evil.\u200bcom, ev\u00adil.c\u2060om":   "evil[.]com, evil[.]com",
		"bücher.example, пример.рф, 例え.中国":       "bücher[.]example, пример[.]рф, 例え[.]中国",
		"xn--bcher-kva.xn--p1ai":                 "xn--bcher-kva[.]xn--p1ai",
		"💩.la and a\u0301b.co\u0301m":            "💩[.]la and a\u0301b[.]co\u0301m",
		"boss@evil.example":                      "boss@evil[.]example",
		"mailto:boss@evil.example?subject=x":     "mailto[:]boss@evil[.]example?subject=x",
		"tel:+14155550100 JavaScript:alert(1)":   "tel[:]+14155550100 JavaScript[:]alert(1)",
		"http:evil.com and https:/\\evil.com":    "http[:]evil[.]com and https[:]/\\evil[.]com",
		"10.0.0.1:8080/login":                    "10.0.0[.]1:8080/login",
		`\\evil\share`:                           `\ \evil\share`,
		"a.b.c.com/x":                            "a.b.c[.]com/x",
		"https[:]//evil[.]example":               "https[:]//evil[.]example",
		"550 5.7.1 see https://x.example/?p=1.2": "550 5.7.1 see https[:]//x[.]example/?p=1.2",
	} {
		if got := inert.Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestText_HonestTextStays(t *testing.T) {
	for _, s := range []string{
		"", "Owner", "Acme Inc., St. Louis", "e.g. this", "i.e. that, at 9 a.m. (U.S.A.)", "Dr. J. Smith, Ph.D.", "No.5, Ste. 200, version 2.0",
		"10:30, Attn: Legal", "Attn:Legal", "the server said: 550 5.1.1 no such user", "wait...what", "A/B testing and/or C:", "50% off.",
		"María Núñez, Gerente", "山田 太郎 様", "the phone 415.555.0100", "an end.", "www", "the www. is old", "tel: 5",
	} {
		if got := inert.Text(s); got != s {
			t.Errorf("Text(%q) = %q", s, got)
		}
	}
}

func TestEmail_OnlyALocalPartThatIsALinkChanges(t *testing.T) {
	for in, want := range map[string]string{
		"owner@example.com":            "owner@example.com",
		"first.last@example.com":       "first.last@example.com",
		"www.evil.com/a@example.org":   "www[.]evil[.]com/a@example[.]org",
		"evil.com/login@example.org":   "evil[.]com/login@example[.]org",
		"WWW.evil.example@example.org": "WWW[.]evil[.]example@example[.]org",
	} {
		if got := inert.Email(in); got != want {
			t.Errorf("Email(%q) = %q, want %q", in, got, want)
		}
	}
}

// linked is what programs make links of, written apart from the package: a
// scheme, www., a domain, an IPv4 address.
var linked = []*regexp.Regexp{
	regexp.MustCompile(`(?i)[\p{L}\d][:：][/\\／＼]`),
	regexp.MustCompile(`(?i)(?:^|[^a-z0-9])(https?|ftp|mailto|tel|sms|javascript|file):\S`),
	regexp.MustCompile(`(?i)www\d?[.。．｡․][^\s.。．｡․]`),
	regexp.MustCompile(`(?i)[\p{L}\p{N}_-][.。．｡․](com|net|org|io|co|la|example|xn--[a-z0-9-]+)`),
	regexp.MustCompile(`[\p{L}\p{N}_-][.。．｡․]\p{L}\p{L}`),
	regexp.MustCompile(`\d+\.\d+\.\d+\.\d+`),
	regexp.MustCompile(`\\\\`),
}

// judge fails the test if anything in the text would become a link.
func judge(t *testing.T, in string) {
	t.Helper()
	out := inert.Text(in)
	for _, l := range linked {
		if m := l.FindString(out); m != "" {
			t.Errorf("Text(%q) = %q, and %q becomes a link", in, out, m)
		}
	}
	if again := inert.Text(out); again != out {
		t.Errorf("Text(%q) = %q, and of that %q", in, out, again)
	}
}

// pieces are what addresses, and tricks with them, are made of.
var pieces = []string{
	"http", "HTTPS", "ftp", "mailto", "javascript", "file", "tel", ":", ":", "：", "/", "//", "\\", "／", "www", "ｗｗｗ", "www2", ".", ".", "。", "．", "｡", "․",
	"evil", "com", "example", "рф", "中国", "xn--p1ai", "bücher", "a", "1", "10", "💩", "@", "-", "_", " ", ",", "[", "]", "(", ")", "?", "#", "%2e",
	"\u200b", "\u200d", "\u2060", "\u00ad", "\u202e", "\u0301", "\ufe0f", "\n", "<", ">", "&", "\ufffd",
}

func TestText_NothingOfWhichALinkIsMadeRemains(t *testing.T) {
	rng := rand.New(rand.NewPCG(10, 7))
	for range 50_000 {
		var b strings.Builder
		for range 1 + rng.IntN(12) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		judge(t, b.String())
		if t.Failed() {
			return
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"https://www.evil.example/x", "evil。com", "10.0.0.1", "Acme Inc., St. Louis", "\xff.com"} {
		f.Add(s)
	}
	f.Fuzz(judge)
}
