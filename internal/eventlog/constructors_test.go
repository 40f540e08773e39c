package eventlog_test

import (
	"testing"
	"time"

	"countersign/internal/eventlog"
	"countersign/workflow"
)

func TestFromPending_SubjectIsIdentity(t *testing.T) {
	at := time.Date(2026, 11, 23, 15, 4, 5, 0, time.UTC)
	e := eventlog.FromPending(workflow.PendingEvent{Account: acct, Document: docSID(1), What: "due.expiry.1", Body: workflow.TimerDue{Timer: "expiry", Round: 1, DueAt: at}, At: at})
	if want := string(acct) + "." + string(docSID(1)) + ".due.expiry.1"; e.ID != want || e.Source != "countersign" || !e.Time.Equal(at) {
		t.Errorf("got %q of %q at %v, want %q", e.ID, e.Source, e.Time, want)
	}
}
