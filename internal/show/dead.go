package show

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"countersign/db"
	"countersign/events"
	"countersign/internal/operator"
	"countersign/internal/terminal"
	"countersign/workflow"
)

// DeadLetterJSON is what the commands of dead print with --json.
type DeadLetterJSON struct {
	db.Refusal
	Subject   string       `json:"subject"`
	Document  workflow.SID `json:"authorization_document_sid,omitempty"`
	State     string       `json:"state"` // open, redriven, discarded
	ClosedBy  uint64       `json:"closed_by,omitempty"`
	ClosedAt  *time.Time   `json:"date_closed,omitempty"`
	Discarded string       `json:"discard_reason,omitempty"`
}

// DeadLettersJSON returns dead letters and refused events as programs read them.
func DeadLettersJSON(letters []db.DeadLetter) []DeadLetterJSON {
	out := make([]DeadLetterJSON, len(letters))
	for i, l := range letters {
		out[i] = DeadLetterJSON{
			Refusal: l.Refusal, Subject: l.Subject, Document: l.Document, State: letterState(l), ClosedBy: l.Closed, Discarded: l.Reason,
		}
		if l.Closed > 0 {
			out[i].ClosedAt = &l.ClosedAt
		}
	}
	return out
}

func letterState(l db.DeadLetter) string {
	switch {
	case l.Closed == 0:
		return "open"
	case l.Reason != "":
		return "discarded"
	}
	return "redriven"
}

// DeadLetters prints a table of dead letters and refused events.
func DeadLetters(out *terminal.Printer, letters []db.DeadLetter) error {
	t := out.Table("ENTRY", "TIME", "WHAT", "CODE", "STATE", "DOCUMENT", "REASON")
	for _, l := range letters {
		t.Row(l.Sequence, Stamp(l.Time), Kind(l), l.Code, State(l), l.Document, l.Message)
	}
	return t.Flush()
}

// Kind says whether an event is a dead letter or was refused.
func Kind(l db.DeadLetter) string {
	if l.Dead {
		return "dead letter"
	}
	return "refused"
}

// State says whether a dead letter is open, and if not, what closed it.
func State(l db.DeadLetter) string {
	switch letterState(l) {
	case "redriven":
		return fmt.Sprintf("redriven by entry %d", l.Closed)
	case "discarded":
		return "discarded: " + l.Reason
	}
	return "open"
}

// DeadLetter prints a dead letter or a refused event with its message m from the
// log. away is why there is no message, or nil.
func DeadLetter(out *terminal.Printer, l db.DeadLetter, m events.Message, away error) error {
	t := out.Table()
	for _, row := range [][2]string{
		{"entry", strconv.FormatUint(l.Sequence, 10)},
		{"what", Kind(l)},
		{"refused", Stamp(l.Time)},
		{"state", State(l)},
		{"subject", l.Subject},
		{"event", l.EventID},
		{"source", l.Source},
		{"code", string(l.Code)},
		{"field", l.Field},
		{"reason", l.Message},
		{"what to do", advice(l)},
	} {
		if row[1] != "" {
			t.Row(row[0], row[1])
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if away != nil {
		out.Linef("")
		return out.Linef("The payload cannot be shown: %v", away)
	}
	out.Linef("")
	for _, attribute := range m.Attributes() {
		out.Linef("ce-%s: %s", attribute[0], attribute[1])
	}
	return out.Linef("%s", Payload(m.Data))
}

// Redriven prints the outcome of the entry at sequence being sent again, and fails
// if the event was refused again. err is why the outcome is not known, or nil.
func Redriven(out, notes *terminal.Printer, sequence uint64, r operator.Redriven, err error) error {
	if r.Before {
		notes.Linef("entry %d was sent again before, as entry %d; nothing is sent", sequence, r.Sequence)
	}
	switch {
	case err != nil && r.Sequence > 0:
		out.Linef("sent as entry %d", r.Sequence)
		return err
	case err != nil:
		return err
	case r.Sequence == 0:
		out.Linef("entry %d would be sent again, on %s", sequence, r.Message.Subject)
		return out.Linef("%s", Payload(r.Message.Data))
	case r.Refused != nil:
		out.Linef("sent as entry %d: %s, %s", r.Sequence, Kind(*r.Refused), r.Refused.Code)
		return fmt.Errorf("entry %d was refused again: %s: %s", r.Sequence, r.Refused.Code, r.Refused.Message)
	}
	return out.Linef("sent as entry %d: %s", r.Sequence, r.Result)
}

// Payload is a payload as one line of JSON, or quoted if it is no JSON.
func Payload(data []byte) string {
	var line bytes.Buffer
	if json.Compact(&line, data) == nil {
		return string(terminal.EscapeJSON(line.Bytes()))
	}
	return strconv.Quote(string(data))
}

// DeadLetterAsJSON prints what DeadLetter does, for programs.
func DeadLetterAsJSON(out *terminal.Printer, l db.DeadLetter, m events.Message, away error) error {
	j := struct {
		DeadLetterJSON
		Advice     string            `json:"what_to_do,omitempty"`
		Attributes map[string]string `json:"attributes,omitempty"` // of a message in binary mode
		Payload    []byte            `json:"payload_base64,omitempty"`
		Away       string            `json:"payload_missing,omitempty"` // why there is no payload
	}{DeadLetterJSON: DeadLettersJSON([]db.DeadLetter{l})[0], Advice: advice(l), Payload: m.Data}
	for _, attribute := range m.Attributes() {
		if j.Attributes == nil {
			j.Attributes = map[string]string{}
		}
		j.Attributes[attribute[0]] = attribute[1]
	}
	if away != nil {
		j.Away = away.Error()
	}
	return out.JSONIndent(j)
}

// advice says what to do about an open dead letter or refusal.
func advice(l db.DeadLetter) string {
	if l.Closed > 0 {
		return ""
	}
	redrive := fmt.Sprintf("countersign dead redrive %d", l.Sequence)
	discard := fmt.Sprintf("; or countersign dead discard %d --reason …", l.Sequence)
	switch l.Code {
	case workflow.CodeUnreadable:
		return "ask its publisher to fix it; then " + redrive + " --file EVENT.json" + discard
	case workflow.CodeInvalid, workflow.CodeTooLarge, workflow.CodeUnknownType, workflow.CodeUnknownVersion:
		return "ask its publisher to fix it; then " + redrive + " --set " + cmp.Or(l.Field, "FIELD") + "=VALUE" + discard
	case workflow.CodeParkedTooLong:
		return "publish the event that it builds on (created comes first); then " + redrive + discard
	case workflow.CodeCrashed:
		return "report it as a bug, with its payload; once every worker runs a version with the fix, " + redrive + discard
	case workflow.CodeExists, workflow.CodeAccount:
		return "its publisher uses the wrong document or account; publish a corrected event" + discard
	}
	return "if the document or the order allows it now, " + redrive + discard
}
