package workflow_test

import (
	"testing"
	"time"

	"countersign/workflow"
)

// TestDecide_ReleasedEmailKeepsItsPlace: a mail that was claimed and handed back
// without a try is due as it was, before those owed later; one that was tried
// is due after its wait.
func TestDecide_ReleasedEmailKeepsItsPlace(t *testing.T) {
	d := newDesk(t)
	d.do(created())
	due := d.state.Mails[0].Due
	d.settle(workflow.MailOutcome{Outcome: workflow.Released})
	if got := d.state.Mails[0].Due; !got.Equal(due) {
		t.Errorf("a released mail is due at %s, want %s as before", got, due)
	}
	d.settle(workflow.MailOutcome{Outcome: workflow.Released, RetryAfterMs: 60_000})
	if got, want := d.state.Mails[0].Due, d.now.Add(time.Minute); !got.Equal(want) {
		t.Errorf("one released with a wait is due at %s, want %s", got, want)
	}
	d.settle(workflow.MailOutcome{Outcome: workflow.Deferred})
	if got := d.state.Mails[0].Due; !got.Equal(d.now) {
		t.Errorf("a deferred mail is due at %s, want %s", got, d.now)
	}
}
