package workflow_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/internal/test/reword"
	"countersign/workflow"
)

// TestDecide_SentencesDecideNothing plays the random lives of the property test
// twice, the second time with the words of every sentence in reverse order. The
// decisions must be the same apart from the sentences.
func TestDecide_SentencesDecideNothing(t *testing.T) {
	play := func(seed uint64) (decisions []string) {
		rng := rand.New(rand.NewPCG(seed, 2))
		d := newDesk(t)
		d.facts.NotifyCC = workflow.Notices
		d.facts.MailLimits = workflow.MailLimits{Interval: 60, PerDay: 4}
		for range 60 {
			text, err := json.Marshal(d.do(anything(rng, d)))
			if err != nil {
				t.Fatal(err)
			}
			decisions = append(decisions, string(text))
		}
		return decisions
	}
	const seeds = 100
	reword.Marked(t)
	var marked [seeds][]string
	for seed := range marked {
		marked[seed] = play(uint64(seed))
	}
	reword.Reversed(t)
	for seed := range marked {
		for i, decision := range play(uint64(seed)) {
			if diff := cmp.Diff(reword.Without(marked[seed][i]), reword.Without(decision)); diff != "" {
				t.Fatalf("seed %d, event %d: other sentences change the decision (-as they are +reversed):\n%s", seed, i, diff)
			}
		}
	}
}
