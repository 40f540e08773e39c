package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"countersign/events"
	"countersign/internal/catcher"
	"countersign/internal/test/eventstest"
	"countersign/internal/test/logtest"
	"countersign/workflow"
)

// logLine is one line of a worker's log.
type logLine struct {
	Level, Msg, Document, Mail, Why, Reply, Code, Field, By, From string
	Round, Emails                                                 int
	Sequence                                                      uint64
	Sent, Signed, Failed, Refused                                 int
}

// lines are those that are about a document, or about any if it is "".
func lines(t *testing.T, log *logtest.Buffer, msg string, document workflow.SID) (out []logLine) {
	t.Helper()
	for text := range strings.Lines(log.String()) {
		var l logLine
		if json.Unmarshal([]byte(text), &l) != nil || l.Msg != msg || document != "" && l.Document != string(document) {
			continue
		}
		if l.Level != "INFO" || l.Sequence == 0 {
			t.Errorf("%s", text)
		}
		out = append(out, l)
	}
	return out
}

// one waits for the one line about a document.
func one(t *testing.T, log *logtest.Buffer, msg string, document workflow.SID) logLine {
	t.Helper()
	eventstest.Wait(t, "the line "+msg, func() bool { return len(lines(t, log, msg, document)) > 0 })
	all := lines(t, log, msg, document)
	if len(all) != 1 {
		t.Errorf("%d lines %q about %s", len(all), msg, document)
	}
	return all[0]
}

