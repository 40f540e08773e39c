package main

import (
	"strings"
	"testing"

	"countersign/db"
	"countersign/internal/show"
	"countersign/internal/terminal"
	"countersign/workflow"
)

// TestDocumentsShow_ReasonIsOneLine shows what a signer may type as the reason to decline:
// it cannot write lines of its own below.
func TestDocumentsShow_ReasonIsOneLine(t *testing.T) {
	reason := "Not now.\nstatus\tsigned\n\nTIME\tENTRY"
	life := db.Life{
		Document: &workflow.Document{
			SID: testPX(1), Status: workflow.Canceled, CanceledBy: "signer", Reason: reason,
			Orders: []workflow.Order{{SID: testHR(1), FailureReason: reason}},
		},
		History: []db.HistoryLine{{What: "canceled", Detail: "by /sign: " + reason}},
	}
	var out strings.Builder
	if err := show.Document(terminal.New(&out), testPX(1), life); err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(out.String(), "\n") {
		if strings.HasPrefix(line, "status") && !strings.Contains(line, "canceled") || strings.HasPrefix(line, "TIME") && !strings.Contains(line, "DETAIL") {
			t.Errorf("a line of the signer's: %s", line)
		}
	}
	if strings.Count(out.String(), `Not now.\nstatus\tsigned`) != 3 {
		t.Errorf("it says\n%s", out.String())
	}
}
