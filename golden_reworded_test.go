package countersign_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/internal/test/reword"
)

// TestGolden_SentencesDecideNothing folds every golden log once as it is and
// once with the words of every sentence in reverse order. The databases must be
// the same apart from the sentences.
func TestGolden_SentencesDecideNothing(t *testing.T) {
	logs, err := filepath.Glob(filepath.Join(golden, "*.jsonl"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("%d golden logs: %v", len(logs), err)
	}
	for _, log := range logs {
		t.Run(filepath.Base(log), func(t *testing.T) {
			entries := decodeGolden(readGolden(t, log))
			plain := foldGolden(t, entries, 7)
			reword.Marked(t)
			marked := foldGolden(t, entries, 7)
			reword.Reversed(t)
			reversed := foldGolden(t, entries, 7)
			if marked == plain || marked == reversed {
				t.Error("no sentence was changed")
			}
			if diff := cmp.Diff(strings.Split(plain, "\n"), strings.Split(reword.Unmarked(marked), "\n")); diff != "" {
				t.Errorf("marks around the sentences change the state (-plain +marked):\n%s", diff)
			}
			if diff := cmp.Diff(strings.Split(reword.Without(marked), "\n"), strings.Split(reword.Without(reversed), "\n")); diff != "" {
				t.Errorf("the words of sentences change the state (-as they are +reversed):\n%s", diff)
			}
		})
	}
}
