package report_test

import (
	"os"
	"strings"
	"testing"
)

// shape is a message to a return path in the shape of a mail server or provider,
// and what it comes to.
type shape struct{ name, want, raw string }

// shapes reads testdata/shapes.txt: the messages, each behind a line "=== name |
// what it comes to". They were written after RFC 3464, RFC 3834 and what mail
// servers and providers are known to send; every address is an example.
func shapes(t testing.TB) (all []shape) {
	t.Helper()
	text, err := os.ReadFile("testdata/shapes.txt")
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq("\n"+string(text), "\n=== ") {
		if head, raw, ok := strings.Cut(part, "\n"); ok && head != "" {
			name, want, _ := strings.Cut(head, " | ")
			all = append(all, shape{name, want, raw})
		}
	}
	return all
}

// TestRead_ShapesOfTheWorld reads more than a hundred messages of other
// shapes than our own mail server's. Each is read for what it says, or kept.
func TestRead_ShapesOfTheWorld(t *testing.T) {
	all := shapes(t)
	if len(all) < 100 {
		t.Fatalf("%d shapes are too few", len(all))
	}
	for _, s := range all {
		for _, ends := range []string{"\n", "\r\n", "\r"} {
			t.Run(s.name, func(t *testing.T) {
				r := readReport(t, strings.ReplaceAll(s.raw, "\n", ends))
				got := strings.ReplaceAll(comesTo(r), " of .1.signature.0", "")
				if got != s.want {
					t.Errorf("got %q, want %q\n%+v", got, s.want, r.Unread)
				}
				for _, b := range r.Reports {
					if strings.Contains(b.Diagnostic, "@") {
						t.Errorf("an address is kept: %s", b.Diagnostic)
					}
				}
				if r.Unread != nil && strings.Contains(r.Unread.Subject+r.Unread.Text, "@") {
					t.Errorf("an address is kept: %+v", r.Unread)
				}
			})
		}
	}
}
