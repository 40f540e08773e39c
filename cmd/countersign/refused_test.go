package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"countersign/internal/catcher"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// TestServe_MailServerRefusesUs has a mail server refuse every mail for what is
// wrong with our settings: no document fails, the operator finds the cause in the
// log, in /readyz and in the metrics, and all mails leave once it is put right.
func TestServe_MailServerRefusesUs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, stage string
		phase       catcher.Phase
		reply       smtp.SMTPError
	}{
		{"name in EHLO", "RCPT", catcher.RcptTo, smtp.SMTPError{Code: 504, EnhancedCode: smtp.EnhancedCode{5, 5, 2}, Message: "<vm>: Helo command rejected: need fully-qualified hostname"}},
		{"sender", "MAIL", catcher.MailFrom, smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 8}, Message: "<loa@countersign.example>: Sender address rejected"}},
		{"unverified", "final dot", catcher.Data, smtp.SMTPError{Code: 554, EnhancedCode: smtp.NoEnhancedCode, Message: "Message rejected: address is not verified: loa@countersign.example"}},
		{"relay, in a bare code", "RCPT", catcher.RcptTo, smtp.SMTPError{Code: 550, EnhancedCode: smtp.NoEnhancedCode, Message: "relay not permitted"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x, dir := newTown(t), t.TempDir()
			x.box.Script(func(s catcher.Step) error {
				if s.Phase == c.phase {
					return &c.reply
				}
				return nil
			})
			w := start(t, x.env(dir))
			w.says("read to its end")
			x.create(1, 20, "owner@domain-%d.example")
			w.says("the mail server cannot be used")
			admin := "http://" + w.address("admin")
			refused := regexp.MustCompile(`(?ms)^ready\n.*^mail: warning since \S+: refused by 127\.0\.0\.1:\d+ at ` + c.stage + ` since \S+: ` + strconv.Itoa(c.reply.Code) + ` `)
			eventstest.Wait(t, "/readyz and the metric to say so", func() bool {
				code, body := get(t, admin+"/readyz")
				_, metrics := get(t, admin+"/metrics")
				return code == 200 && refused.MatchString(body) && !strings.Contains(body, "@") &&
					regexp.MustCompile(`(?m)^countersign_mail_server_refuses_since_seconds [^0]`).MatchString(metrics)
			})
			x.statuses(dir, workflow.Opened, 20)
			if log := w.log.String(); strings.Count(log, "cannot be used") != 1 || !strings.Contains(log, c.stage) || strings.Contains(log, "@domain") {
				t.Errorf("the log does not say so once: %s", log)
			}
			x.box.Script(nil)
			x.statuses(dir, workflow.Signing, 20)
			eventstest.Wait(t, "/readyz to say that it is over", func() bool {
				code, body := get(t, admin+"/readyz")
				return code == 200 && strings.Contains(body, "\nmail: ok since ")
			})
			if n := x.box.Count(); n != 20 || len(inDoubt(t, dir)) != 0 {
				t.Errorf("%d mails were caught for 20 documents", n)
			}
			w.says("the mail server is back")
			w.end()
		})
	}
}

// TestServe_BareRefusalOfOneDomainFailsTheDocument: a refusal without an enhanced
// code that only one domain meets is the recipient's, while others are mailed.
func TestServe_BareRefusalOfOneDomainFailsTheDocument(t *testing.T) {
	t.Parallel()
	x, dir := newTown(t), t.TempDir()
	x.box.Script(func(s catcher.Step) error {
		if s.Phase == catcher.RcptTo && strings.HasSuffix(s.To, "@gone.example") {
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.NoEnhancedCode, Message: "unknown user"}
		}
		return nil
	})
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(1, 2, "owner-%d@gone.example")
	x.create(3, 5, "owner@domain-%d.example")
	x.statuses(dir, workflow.Signing, 5)
	x.statuses(dir, workflow.Failed, 2)
	w.end()
}
