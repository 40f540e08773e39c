package web

import (
	"reflect"
	"strings"
	"testing"
)

// TestTexts_EveryLanguageHasEveryText finds texts that a language lacks or has left
// in another's, and texts whose place for a name or a moment is missing.
func TestTexts_EveryLanguageHasEveryText(t *testing.T) {
	walk(t, "texts", reflect.ValueOf(english), reflect.ValueOf(spanish))
}

func walk(t *testing.T, path string, en, es reflect.Value) {
	t.Helper()
	switch en.Kind() {
	case reflect.Struct:
		for i := range en.NumField() {
			walk(t, path+"."+en.Type().Field(i).Name, en.Field(i), es.Field(i))
		}
	case reflect.Slice:
		if en.Len() != es.Len() {
			t.Errorf("%s: %d in English, %d in Spanish", path, en.Len(), es.Len())
			return
		}
		for i := range en.Len() {
			walk(t, path, en.Index(i), es.Index(i))
		}
	case reflect.String:
		a, b := en.String(), es.String()
		if (a == "") != (b == "") || a != "" && a == b || strings.Count(a, "%s") != strings.Count(b, "%s") {
			t.Errorf("%s: English %q, Spanish %q", path, a, b)
		}
	}
}
