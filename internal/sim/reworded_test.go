package sim

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"countersign/internal/test/reword"
)

// TestSchedule_SentencesDecideNothing runs SIM_REWORDED seeds twice each, the
// second time with the words of every sentence in reverse order. All that
// happens, in all workers, must be the same.
func TestSchedule_SentencesDecideNothing(t *testing.T) {
	count := number(t, "SIM_REWORDED", 40)
	before := make([]*world, count)
	for i := range before {
		before[i] = runSeed(t, uint64(i)+1, intact)
	}
	reword.Reversed(t)
	for i, one := range before {
		two := runSeed(t, uint64(i)+1, intact)
		if one.wrong != nil || two.wrong != nil {
			t.Errorf("seed %d: %v; with other sentences: %v", i+1, one.wrong, two.wrong)
		}
		a, b := undigested(one), undigested(two)
		if slices.Equal(a, b) {
			continue
		}
		at := 0
		for at < min(len(a), len(b)) && a[at] == b[at] {
			at++
		}
		t.Errorf("seed %d: with other sentences it is different from line %d of %d on:\n%s\n--- and\n%s",
			i+1, at, len(a), strings.Join(a[at:min(at+3, len(a))], "\n"), strings.Join(b[at:min(at+3, len(b))], "\n"))
	}
}

// digest is one of a payload in a line of the trace.
var digest = regexp.MustCompile(`sha256:[0-9a-f]{64}|(w\d+\.\d+\.)[0-9a-f]+\.`)

// undigested is the trace without the digests of payloads, which have sentences.
func undigested(w *world) []string {
	lines := make([]string, len(w.lines))
	for i, line := range w.lines {
		lines[i] = digest.ReplaceAllString(line, "${1}digest")
	}
	return lines
}
