package workflow_test

import (
	"strings"
	"testing"

	"countersign/workflow"
)

func TestNameFault_InvisibleNames(t *testing.T) {
	for _, r := range "\u00ad\u034f\u061c\u115f\u1160\u17b4\u180e\u2000\u200b\u200c\u200d\u200e\u200f\u2060\u2062\u206f\u2800\u3000\u3164\ufe0f\ufeff\uffa0\ufff9\ufffc\u0301\u20e3\U000e0041\U000e0100\U0001d159\U0001d173\U00013441 \u00a0" {
		for _, name := range []string{string(r), strings.Repeat(string(r), 5), " " + string(r) + "\u200b"} {
			if got := workflow.NameFault(name); got != "has no visible character" {
				t.Errorf("%+q: %q", name, got)
			}
		}
	}
}

func TestNameFault_DirectionControls(t *testing.T) {
	for _, r := range "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069" {
		for _, name := range []string{string(r), "Owner" + string(r), "O" + string(r) + "wner"} {
			if got := workflow.NameFault(name); got != "has a character that changes the direction of text" {
				t.Errorf("%+q: %q", name, got)
			}
		}
	}
}

func TestNameFault_ControlsAndLineSeparators(t *testing.T) {
	for _, r := range "\x00\t\n\r\x1b\x7f\u0085\u009b\u2028\u2029" {
		if got := workflow.NameFault("a" + string(r) + "b"); got != "has a control character" {
			t.Errorf("%+q: %q", r, got)
		}
	}
}

func TestNameFault_NamesOfPeopleAndFirms(t *testing.T) {
	for _, name := range []string{
		"", "Owner", "Zoë O'Neill", "李小龍", "한국 전력", "محمد", "علی\u200cرضا", "\u200eשרה", "क्षत्रिय", "Ελένη", "9", "—", "👩\u200d💻", "✍\ufe0f", "e\u0301",
		"Acme, Inc.", "株式会社\u3000山田", "\U00020bb7野家",
	} {
		if got := workflow.NameFault(name); got != "" {
			t.Errorf("%+q: %q", name, got)
		}
	}
}
