package workflow_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"countersign/workflow"
)

func TestDecide_ResendSendsInTheSameRound(t *testing.T) {
	d := standing(t, workflow.Signing)
	mails := len(d.order)
	d.do(workflow.Resend{Round: 1})
	want(t, "the mail", string(d.state.Mails[0].ID), string(mailOf(1, "signature", int(d.seq))))
	want(t, "its recipient", d.state.Mails[0].Recipient, "signer@example.com")
	d.do(workflow.Resend{})
	want(t, "asked again while it is owed", results(d.last), "unchanged")
	d.accept()
	want(t, "mails", fmt.Sprint(len(d.order)), fmt.Sprint(mails+1))
	want(t, "events", d.owed(), "became.opened.1, became.signing.1")
	d.do(workflow.Resend{})
	d.settle(workflow.MailOutcome{Outcome: workflow.Rejected, Code: 550, Reply: "550 no"})
	want(t, "a rejected one leaves the first", string(d.state.Document.Status), "signing")
	d.do(workflow.Resend{Round: 2})
	want(t, "for another round", string(d.last.Verdicts[0].Problem.Code), "round_conflict")
	d.do(workflow.Resend{})
	d.do(workflow.StatusChanged{Status: workflow.Signed})
	if !strings.Contains(d.mails(), "signature withdrawn") {
		t.Errorf("the one that is owed goes out after the signature: %s", d.mails())
	}
}

func TestDecide_ResendOfAnEmailOnItsWay(t *testing.T) {
	d := newDesk(t)
	d.do(created())
	d.settle(workflow.MailOutcome{Outcome: workflow.Deferred, RetryAfterMs: time.Hour.Milliseconds()})
	d.do(workflow.Resend{})
	want(t, "mails", d.mails(), "signature pending signer@")
	if due := d.state.Mails[0].Due; !due.Equal(d.now) {
		t.Errorf("the deferred mail is due at %s, want %s", due, d.now)
	}
	d.settle(workflow.MailOutcome{Outcome: workflow.Held})
	d.do(workflow.Resend{})
	want(t, "mails after the first was held", d.mails(), "signature held signer@, signature pending signer@")
	d.accept()
	want(t, "status", string(d.state.Document.Status), "signing")
}

func TestDecide_ResendIsRefused(t *testing.T) {
	for _, s := range []workflow.Status{workflow.Unseen, workflow.Opened, workflow.Signed, workflow.Canceled, workflow.Failed} {
		d := standing(t, s)
		mails := len(d.state.Mails)
		d.do(workflow.Resend{})
		if p := d.last.Verdicts[0].Problem; p == nil || p.Code != workflow.CodeStatus || len(d.state.Mails) != mails {
			t.Errorf("%q: %+v, %s", s, p, d.mails())
		}
	}
}
