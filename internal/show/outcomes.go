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
	if count[workflow.ResultRefused]+count[workflow.ResultDeadLetter]+count[workflow.ResultParked] > 0 {
		t := out.Table("LINE", "SEQUENCE", "OUTCOME", "CODE", "FIELD", "SUBJECT", "REASON")
		for _, o := range list {
			switch o.Result {
			case workflow.ResultRefused, workflow.ResultDeadLetter, workflow.ResultParked:
				t.Row(o.Line, o.Sequence, resultWords(o.Result, 1), o.Code, o.Field, o.Subject, o.Message)
			}
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	var parts []string
	for _, r := range []workflow.Result{workflow.ResultApplied, workflow.ResultUnchanged, workflow.ResultParked, publish.Duplicate, publish.NotRefused, workflow.ResultRefused, workflow.ResultDeadLetter, publish.Unknown} {
		if n := count[r]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, resultWords(r, n)))
		}
	}
	return out.Linef("published %d: %s", len(list), strings.Join(parts, ", "))
}

func resultWords(r workflow.Result, n int) string {
	text := strings.ReplaceAll(string(r), "_", " ")
	if n > 1 && (r == workflow.ResultDeadLetter || r == publish.Duplicate) {
		text += "s"
	}
	return text
}
