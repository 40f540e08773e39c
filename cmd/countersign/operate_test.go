package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/catcher"
	"countersign/workflow"
)

// reportFile is a mail server's report on a mail that it was handed, in Postfix's
// shape.
func reportFile(t *testing.T, m catcher.Mail, id, action, status, words string) string {
	t.Helper()
	head, _, _ := strings.Cut(string(m.Raw), "\r\n\r\n")
	raw := fmt.Sprintf("From MAILER-DAEMON  Mon Nov 23 15:04:07 2026\nFrom: MAILER-DAEMON@mx.example.com\nTo: %[1]s\nMessage-Id: <%[2]s>\n"+
		"MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: text/plain\n\nSorry.\n\n"+
		"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.com\n\nFinal-Recipient: rfc822; %[3]s\nAction: %[4]s\nStatus: %[5]s\n"+
		"Diagnostic-Code: smtp; %[6]s\n\n--b\nContent-Type: text/rfc822-headers\n\n%[7]s\n\n--b--\n",
		m.From, id, m.To[0], action, status, words, strings.ReplaceAll(head, "\r\n", "\n"))
	name := filepath.Join(t.TempDir(), "report.eml")
	if err := os.WriteFile(name, []byte(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// oneTo finds the one mail to an address whose Message-ID has the words in it.
func (x *town) oneTo(to, words string) catcher.Mail {
	x.t.Helper()
	var found []catcher.Mail
	for _, m := range x.box.Mails() {
		if m.To[0] == to && strings.Contains(m.MessageID, words) {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		x.t.Fatalf("%d mails to %s are %s", len(found), to, words)
	}
	return found[0]
}

// TestBounce_HardReportEndsTheDocumentOnce takes in reports on mails: delayed and of a cc's notice,
// which end nothing, and hard ones, which end the documents, once, through a
// pipe and through a file.
func TestBounce_HardReportEndsTheDocumentOnce(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir, "COUNTERSIGN_MAIL_RETURN_PATH=bounces@countersign.example"))
	w.says("read to its end")
	x.create(0, 2, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 2)
	first := x.oneTo("signer-0@example.com", ".signature.0")
	if first.From != "bounces@countersign.example" {
		t.Errorf("the sender of the envelope is %s", first.From)
	}
	delayed := reportFile(t, first, "1@mx", "delayed", "4.4.1", "timed out")
	if out := x.must(dir, "bounce", delayed); !strings.Contains(out, ".signature.0: delayed, status 4.4.1") || !strings.Contains(out, "applied") {
		t.Errorf("a delay: %s", out)
	}
	if doc := x.document(dir, testPX(0)); doc.Status != workflow.Signing {
		t.Errorf("after a delay it is %s", doc.Status)
	}
	hard := reportFile(t, first, "2@mx", "failed", "5.1.1", "550 5.1.1 <signer-0@example.com>: no such user")
	x.must(dir, "bounce", hard)
	if doc := x.document(dir, testPX(0)); doc.Status != workflow.Failed || doc.Reason != "the signature mail came back: 5.1.1 550 5.1.1 <…>: no such user" {
		t.Errorf("it is %s: %s", doc.Status, doc.Reason)
	}
	before := dump(t, dir)
	x.must(dir, "bounce", hard)
	if subjects := x.subjects(); subjects[on(0, "became.failed.1")] != 1 {
		t.Errorf("it failed %d times", subjects[on(0, "became.failed.1")])
	}
	if after := dump(t, dir); strings.Count(after, `["bounces",`) != 2 || strings.Count(after, `["history",`) != strings.Count(before, `["history",`) {
		t.Error("a second copy of a report changes something")
	}
	x.pipes(dir, reportFile(t, x.oneTo("signer-1@example.com", ".signature.0"), "3@mx", "failed", "5.2.1", "550 disabled"))
	x.statuses(dir, workflow.Failed, 2)
	show := x.must(dir, "documents", "show", string(testPX(0)))
	for _, s := range []string{"REPORTED SINCE", "failed 5.1.1 550 5.1.1 <…>: no such user", "mail reported delayed"} {
		if !strings.Contains(show, s) {
			t.Errorf("documents show does not say %q:\n%s", s, show)
		}
	}
	if show := x.must(dir, "documents", "show", "--json", string(testPX(0))); !strings.Contains(show, `"reported"`) || !strings.Contains(show, `"status": "5.1.1"`) {
		t.Errorf("documents show --json:\n%s", show)
	}
	w.end()
}

// pipes takes in a report as a mail server's pipe does: by a program that has
// no database and reads standard input.
func (x *town) pipes(dir, file string) {
	x.t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		x.t.Fatal(err)
	}
	var out bytes.Buffer
	c := exec.CommandContext(x.t.Context(), os.Args[0], "bounce", "-")
	c.Env = append(x.env(x.t.TempDir()), "AS_PROGRAM=1")
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(raw), &out, &out
	if err := c.Run(); err != nil || !strings.Contains(out.String(), "failed, status 5.2.1") {
		x.t.Errorf("through a pipe: %v\n%s", err, out.String())
	}
}

// TestBounce_ExitCodeTellsTheMailServer tries what a pipe's mail server has to know by the
// exit code.
func TestBounce_ExitCodeTellsTheMailServer(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(0, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	m := x.oneTo("signer-0@example.com", ".signature.0")
	known := reportFile(t, m, "1@mx", "delayed", "4.4.1", "")
	m.Raw = bytes.ReplaceAll(m.Raw, []byte(testPX(0)), []byte(testPX(7)))
	unknown := reportFile(t, m, "2@mx", "failed", "5.1.1", "")
	letter := filepath.Join(t.TempDir(), "letter.eml")
	if err := os.WriteFile(letter, []byte("From: a@example.com\n\nHello.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		code int
		args []string
	}{
		{exitOK, []string{"bounce", known}},
		{exitDataError, []string{"bounce", unknown}},
		{exitOK, []string{"bounce", letter}}, // kept as an unread report
		{exitNoInput, []string{"bounce", "/dev/null"}},
		{exitTemporary, []string{"bounce", letter, "--nats-url", "nats://127.0.0.1:1"}},
		{exitNoInput, []string{"bounce", "/nowhere.eml"}},
		{exitTemporary, []string{"bounce", known, "--nats-url", "nats://127.0.0.1:1"}},
		{exitTemporary, []string{"bounce", known, "--config", "/nowhere.yaml"}},
		{exitTemporary, []string{"bounce", known, "--nats-url", "", "--nats-listen", "off"}},
		{exitUsage, []string{"bounce"}},
	} {
		x.call(dir, tt.code, tt.args...)
	}
	w.end()
}

// TestDocuments_ResendRecallAndCancelActOnce goes through what an operator can
// ask of a document: each once, however often the command is run.
func TestDocuments_ResendRecallAndCancelActOnce(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(0, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	x.rest(dir)
	px := string(testPX(0))
	if out := x.must(dir, "documents", "resend", px, "--dry-run"); !strings.Contains(out, "signing\tround 1") {
		t.Errorf("dry run: %s", out)
	}
	x.must(dir, "documents", "resend", px)
	x.rest(dir)
	mails := signatures(x, "signer-0@example.com")
	if len(mails) != 2 || linkInMail.FindString(mails[0].Text) == "" || mails[1].Header.Get("In-Reply-To") != mails[0].MessageID {
		t.Fatalf("%d signature mails", len(mails))
	}
	old, again := x.follows(w, mails[0]), x.follows(w, mails[1])
	again.must("GET", "", nil, 200)
	old.must("GET", "", nil, 200)

	out := x.must(dir, "documents", "resend", px, "--email", "right@example.net")
	if !strings.Contains(out, "round 2") {
		t.Errorf("corrected: %s", out)
	}
	x.rest(dir)
	for range 2 { // what is done is not done again
		x.must(dir, "documents", "resend", px, "--email", "Right@example.net")
	}
	x.rest(dir)
	if n := len(signatures(x, "right@example.net")); n != 1 || len(signatures(x, "signer-0@example.com")) != 2 {
		t.Errorf("%d mails to the corrected address", n)
	}
	page := old.must("GET", "", nil, 410)
	if !strings.Contains(page, "r…@example.net") || strings.Contains(page, "right@example.net") {
		t.Errorf("the old link does not say where to look, or says too much:\n%s", page)
	}
	good := x.follows(w, signatures(x, "right@example.net")[0])
	form := good.form("sign")

	x.must(dir, "documents", "recall", px)
	x.must(dir, "documents", "recall", px)
	if page := good.must("POST", "", form, 410); !strings.Contains(page, "taken back") {
		t.Errorf("a recalled letter:\n%s", page)
	}
	if out := x.must(dir, "documents", "resend", px, "--json"); !strings.Contains(out, `"round":3`) {
		t.Errorf("sent after a recall: %s", out)
	}
	x.rest(dir)
	x.call(dir, exitUsage, "documents", "cancel", px)
	x.must(dir, "documents", "cancel", px, "--reason", "Not needed.")
	x.must(dir, "documents", "cancel", px, "--reason", "Not needed.")
	if doc := x.document(dir, testPX(0)); doc.Status != workflow.Canceled || doc.CanceledBy != "account" || doc.Reason != "Not needed." || doc.Round != 3 {
		t.Errorf("%+v", doc)
	}
	for _, what := range []string{"resend", "recall"} {
		if _, errs := x.call(dir, exitFailure, "documents", what, px); !strings.Contains(errs, "is canceled, which cannot be changed") {
			t.Errorf("%s: %s", what, errs)
		}
	}
	x.call(dir, exitFailure, "documents", "resend", string(testPX(9)))
	x.call(dir, exitUsage, "documents", "resend", "PX")
	w.end()
}

// signatures are the signature mails to an address, oldest first.
func signatures(x *town, to string) (out []catcher.Mail) {
	for _, m := range x.box.Mails() {
		if m.To[0] == to && strings.Contains(m.MessageID, ".signature.") {
			out = append(out, m)
		}
	}
	return out
}

// follows opens the link in a mail at a worker.
func (x *town) follows(w *running, m catcher.Mail) *visitor {
	x.t.Helper()
	return &visitor{t: x.t, url: "http://" + w.address("public") + linkInMail.FindStringSubmatch(m.Text)[1]}
}

// TestDocumentsResend_CompletesAnInterruptedCorrection: the document was recalled, and the
// command died before it sent it on.
func TestDocumentsResend_CompletesAnInterruptedCorrection(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(0, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	x.rest(dir)
	x.call(dir, exitUsage, "documents", "resend", string(testPX(0)), "--email", "nobody") // before anything is changed
	if doc := x.document(dir, testPX(0)); doc.Status != workflow.Signing {
		t.Errorf("after a bad address it is %s", doc.Status)
	}
	x.must(dir, "documents", "recall", string(testPX(0)))
	x.must(dir, "documents", "resend", string(testPX(0)), "--email", "right@example.net")
	x.statuses(dir, workflow.Signing, 1)
	if doc := x.document(dir, testPX(0)); doc.Round != 2 || doc.Email != "right@example.net" {
		t.Errorf("%+v", doc)
	}
	w.end()
}
