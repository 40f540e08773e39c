package workflow_test

import (
	"fmt"
	"strings"
	"testing"

	"countersign/workflow"
)

// mailOf is a mail of the test's document.
func mailOf(round int, kind workflow.MailKind, n int) workflow.MailID {
	return workflow.MailID(fmt.Sprintf("%s.%d.%s.%d", document, round, kind, n))
}

func TestDecide_BouncedSignatureEmailEndsItsRound(t *testing.T) {
	const words = "550 no such user"
	for _, tt := range []struct {
		name string
		from func(*desk)
		b    workflow.Bounced
		want string
	}{
		{"a signature mail that came back for good", nil, workflow.Bounced{Mail: mailOf(1, "signature", 0), Action: "failed", Status: "5.1.1", Diagnostic: words}, "applied failed: the signature mail came back: 5.1.1 550 no such user"},
		{"one given up for a passing reason", nil, workflow.Bounced{Mail: mailOf(1, "signature", 0), Action: "failed", Status: "4.4.7", Diagnostic: words}, "applied signing"},
		{"one that is delayed", nil, workflow.Bounced{Mail: mailOf(1, "signature", 0), Action: "delayed", Status: "4.4.1", Diagnostic: ""}, "applied signing"},
		{"one that is delivered", nil, workflow.Bounced{Mail: mailOf(1, "signature", 0), Action: "delivered", Status: "2.0.0", Diagnostic: ""}, "applied signing"},
		{"a cc's notice", nil, workflow.Bounced{Mail: mailOf(1, "sent", 0), Action: "failed", Status: "5.1.1", Diagnostic: words}, "applied signing"},
		{"a reminder", func(d *desk) {
			d.do(workflow.TimerDue{Timer: "reminder-1", Round: 1})
			d.accept()
		}, workflow.Bounced{Mail: mailOf(1, "reminder", 1), Action: "failed", Status: "5.1.1", Diagnostic: words}, "applied signing"},
		{"of an earlier round", func(d *desk) {
			d.do(workflow.StatusChanged{Status: workflow.Opened})
			d.do(workflow.StatusChanged{Status: workflow.Signing})
			d.accept()
		}, workflow.Bounced{Mail: mailOf(1, "signature", 0), Action: "failed", Status: "5.1.1", Diagnostic: words}, "applied signing"},
		{"of a recalled document", func(d *desk) {
			d.do(workflow.StatusChanged{Status: workflow.Opened})
		}, workflow.Bounced{Mail: mailOf(1, "signature", 0), Action: "failed", Status: "5.1.1", Diagnostic: words}, "applied opened"},
		{"once signed", func(d *desk) {
			d.do(workflow.StatusChanged{Status: workflow.Signed})
		}, workflow.Bounced{Mail: mailOf(1, "signature", 0), Action: "failed", Status: "5.1.1", Diagnostic: words}, "applied signed"},
		{"a full mailbox in the class of what stays, case e9", nil, workflow.Bounced{Mail: mailOf(1, "signature", 0), Action: "failed", Status: "5.2.2", Diagnostic: words}, "applied signing"},
		{"a disabled mailbox", nil, workflow.Bounced{Mail: mailOf(1, "signature", 0), Action: "failed", Status: "5.2.1", Diagnostic: words}, "applied failed: the signature mail came back: 5.2.1 550 no such user"},
		{"an automatic reply", nil, workflow.Bounced{Mail: mailOf(1, "signature", 0), Action: "replied", Status: "2.0.0"}, "applied signing"},
		{"a candidate that was sent, behind one that was not", nil, workflow.Bounced{
			Mail: mailOf(1, "signature", 7), Candidates: []workflow.MailID{mailOf(2, "signature", 0), mailOf(1, "signature", 0)}, Action: "failed", Status: "5.1.1", Diagnostic: words,
		}, "applied failed: the signature mail came back: 5.1.1 550 no such user"},
		{"the first that was sent counts, a cc's notice", nil, workflow.Bounced{
			Mail: mailOf(1, "sent", 0), Candidates: []workflow.MailID{mailOf(1, "signature", 0)}, Action: "failed", Status: "5.1.1", Diagnostic: words,
		}, "applied signing"},
		{"candidates that nobody sent", nil, workflow.Bounced{
			Mail: mailOf(1, "signature", 7), Candidates: []workflow.MailID{mailOf(1, "signature", 8)}, Action: "failed", Status: "5.1.1",
		}, "refused signing"},
		{"one that nobody sent", nil, workflow.Bounced{Mail: mailOf(1, "signature", 7), Action: "failed", Status: "5.1.1", Diagnostic: words}, "refused signing"},
		{"of another document", nil, workflow.Bounced{Mail: "PXbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.1.signature.0", Action: "failed", Status: "5.1.1", Diagnostic: words}, "refused signing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := standing(t, workflow.Signing)
			if tt.from != nil {
				tt.from(d)
			}
			d.do(tt.b)
			got := fmt.Sprintf("%s %s", d.last.Verdicts[0].Result, d.state.Document.Status)
			if r := d.state.Document.Reason; r != "" {
				got += ": " + r
			}
			want(t, "answer", got, tt.want)
			if noted := len(d.last.Bounces) == 1 && len(d.last.Notes) > 0; noted != strings.HasPrefix(tt.want, "applied") {
				t.Errorf("noted: %+v, %+v", d.last.Bounces, d.last.Notes)
			}
		})
	}
}

// TestDecide_ReportBeforeTheOutcomeCounts: a relay may send the mail back before its
// acceptance stands on the log, or the worker may die in between.
func TestDecide_ReportBeforeTheOutcomeCounts(t *testing.T) {
	d := newDesk(t)
	d.do(created())
	id := d.state.Mails[0].ID
	d.do(workflow.Bounced{Mail: id, Action: workflow.ActionFailed, Status: "5.1.1"})
	want(t, "a mail that was not begun", string(d.last.Verdicts[0].Problem.Code), "mail_unknown")
	d.do(workflow.Claimed{Worker: "w", Mails: []workflow.MailID{id}})
	claim := d.seq
	d.do(workflow.Bounced{Mail: id, Action: workflow.ActionFailed, Status: "5.1.1"})
	want(t, "status", string(d.state.Document.Status), "failed")
	d.do(workflow.Settled{Claim: claim, Outcomes: []workflow.MailOutcome{{Mail: id, Outcome: workflow.Accepted}}})
	want(t, "status after the outcome", string(d.state.Document.Status), "failed")
	want(t, "events", d.owed(), "became.opened.1, refused.2, became.failed.1")
}
