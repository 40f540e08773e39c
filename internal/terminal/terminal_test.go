package terminal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"countersign/internal/terminal"
)

func TestEscape_WhatSteersIsWritten(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"plain", "Olivia O'Brien <o@example.com> 100%", "Olivia O'Brien <o@example.com> 100%"},
		{"letters of the world", "Þórr 東京 Ελλάδα नमस्ते 🎉", "Þórr 東京 Ελλάδα नमस्ते 🎉"},
		{"a backslash stays", `C:\new`, `C:\new`},
		{"line feed", "a\nsigner  SHA-256 00", `a\nsigner  SHA-256 00`},
		{"carriage return and tab", "a\r\tb", `a\r\tb`},
		{"C0", "\x00\x07\x08\x1b[2J", `\x00\x07\x08\x1b[2J`},
		{"DEL", "a\x7f", `a\x7f`},
		{"C1 as UTF-8", "\u0080\u0085\u009b31m\u009d0;x\u009c", `\u0080\u0085\u009b31m\u009d0;x\u009c`},
		{"C1 as bytes", "\x9b31m\x85", `\x9b31m\x85`},
		{"not UTF-8", "a\xff\xc3(\xed\xa0\x80\xc0\x80", `a\xff\xc3(\xed\xa0\x80\xc0\x80`},
		{"the replacement character itself", "\ufffd", "\ufffd"},
		{"bidi", "\u202egpj\u202c \u2066x\u2069 \u200e\u061c", `\u202egpj\u202c \u2066x\u2069 \u200e\u061c`},
		{"separators", "a\u2028b\u2029c", `a\u2028b\u2029c`},
		{"zero width", "pay\u200bpal\u200d\u2060\ufeff\u00ad", `pay\u200bpal\u200d\u2060\ufeff\u00ad`},
		{"tags", "\U000e0001\U000e0041", `\U000e0001\U000e0041`},
		{"variation selectors", "a\ufe0fb\U000e0100\u180b", `a\ufe0fb\U000e0100\u180b`},
		{"letters that are drawn as nothing", "\u3164\u115f\uffa0\u034f\u2800", `\u3164\u115f\uffa0\u034f\u2800`},
		{"other blanks", "a\u00a0b\u3000c\u2003", `a\u00a0b\u3000c\u2003`},
		{"private use and nobody's", "\ue000\U000f0000\U0010ffff", `\ue000\U000f0000\U0010ffff`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := terminal.Escape(tt.text); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestEscape_EveryRuneAndByte goes through all there are: what is left never
// steers, and escaping twice changes nothing.
func TestEscape_EveryRuneAndByte(t *testing.T) {
	for r := range utf8.MaxRune + 1 {
		if r >= 0xd800 && r < 0xe000 {
			continue
		}
		got := terminal.Escape(string(r))
		if got == string(r) {
			if r < ' ' || r >= 0x7f && r <= 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202f || r >= 0x2066 && r <= 0x2069 || r >= 0xe0000 {
				t.Errorf("%U passes", r)
			}
		} else if strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) || terminal.Escape(got) != got {
			t.Errorf("%U becomes %q", r, got)
		}
	}
	for b := 0x80; b <= 0xff; b++ {
		if got, want := terminal.Escape(string([]byte{byte(b)})), fmt.Sprintf(`\x%02x`, b); got != want {
			t.Errorf("byte %x becomes %q", b, got)
		}
	}
}

func TestShort_CutsWhatIsEscaped(t *testing.T) {
	for text, want := range map[string]string{"abcd": "abcd", "abcde": "abc…", "é東🎉xx": "é東🎉…", "\n\n\n": `\n\…`, "a   ": `a \…`, "": ""} {
		if got := terminal.Short(text, 4); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// hostile is what may stand in one value.
const hostile = "x\nsigner\tSHA-256 00\r\x1b[2J\u009b2J\u202e\u2028\U000e0041\ufe0f\xff\x7f"

func TestPrinterLinef_IsOneLineWhateverTheValues(t *testing.T) {
	var b strings.Builder
	p := terminal.New(&b)
	if err := errors.Join(p.Linef("%s of %v", hostile, errors.New(hostile)), p.Linef(""), p.Linef("%d", 7)); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(b.String(), "\n"); len(lines) != 4 || strings.ContainsAny(b.String(), "\x1b\r\t\u009b\u202e\u2028\x7f") {
		t.Errorf("it prints %q", b.String())
	}
}

func TestPrinterError_JoinedErrorsHaveALineEachAndOthersOne(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"one", errors.New("a\nb"), "p: a\\nb\n"},
		{"joined", errors.Join(errors.New("a"), errors.New("b\nc")), "p: a\np: b\\nc\n"},
		{"joined in joined", errors.Join(errors.Join(errors.New("a"), errors.New("b")), errors.New("c")), "p: a\np: b\np: c\n"},
		{"joined, with the same words around", usage{errors.Join(errors.New("a"), errors.New("b"))}, "p: a\np: b\n"},
		{"joined, with more words around", fmt.Errorf("x: %w", errors.Join(errors.New("a"), errors.New("b"))), "p: x: a\\nb\n"},
		{"two in one sentence", fmt.Errorf("%w: %w", errors.New("a"), errors.New("b")), "p: a: b\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			if err := terminal.New(&b).Error("p: ", tt.err); err != nil || b.String() != tt.want {
				t.Errorf("it prints %q, want %q; %v", b.String(), tt.want, err)
			}
		})
	}
}

