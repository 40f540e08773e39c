package catcher

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const mixed = "Subject: x\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\npreamble\r\n" +
	"--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n" +
	"--i\r\nContent-Type: text/plain\r\n\r\ninner\r\n--i\r\nContent-Type: text/html\r\n\r\n<p>inner\r\n--i--\r\n" +
	"--o\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nattached\r\n" +
	"--o\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n--o--\r\n"

func TestParse_Parts(t *testing.T) {
	for _, c := range []struct {
		name, raw           string
		subject, text, html string
	}{
		{"plain", "Subject: hello\r\n\r\nline\r\nline\r\n", "hello", "line\nline\n", ""},
		{"bare line feeds", "Subject: hello\n\nline\nline\n", "hello", "line\nline\n", ""},
		{"HTML only", "Content-Type: text/html; charset=UTF-8\r\n\r\n<p>hi", "", "", "<p>hi"},
		{"parts in parts", mixed, "x", "inner", "<p>inner"},
		{"attachment first", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment\r\n\r\nno\r\n--b\r\n\r\nyes\r\n--b--\r\n", "", "yes", ""},
		{"only the first text", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n", "", "one", ""},
		{"quoted-printable", "Content-Transfer-Encoding: Quoted-Printable\r\n\r\nGr=C3=BC=C3=9Fe=\r\n!\r\n", "", "Grüße!\n", ""},
		{"base64 over lines", "Content-Transfer-Encoding: base64\r\n\r\naGVs\r\nbG8=\r\n", "", "hello", ""},
		{"ISO 8859-1", "Content-Type: text/plain; charset=ISO-8859-1\r\n\r\nGr\xfc\xdfe", "", "Grüße", ""},
		{"folded and encoded subject", "Subject: =?utf-8?b?R3LDvA==?=\r\n =?iso-8859-1?q?=DFe?=\r\n\r\n", "Grüße", "", ""},
		{"subject in an unknown charset", "Subject: =?klingon?q?abc?=\r\n\r\n", "=?klingon?q?abc?=", "", ""},
		{"subject that is not UTF-8", "Subject: a\xffb\r\n\r\n", "a�b", "", ""},
		{"text that is not UTF-8", "\r\na\xff\xfeb", "", "a�b", ""},
		{"no header", "no header here", "", "no header here", ""},
		{"nothing", "", "", "", ""},
		{"boundary missing", "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx\r\n", "", "", ""},
		{"end missing", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhalf", "", "half", ""},
		{"broken part header", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nbroken\r\n\r\nx\r\n--b--\r\n", "", "", ""},
		{"broken base64", "Content-Transfer-Encoding: base64\r\n\r\naGVs§§§", "", "hel", ""},
		{"broken quoted-printable", "Content-Transfer-Encoding: quoted-printable\r\n\r\nok\r\n=ZZ\r\n", "", "ok\n=ZZ\n", ""},
		{"broken content type", "Content-Type: ;;;\r\n\r\nstill text", "", "still text", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := Mail{Subject: c.subject, Text: c.text, HTML: c.html, Raw: []byte(c.raw)}
			if diff := cmp.Diff(want, parse([]byte(c.raw)), cmpopts.IgnoreFields(Mail{}, "Header")); diff != "" {
				t.Errorf("mail (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParse_FollowsNestedPartsToALimit(t *testing.T) {
	nested := func(depth int) string {
		head, tail := "Content-Type: text/plain\r\n\r\ndeep\r\n", ""
		for range depth {
			// The same boundary on every level would end the outermost part.
			b := strings.Repeat("b", len(tail)+1)
			head = "Content-Type: multipart/mixed; boundary=" + b + "\r\n\r\n--" + b + "\r\n" + head + "--" + b + "--\r\n"
			tail += "x"
		}
		return head
	}
	if m := parse([]byte(nested(maxDepth))); m.Text != "deep" {
		t.Errorf("at the last depth: got %q", m.Text)
	}
	if m := parse([]byte(nested(maxDepth + 1))); m.Text != "" {
		t.Errorf("past the last depth: got %q", m.Text)
	}
	wide := func(parts int) string {
		return "Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
			strings.Repeat("--b\r\nContent-Type: image/png\r\n\r\n\r\n", parts-1) + "--b\r\n\r\nlast\r\n--b--\r\n"
	}
	if m := parse([]byte(wide(maxParts))); m.Text != "last" {
		t.Errorf("the last part: got %q", m.Text)
	}
	if m := parse([]byte(wide(maxParts + 1))); m.Text != "" {
		t.Errorf("the part past the last: got %q", m.Text)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "Subject: x\r\n\r\nhello", mixed, mixed[:len(mixed)/2], "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n",
		"Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: base64\r\n\r\n/////w==",
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n=\r\n=C3=\r\n=ZZ", "Subject: =?utf-8?q?=FF?=\r\n\r\n", "\xc6:",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := parse(raw)
		for name, s := range map[string]string{"text": m.Text, "HTML": m.HTML, "subject": m.Subject, "message id": m.MessageID} {
			if !utf8.ValidString(s) {
				t.Errorf("%s is not UTF-8: %q", name, s)
			}
		}
		for _, f := range fields(m) {
			if !utf8.ValidString(f.Name + f.Value) {
				t.Errorf("field is not UTF-8: %q", f)
			}
		}
		var text strings.Builder
		for _, p := range pieces(m.Text) {
			text.WriteString(p.Text)
		}
		if text.String() != m.Text {
			t.Errorf("the text with links is %q, want %q", text.String(), m.Text)
		}
		topLinks(m.HTML)
	})
}

func TestMails_OldestAreDropped(t *testing.T) {
	megabytes := func(n int) []byte { return make([]byte, n<<20) }
	for _, c := range []struct {
		name        string
		raw         []byte
		send, kept  int
		first, last int
	}{
		{"too many", nil, keepMails + 7, keepMails, 8, keepMails + 7},
		{"too large", megabytes(100), 5, 2, 4, 5},
		{"one that is too large by itself", megabytes(300), 2, 1, 2, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			box := &Catcher{caught: make(chan struct{})}
			for range c.send {
				box.store(Mail{Raw: c.raw, At: time.Unix(0, 0)})
			}
			mails := box.Mails()
			if len(mails) != c.kept || mails[0].ID != c.first || mails[len(mails)-1].ID != c.last {
				t.Errorf("kept %d, from %d to %d", len(mails), mails[0].ID, mails[len(mails)-1].ID)
			}
			if box.Count() != c.send {
				t.Errorf("counted %d, want %d", box.Count(), c.send)
			}
			if err := box.Wait(t.Context(), c.send); err != nil {
				t.Error(err)
			}
			if _, ok := box.mail(c.first - 1); ok {
				t.Error("a mail that was let go is found")
			}
			if m, ok := box.mail(c.first); !ok || m.ID != c.first {
				t.Errorf("the oldest kept mail is not found: %v", m.ID)
			}
			size := 0
			for _, m := range mails {
				size += m.size()
			}
			if size != box.bytes {
				t.Errorf("counts %d bytes, has %d", box.bytes, size)
			}
		})
	}
}
