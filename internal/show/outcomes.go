package show

import (
	"fmt"
	"strings"

	"countersign/internal/publish"
	"countersign/internal/terminal"
	"countersign/workflow"
)

// Outcomes prints the events that were refused or wait, and the counts of all; or
// with asJSON each event. What the counts mean goes to notes. It fails if any
// event was refused or is a dead letter.
func Outcomes(out, notes *terminal.Printer, list []publish.Outcome, asJSON bool) error {
	count := map[workflow.Result]int{}
	for _, o := range list {
		count[o.Result]++
	}
	if err := List(out, asJSON, list, func(*terminal.Printer, []publish.Outcome) error { return outcomes(out, list, count) }); err != nil {
		return err
	}
	if n := count[publish.NotRefused]; n > 0 {
		notes.Linef("not refused: a worker has read past these %d events. Only its database, on its machine (--data-dir), says whether they were applied, changed nothing or are parked", n)
	}
	if n := count[publish.Unknown]; n > 0 {
		notes.Linef("unknown: %d events are on the log, and no worker has shown that it has read them; a worker that starts later applies them. countersign dead list, on its machine, then lists what was refused", n)
	}
	switch n := count[workflow.ResultRefused] + count[workflow.ResultDeadLetter]; {
	case n == 0:
		return nil
	case list[0].Sequence == 0:
		return fmt.Errorf("%d of %d lines would be dead letters; correct them", n, len(list))
	default:
		return fmt.Errorf("%d of %d events were refused; countersign dead show SEQUENCE, on a worker's machine, says what to do", n, len(list))
	}
}

func outcomes(out *terminal.Printer, list []publish.Outcome, count map[workflow.Result]int) error {
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
	for _, r := range []workflow.Result{publish.Valid, workflow.ResultApplied, workflow.ResultUnchanged, workflow.ResultParked, publish.Duplicate, publish.NotRefused, workflow.ResultRefused, workflow.ResultDeadLetter, publish.Unknown} {
		if n := count[r]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, resultWords(r, n)))
		}
	}
	did := "published"
	if len(list) > 0 && list[0].Sequence == 0 {
		did = "would publish"
	}
	return out.Linef("%s %d: %s", did, len(list), strings.Join(parts, ", "))
}

func resultWords(r workflow.Result, n int) string {
	text := strings.ReplaceAll(string(r), "_", " ")
	if n > 1 && (r == workflow.ResultDeadLetter || r == publish.Duplicate) {
		text += "s"
	}
	return text
}
