package show

import (
	"fmt"
	"strings"

	"countersign/internal/publish"
	"countersign/internal/terminal"
	"countersign/workflow"
)

// Outcomes prints the events that were refused or wait, and the counts of all.
func Outcomes(out *terminal.Printer, list []publish.Outcome, count map[workflow.Result]int) error {
	if count[workflow.Turned]+count[workflow.Dead]+count[workflow.Parking] > 0 {
		t := out.Table("LINE", "SEQUENCE", "OUTCOME", "CODE", "FIELD", "SUBJECT", "REASON")
		for _, o := range list {
			switch o.Result {
			case workflow.Turned, workflow.Dead, workflow.Parking:
				t.Row(o.Line, o.Sequence, resultWords(o.Result, 1), o.Code, o.Field, o.Subject, o.Message)
			}
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	var parts []string
	for _, r := range []workflow.Result{workflow.Applied, workflow.Unchanged, workflow.Parking, publish.Duplicate, publish.NotRefused, workflow.Turned, workflow.Dead, publish.Unknown} {
		if n := count[r]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, resultWords(r, n)))
		}
	}
	return out.Linef("published %d: %s", len(list), strings.Join(parts, ", "))
}

func resultWords(r workflow.Result, n int) string {
	text := strings.ReplaceAll(string(r), "_", " ")
	if n > 1 && (r == workflow.Dead || r == publish.Duplicate) {
		text += "s"
	}
	return text
}