type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

func TestTable_ColumnsAreAlignedAndValuesStayInTheirs(t *testing.T) {
	var b strings.Builder
	table := terminal.New(&b).Table("NAME", "N", "REASON")
	table.Row("Olivia", 1, "plain")
	table.Row("東京", 22, "two columns a letter")
	table.Row("a\nb", 3, "x  y ")
	table.Row("e\u0301", 4, hostile)
	table.Section("ORDER", "STATUS")
	table.Row("HR1  signed", "  open")
	table.Row("", "")
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	want := `NAME    N   REASON
Olivia  1   plain
東京    22  two columns a letter
a\nb    3   x \x20y\x20
é       4   x\nsigner\tSHA-256 00\r\x1b[2J\u009b2J\u202e\u2028\U000e0041\ufe0f\xff\x7f

ORDER           STATUS
HR1 \x20signed  \x20\x20open
                `
	if got := b.String(); got != strings.Replace(want, "é ", "e\u0301 ", 1)+"\n" {
		t.Errorf("it prints\n%s\nwant\n%s", got, want)
	}
}

func TestPrinterTabs_SeparatesOnlyItsValues(t *testing.T) {
	var b strings.Builder
	if err := terminal.New(&b).Tabs("a\tb", 7, "c\nd  e"); err != nil || b.String() != "a\\tb\t7\tc\\nd \\x20e\n" {
		t.Errorf("it prints %q, %v", b.String(), err)
	}
}

func TestPrinterWrite_KeepsLineFeedsAndTabsOnly(t *testing.T) {
	var b strings.Builder
	if n, err := io.WriteString(terminal.New(&b), "a\n\tb\x1b[2J\u009b\r\n"); err != nil || n != 12 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if want := "a\n\tb\\x1b[2J\\u009b\\r\n"; b.String() != want {
		t.Errorf("it prints %q, want %q", b.String(), want)
	}
}

func TestPrinterJSON_IsInertAndMeansTheSame(t *testing.T) {
	value := map[string]any{"reason": strings.ReplaceAll(hostile, "\xff", ""), "raw": json.RawMessage("{\"a\":\"\u009b\u202e\U000e0041\x7f\"}")}
	for _, print := range []func(*terminal.Printer) error{
		func(p *terminal.Printer) error { return p.JSON(value) },
		func(p *terminal.Printer) error { return p.JSONIndent(value) },
	} {
		var b strings.Builder
		if err := print(terminal.New(&b)); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if line = strings.TrimSuffix(line, "\n"); terminal.Escape(line) != line {
				t.Errorf("it prints %q", line)
			}
		}
		var got struct {
			Reason string
			Raw    struct{ A string }
		}
		if err := json.Unmarshal([]byte(b.String()), &got); err != nil || got.Reason != value["reason"] || got.Raw.A != "\u009b\u202e\U000e0041\x7f" {
			t.Errorf("it means %+q, %v", got, err)
		}
	}
}

func TestJSONWriter_MayBeCutAnywhere(t *testing.T) {
	text := "{\"é\":\"東\u202e🎉\U000e0041\u0085\"}\n"
	want := string(terminal.EscapeJSON([]byte(text)))
	for size := 1; size < len(text); size++ {
		var b strings.Builder
		w := terminal.JSONWriter(&b)
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if _, err := io.WriteString(w, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if b.String() != want {
			t.Errorf("in pieces of %d bytes: %q, want %q", size, b.String(), want)
		}
	}
}

func FuzzEscapeJSON(f *testing.F) {
	f.Add(hostile)
	f.Add(`{"a":"b"}`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range []string{terminal.Escape(text), terminal.Short(text, 7)} {
			if strings.Contains(s, "\n") || terminal.Escape(s) != s {
				t.Errorf("%q is not inert", s)
			}
		}
		if !json.Valid([]byte(text)) {
			return
		}
		escaped := terminal.EscapeJSON([]byte(text))
		var before, after any
		if err := errors.Join(json.Unmarshal([]byte(text), &before), json.Unmarshal(escaped, &after)); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprintf("%q", before) != fmt.Sprintf("%q", after) {
			t.Errorf("%q means another thing than %q", escaped, text)
		}
	})
}
