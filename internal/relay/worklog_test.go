package relay

import (
	"log/slog"
	"strings"
	"testing"

	"countersign/internal/test/logtest"
	"countersign/workflow"
)

// failed is the announcement of a document that failed because of an entry.
func failed(by workflow.Writer, entry uint64) workflow.Became {
	return workflow.Became{Document: workflow.Document{
		SID: document, Status: workflow.Failed, Round: 1, Reason: "somebody's words", AskedBy: workflow.Asked{Writer: by, Entry: entry},
	}}
}

// logOf is what a work log that starts at entry 1 says of entries.
func logOf(t *testing.T, bodies ...workflow.Body) (*WorkLog, func() string) {
	t.Helper()
	var out logtest.Buffer
	d := newDesk(t, 0)
	w := NewWorkLog(slog.New(slog.NewTextHandler(&out, nil)), d.mail.Store, 1)
	var batch []workflow.Entry
	for i, b := range bodies {
		batch = append(batch, workflow.Entry{Sequence: uint64(i + 2), Document: document, Body: b})
	}
	w.applied(batch)
	return w, out.String
}

// TestWorkLog_CauseIsOfTheSameEntry: a report that ended nothing, of which
// anybody may have told, is not given as the reason of a later end.
func TestWorkLog_CauseIsOfTheSameEntry(t *testing.T) {
	report := workflow.Bounced{Mail: workflow.MailID(document) + ".1.signature.0", Action: workflow.ActionFailed, Status: "5.1.1", Diagnostic: "words"}
	for name, tt := range map[string]struct {
		entry uint64
		want  bool
	}{"the report": {2, true}, "another entry": {7, false}} {
		_, log := logOf(t, report, failed(workflow.WriterCountersign, tt.entry))
		if got := strings.Contains(log(), "came back: 5.1.1"); got != tt.want || strings.Contains(log(), "words") {
			t.Errorf("%s: %s", name, log())
		}
	}
}

// TestWorkLog_EachEntryOnce passes over entries that it has seen, until the log
// has lost them.
func TestWorkLog_EachEntryOnce(t *testing.T) {
	end := failed(workflow.WriterAPI, 0)
	w, log := logOf(t, end)
	again := []workflow.Entry{{Sequence: 2, Document: document, Body: end}}
	w.applied(again)
	if n := strings.Count(log(), "msg=failed"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log())
	}
	w.rewound(1)
	w.applied(again)
	if n := strings.Count(log(), "msg=failed"); n != 2 {
		t.Errorf("after the log has lost its tail: said %d times:\n%s", n, log())
	}
}

// TestWorkLog_CausesAreBounded: documents whose emails were accepted may never be
// announced.
func TestWorkLog_CausesAreBounded(t *testing.T) {
	w, _ := logOf(t)
	for i := range 3 * mostCauses {
		w.because(workflow.Entry{}, workflow.SID(rune(i)), workflow.Signing, "250")
	}
	if len(w.causes) > mostCauses {
		t.Errorf("%d causes are kept", len(w.causes))
	}
}
