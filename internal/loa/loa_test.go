package loa_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/loa"
)

func TestLanguage_BestOneIsTaken(t *testing.T) {
	for _, c := range []struct {
		wishes []string
		want   string
	}{
		{nil, "en"},
		{[]string{""}, "en"},
		{[]string{"es"}, "es"},
		{[]string{"es-MX"}, "es"},
		{[]string{"", "es-419,es;q=0.9,en;q=0.8"}, "es"},
		{[]string{"en", "es"}, "en"},
		{[]string{"fr-CA, es;q=0.5"}, "es"},
		{[]string{"zh", ""}, "en"},
		{[]string{"not a locale !!", "es"}, "es"},
	} {
		if got := loa.Of("Example", c.wishes...).Language; got != c.want {
			t.Errorf("%q: %s, want %s", c.wishes, got, c.want)
		}
	}
}

// TestOf_EveryLanguageSaysEverything finds words that a language lacks, or has
// left in another's, and sentences that still name no provider.
func TestOf_EveryLanguageSaysEverything(t *testing.T) {
	english := reflect.ValueOf(loa.Of("Example Messaging", "en"))
	for _, tag := range loa.Languages() {
		words := reflect.ValueOf(loa.Of("Example Messaging", tag))
		if got := words.FieldByName("Language").String(); got != tag {
			t.Errorf("asked for %s, got %s", tag, got)
		}
		for i := range words.NumField() {
			name, text := words.Type().Field(i).Name, words.Field(i).String()
			if text == "" || strings.Contains(text, "{") {
				t.Errorf("%s: %s is %q", tag, name, text)
			}
			if tag != "en" && text == english.Field(i).String() {
				t.Errorf("%s: %s is English", tag, name)
			}
		}
		w := loa.Of("Example Messaging", tag)
		if !slices.ContainsFunc([]string{w.Scope, w.Validity}, func(s string) bool { return strings.Contains(s, "Example Messaging") }) {
			t.Errorf("%s: no statement names the provider", tag)
		}
	}
}

func TestDate_InUTC(t *testing.T) {
	at := time.Date(2026, 3, 1, 23, 30, 0, 0, time.FixedZone("", -3600))
	for language, want := range map[string][2]string{
		"en": {"2 March 2026", "2 March 2026, 00:30 UTC"},
		"es": {"2 de marzo de 2026", "2 de marzo de 2026, 00:30 UTC"},
	} {
		if got := [2]string{loa.Date(language, at), loa.Moment(language, at)}; got != want {
			t.Errorf("%s: %q, want %q", language, got, want)
		}
	}
}
