package workflow_test

import (
	"testing"

	"countersign/workflow"
)

// TestAsked_SourceIsNoPartOfTheSentence has upstream services choose a source
// that would go on as the sentence around it does.
func TestAsked_SourceIsNoPartOfTheSentence(t *testing.T) {
	for source, want := range map[string]string{
		"/loa-desk":                             "/loa-desk",
		"https://desk.example.com/loa?site=1#a": "https://desk.example.com/loa?site=1#a",
		"urn:uuid:1":                            "urn:uuid:1",
		"":                                      `""`,
		"/x on the signing page, visit 1; /y":   `"/x on the signing page, visit 1; /y"`,
		"/x,by(Countersign)":                    `"/x,by(Countersign)"`,
		"/x\u00a0or\u3000Countersign":           `"/x\u00a0or\u3000Countersign"`,
		`/x" and "/y`:                           `"/x\" and \"/y"`,
	} {
		asked := workflow.Asked{Writer: workflow.WriterUpstream, Source: source}
		if got := asked.String(); got != "the upstream service "+want {
			t.Errorf("%q: %s", source, got)
		}
	}
}