// TestServe_LogSaysWhatEndsAStep makes each end of a step, and reads the lines.
// They name no address, no link and nobody's words.
func TestServe_LogSaysWhatEndsAStep(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	const private = "person@private.example"
	created := func(n, order int, email string, cc ...string) events.Event {
		return events.Created("/test", fmt.Sprint("created-", n), testAccount, testPX(n), workflow.Created{
			AddressSID: "AD00000000000000000000000000000001", Email: email, CCEmails: cc, HostedNumberOrders: numbered(testHR(order)),
		})
	}
	x.say(
		created(1, 1, "one@private.example", "no-such-user@private.example"), created(2, 2, "two@private.example"),
		created(3, 3, "no-such-user@private.example"), created(4, 1, "four@private.example"), created(5, 5, "five@private.example"),
		created(6, 6, "six@private.example"),
	)
	dead := x.send(on(7, "created"), event("bad", "created", `{"email":"`+private+` `+private+`"}`), nil)
	x.statuses(dir, workflow.Signing, 4)
	x.say(status(1, workflow.Signed), events.StatusChanged("/test", "no", testAccount, testPX(2), workflow.StatusChanged{Status: workflow.Canceled, Reason: "ask " + private}))
	x.say(events.Bounced("/mx", "report", testAccount, workflow.Bounced{
		Mail: workflow.MailID(testPX(5) + ".1.signature.0"), Action: workflow.ActionFailed, Status: "5.1.1", Diagnostic: private,
	}))
	x.say(events.StatusChanged("/test", "recall", testAccount, testPX(6), workflow.StatusChanged{Status: workflow.Opened}))
	x.statuses(dir, workflow.Failed, 2)
	x.statuses(dir, workflow.Canceled, 1)
	x.rest(dir)

	for _, n := range []int{1, 2, 5, 6} {
		if l := one(t, w.log, "sent", testPX(n)); l.Round != 1 || !strings.HasPrefix(l.Why, "250") {
			t.Errorf("sent: %+v", l)
		}
	}
	if l := one(t, w.log, "signed", testPX(1)); l.By != "upstream" {
		t.Errorf("signed: %+v", l)
	}
	if l := one(t, w.log, "canceled", testPX(2)); l.By != "upstream" {
		t.Errorf("canceled: %+v", l)
	}
	if l := one(t, w.log, "failed", testPX(3)); !strings.HasPrefix(l.Why, "550") || l.By != "countersign" {
		t.Errorf("failed: %+v", l)
	}
	if l := one(t, w.log, "failed", testPX(5)); l.Why != "came back: 5.1.1" {
		t.Errorf("failed: %+v", l)
	}
	if l := one(t, w.log, "refused", testPX(4)); l.Code != "order_taken" {
		t.Errorf("refused: %+v", l)
	}
	if l := one(t, w.log, "dead letter", testPX(7)); l.Code != "invalid" || l.Field != "data.email" || fmt.Sprint(l.Sequence) != dead {
		t.Errorf("dead letter: %+v", l)
	}
	if l := one(t, w.log, "recalled", testPX(6)); l.Round != 2 {
		t.Errorf("recalled: %+v", l)
	}
	eventstest.Wait(t, "two mails given up", func() bool { return len(lines(t, w.log, "gave up on an email", testPX(1))) == 2 })
	for _, l := range lines(t, w.log, "gave up on an email", testPX(1)) {
		if !strings.HasPrefix(l.Reply, "550") || !strings.HasPrefix(l.Mail, string(testPX(1))) {
			t.Errorf("gave up: %+v", l)
		}
	}
	w.end()
	for _, secret := range []string{"private.example", "/sign/", "ask "} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// TestServe_LogOfThePastIsOneLine deletes the database: the lines of its making
// are counted, and what comes after is said again.
func TestServe_LogOfThePastIsOneLine(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(1, 30, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 30)
	x.rest(dir)
	if n := len(lines(t, w.log, "sent", "")); n != 30 {
		t.Errorf("%d lines", n)
	}
	w.end()
	again := start(t, x.env(dir)) // with its database: nothing is new
	again.says("read to its end")
	again.end()
	if n := len(lines(t, again.log, "sent", "")) + len(lines(t, again.log, past, "")); n != 0 {
		t.Errorf("a restart says %d lines", n)
	}
	removeDatabase(t, dir)
	w = start(t, x.env(dir))
	w.says("read to its end")
	if l := one(t, w.log, past, ""); l.Sent != 30 {
		t.Errorf("of the past: %+v", l)
	}
	x.say(status(1, workflow.Signed))
	one(t, w.log, "signed", testPX(1))
	if n := len(lines(t, w.log, "sent", "")); n != 0 {
		t.Errorf("the past is said in %d lines", n)
	}
	w.end()
}

const past = "what happened before this worker had read the log to its end"

// TestServe_LogSaysWhoTookOver freezes the worker that sends, which has claimed
// emails, and reads of the takeover in the log of the other, and in its own
// when it goes on.
func TestServe_LogSaysWhoTookOver(t *testing.T) {
	x, one, two := newTown(t), t.TempDir(), t.TempDir()
	first := x.process(x.env(one, "COUNTERSIGN_MAIL_DEADLINE=2s"))
	x.create(1, 1, "signer-%d@example.com")
	x.statuses(one, workflow.Signing, 1)
	second := x.process(x.env(two, "COUNTERSIGN_MAIL_DEADLINE=2s"))
	first.freeze()
	x.create(2, 1, "signer-%d@example.com")
	second.says(`"this worker took over"`)
	first.thaw()
	first.says(`"another worker took over"`)
	x.statuses(one, workflow.Signing, 2)
}

// TestServe_LogSaysWhatWasReleased has a mail server that is slow, so that
// emails that were claimed cannot be begun in time.
func TestServe_LogSaysWhatWasReleased(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	open := make(chan struct{})
	x.box.Script(func(s catcher.Step) error {
		if s.Phase == catcher.RcptTo {
			<-open
		}
		return nil
	})
	w := start(t, x.env(dir, "COUNTERSIGN_MAIL_POOL=1", "COUNTERSIGN_MAIL_DEADLINE=20s"))
	w.says("read to its end")
	x.create(1, 5, "signer-%d@example.com")
	eventstest.Wait(t, "claimed emails", func() bool { return x.subjects()["_.mail.claimed"] > 0 })
	w.stop()
	close(open)
	if code := w.end(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	again := start(t, x.env(dir))
	again.says("read to its end")
	x.statuses(dir, workflow.Signing, 5)
	again.end()
	if !strings.Contains(w.log.String()+again.log.String(), "released") {
		t.Error("nothing is said of emails that were claimed and not begun")
	}
}
