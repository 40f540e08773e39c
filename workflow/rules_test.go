package workflow_test

import (
	"testing"
	"time"

	"countersign/workflow"
)

// TestDecide_VersionInForceDecides asks a document for the same under two versions
// of the rules that differ in one cell.
func TestDecide_VersionInForceDecides(t *testing.T) {
	if workflow.RulesVersion() != 1 {
		t.Fatalf("the program knows rules version %d: draw its machine in a test, as TestDecide_Machine does, and a golden log", workflow.RulesVersion())
	}
	defer workflow.AddRules(workflow.Signed, ".."+"="+"="+".")()
	if workflow.RulesVersion() != 2 {
		t.Fatalf("the program knows version %d", workflow.RulesVersion())
	}
	d := standing(t, workflow.Signed)
	for version, want := range map[int]workflow.Result{0: workflow.ResultRefused, 1: workflow.ResultRefused, 2: workflow.ResultUnchanged} {
		e := workflow.Entry{
			Sequence: d.seq + 1, Time: d.now.Add(time.Minute), Account: account, Document: document, ID: "x", Source: "/orders",
			Body: workflow.StatusChanged{Status: workflow.Canceled},
		}
		got := workflow.Decide(d.state, e, workflow.Facts{Settings: workflow.Settings{Rules: version}})
		if got.Verdicts[0].Result != want {
			t.Errorf("version %d: %s, want %s", version, got.Verdicts[0].Result, want)
		}
	}
}
