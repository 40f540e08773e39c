// Package reword changes every sentence that the rules write for people, so that
// a test can show that no decision depends on one. Only tests use it.
package reword

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	_ "unsafe" // for go:linkname

	_ "countersign/workflow" // has the variable
)

//go:linkname sentence countersign/workflow.sentence
var sentence func(text string) string

// Each sentence stands between these two while Marked or Reversed is in effect.
const (
	begin = "\u2045"
	end   = "\u2046"
)

var (
	markers = strings.NewReplacer(begin, "", end, "")
	marked  = regexp.MustCompile(begin + "[^" + end + "]*" + end)
)

// Marked has the rules mark the sentences that they write, until the test ends.
// It must not run beside other tests.
func Marked(t testing.TB) { set(t, func(text string) string { return text }) }

// Reversed is Marked, and writes the words of each sentence in reverse order.
func Reversed(t testing.TB) {
	set(t, func(text string) string {
		words := strings.Split(text, " ")
		slices.Reverse(words)
		return strings.Join(words, " ")
	})
}

// set has f write each sentence. One that contains another becomes one sentence.
func set(t testing.TB, f func(string) string) {
	before := sentence
	sentence = func(text string) string { return begin + f(markers.Replace(text)) + end }
	t.Cleanup(func() { sentence = before })
}

// Without leaves the marked sentences out of a text.
func Without(text string) string { return marked.ReplaceAllString(text, begin+end) }

// Unmarked leaves the marks out of a text.
func Unmarked(text string) string { return markers.Replace(text) }
