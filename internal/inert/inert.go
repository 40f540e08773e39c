// Package inert disables links in text that others wrote, for emails: programs
// that show an email turn everything that looks like a link into one, so that
// an email of ours could lead to a stranger's page.
package inert

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Text returns s without anything that programs make a link of: URLs, schemes
// such as mailto:, names that begin with www., domains, IPv4 addresses and
// Windows shares. The characters that would make it a link are put in brackets,
// which hardly disturb people: "https[:]//www[.]example[.]com". Other text does
// not change, except that format characters (Unicode's Cf), which hide and
// reorder text, are removed. Applying Text to its own result changes nothing.
func Text(s string) string {
	if !strings.ContainsFunc(s, notable) {
		return s
	}
	in := []rune(s)
	in = keep(in)
	var out strings.Builder
	for i, r := range in {
		switch {
		case isDot(r) && links(in, i):
			out.WriteString("[.]")
		case isColon(r) && opens(in, i):
			out.WriteString("[:]")
		case isBackslash(r) && i > 0 && isBackslash(in[i-1]):
			out.WriteString(" " + string(r))
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// notable tells the characters at which Text looks closer: what is not ASCII, and
// the dots, colons and backslashes of ASCII.
func notable(r rune) bool { return r > unicode.MaxASCII || r == '.' || r == ':' || r == '\\' }

// Email returns an email address unchanged, unless programs would show its
// local part as a link, as in www.example.com/a@example.org; then it returns
// Text of it.
func Email(address string) string {
	local, _, _ := strings.Cut(address, "@")
	if strings.ContainsAny(local, `/\:`) || strings.HasPrefix(strings.ToLower(local), "www") {
		return Text(address)
	}
	return address
}

// keep leaves out format characters.
func keep(in []rune) []rune {
	out := in[:0]
	for _, r := range in {
		if !unicode.Is(unicode.Cf, r) {
			out = append(out, r)
		}
	}
	return out
}

// isDot reports whether programs take r for the dot of a domain: those of
// UTS 46, section 2.3, and what looks the same to NFKC.
func isDot(r rune) bool { return strings.ContainsRune(".。．｡․﹒", r) }

func isColon(r rune) bool { return strings.ContainsRune(":：﹕︓", r) }

func isSlash(r rune) bool { return strings.ContainsRune(`/\／＼⁄∕﹨`, r) }

func isBackslash(r rune) bool { return strings.ContainsRune(`\＼﹨`, r) }

// word reports whether r can be part of a domain's label, or of a scheme.
func word(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) || r == '-' || r == '_'
}

func letter(r rune) bool { return unicode.IsLetter(r) || unicode.IsMark(r) }

// links reports whether programs take the text around the dot at i for a
// domain. A last label of one ASCII letter makes no domain, so that "U.S.A."
// and "e.g." stay, and neither does one that begins with a digit.
func links(in []rune, i int) bool {
	before, after := in[:i], in[i+1:]
	if len(before) == 0 || len(after) == 0 || unicode.IsSpace(after[0]) || isDot(after[0]) {
		return false
	}
	last := before[len(before)-1]
	if unicode.IsSpace(last) || isDot(last) || last == '[' {
		return false
	}
	if ending(before, www) {
		return true
	}
	if letter(after[0]) {
		return after[0] > unicode.MaxASCII || len(after) > 1 && word(after[1]) && !unicode.IsDigit(after[1])
	}
	return quad(in, i)
}

// ending reports whether a text ends in an ASCII word that is wanted, in any
// case: as it is, or after NFKC, which knows letters of other widths.
func ending(in []rune, wanted func(string) bool) bool {
	i := len(in)
	for i > 0 && word(in[i-1]) {
		i--
	}
	s := string(in[i:])
	return wanted(lastWord(s)) || wanted(lastWord(norm.NFKC.String(s)))
}

// lastWord returns the ASCII letters and digits at the end of a text, in lower
// case.
func lastWord(s string) string {
	i := len(s)
	for i > 0 && s[i-1] < unicode.MaxASCII && word(rune(s[i-1])) && s[i-1] != '-' && s[i-1] != '_' {
		i--
	}
	return strings.ToLower(s[i:])
}

func www(s string) bool { return strings.HasSuffix(strings.TrimRight(s, "0123456789"), "www") }

func scheme(s string) bool { return schemes[s] }

// quad reports whether the dot at i is the last of four numbers.
func quad(in []rune, i int) bool {
	if !unicode.IsDigit(in[i-1]) || !unicode.IsDigit(in[i+1]) {
		return false
	}
	dots := 0
	for j := i - 1; j >= 0 && (unicode.IsDigit(in[j]) || isDot(in[j])); j-- {
		if isDot(in[j]) {
			dots++
		}
	}
	return dots >= 2
}

// schemes are those that programs make links of without slashes behind.
var schemes = map[string]bool{
	"mailto": true, "tel": true, "sms": true, "smsto": true, "mms": true, "callto": true, "facetime": true, "sip": true, "sips": true,
	"xmpp": true, "skype": true, "whatsapp": true, "im": true, "news": true, "geo": true, "maps": true, "magnet": true, "bitcoin": true,
	"http": true, "https": true, "ftp": true, "sftp": true, "file": true, "javascript": true, "vbscript": true, "data": true, "blob": true,
	"about": true, "intent": true, "cid": true, "mid": true, "urn": true, "webcal": true, "ssh": true,
}

// opens reports whether the colon at i ends a scheme.
func opens(in []rune, i int) bool {
	after := in[i+1:]
	if len(after) == 0 || unicode.IsSpace(after[0]) {
		return false
	}
	return isSlash(after[0]) || ending(in[:i], scheme)
}
