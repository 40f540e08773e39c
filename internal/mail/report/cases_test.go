package report_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/mail/mailid"
	"countersign/internal/mail/report"
	"countersign/workflow"
)

// comesTo is what a reading comes to, on one line.
func comesTo(r report.Reading) string {
	var list []string
	for _, b := range r.Reports {
		list = append(list, fmt.Sprintf("%s %s of %s", b.Action, b.Status, strings.TrimPrefix(string(b.Mail), reportedOn)))
	}
	switch {
	case r.Unread != nil:
		return "unread"
	case r.Automatic:
		list = append(list, "automatic")
	}
	return strings.Join(list, ", ")
}

func readReport(t testing.TB, raw string) report.Reading {
	t.Helper()
	got, err := report.Read(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// verpOf is the id of an email as it is written into a return path.
func verpOf(t testing.TB, id string) string {
	t.Helper()
	mark, _, _ := strings.Cut(mailid.ReturnPath(mailid.Placeholder+"@x", workflow.MailID(id)), "@")
	if mark == "" {
		t.Fatalf("%s has no place in an address", id)
	}
	return mark
}

func caseFile(t testing.TB, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "cases", name+".eml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

const (
	failed511 = "failed 5.1.1 of .1.signature.0"
	thisMail  = reportedOn + ".1.signature.0"
	oursAt    = "<" + thisMail + "@countersign.example>"
)

// TestRead_CasesFromTheField reads every case of its kind that was found in
// use, and variants of each. A variant is the case with one string replaced.
func TestRead_CasesFromTheField(t *testing.T) {
	const ses = "Message-ID: <0102018f00000000-11111111-2222-3333-4444-555555555555-000000@eu-west-1.amazonses.com>\n"
	verp := verpOf(t, thisMail)
	for _, tt := range []struct{ file, old, new, want string }{
		{"e0-control", "", "", failed511},
		{"e1-ses-new-message-id", "", "", "unread"}, // as it stands it has no mark of ours
		{"e1-ses-new-message-id", ses, ses + "X-Countersign-Mail: " + thisMail + "\n", failed511},
		{"e1-ses-new-message-id", ses, ses + "x-countersign-mail:" + strings.ToLower(thisMail) + "\n", failed511},
		{"e1-ses-new-message-id", "Reporting-MTA:", "Original-Envelope-Id: " + thisMail + "\nReporting-MTA:", failed511},
		{"e1-ses-new-message-id", "To: loa@countersign.example\nSubject: Undel", "To: loa+" + verp + "@countersign.example\nSubject: Undel", failed511},
		{"e1-ses-new-message-id", "To: loa@countersign.example\nSubject: Undel", "To: loa@countersign.example\nDelivered-To: LOA+" + strings.ToUpper(verp) + "@countersign.example\nSubject: Undel", failed511},
		{"e1-ses-new-message-id", "From: loa@countersign.example\n", "Return-Path: <SRS0=abcd=XY=countersign.example=loa+" + verp + "@relay.example>\n", failed511},
		{"e1-ses-new-message-id", "From: loa@countersign.example\n", "In-Reply-To: " + oursAt + "\nReferences: " + oursAt + "\n", "unread"}, // it may be a cc's notice
		{"e2a-microsoft-original-message-id", "", "", failed511},
		{"e2a-microsoft-original-message-id", "X-Microsoft-Original-Message-ID: <", "X-MICROSOFT-original-message-id:<", failed511},
		{"e2a-microsoft-original-message-id", "X-Microsoft-Original-Message-ID", "Origin-messageId", failed511},
		{"e2b-google-original-message-id", "", "", failed511},
		{"e2b-google-original-message-id", "X-Google-Original-Message-ID: ", "X-Google-Original-Message-ID:\n\t", failed511},
		{"e2b-google-original-message-id", "X-Google-Original-Message-ID", "X-Relay-Message-Original", failed511},
		{"e3a-bad-line-in-header", "", "", failed511},
		{"e3a-bad-line-in-header", "not folded as it should be\n", ": no name\n\x01\xff\xfe\n=?bad?=\n", failed511},
		{"e3a-bad-line-in-header", "not folded as it should be\n", "not folded\nnot folded either\nnor this, which ends in ;\n", failed511},
		{"e3b-space-before-colon", "", "", failed511},
		{"e3b-space-before-colon", "Content-Type: multipart", "Content-Type : multipart", failed511},
		{"e3b-space-before-colon", "Action: failed", "Action\t: failed", failed511},
		{"e4a-boundary-unquoted-equals", "", "", failed511},
		{"e4a-boundary-unquoted-equals", "boundary===", "boundary = ==", failed511},
		{"e4a-boundary-unquoted-equals", "boundary===_r_123", "charset=", failed511}, // none is named
		{"e4b-boundary-unquoted-slash-colon", "", "", failed511},
		{"e4b-boundary-unquoted-slash-colon", "boundary=A1B2.16/mx:example", `boundary="A1B2.16/mx:example`, failed511},
		{"e4b-boundary-unquoted-slash-colon", "boundary=A1B2", "boundary=another/A1B2", failed511},
		{"e4d-trailing-garbage", "", "", failed511},
		{"e4d-trailing-garbage", `"b1"; ;`, `"b1";;=x; charset; ="`, failed511},
		{"e4d-trailing-garbage", `"b1"; ;`, `"b1" (a comment`, failed511},
		{"e4f-returned-part-bad-param", "", "", failed511},
		{"e4f-returned-part-bad-param", "charset=; name=original headers", "charset", failed511},
		{"e4f-returned-part-bad-param", "text/rfc822-headers; charset=; name=original headers", "Text/RFC822-Headers;", failed511},
		{"e5a-first-part-unfolded-parameter", "", "", failed511},
		{"e5a-first-part-unfolded-parameter", "boundary=\"a1\"\n", "", failed511},
		{"e5a-first-part-unfolded-parameter", "--a1--\n", "", failed511},
		{"e5a0-first-part-folded-control", "", "", failed511},
		{"e5b-message-id-in-text-only", "", "", failed511},
		{"e5b-message-id-in-text-only", "Message-ID: <" + thisMail + "@countersign.example>", "> Message-ID: &lt;" + thisMail + "@countersign.example&gt;", failed511},
		{"e5b-message-id-in-text-only", "Message-ID: <", "References: <", "unread"}, // it may be a cc's notice
		{"e5c-action-missing-status-5.3.0", "", "", failed511},
		{"e5c-action-missing-status-5.3.0", "Status: 5.1.1", "Action: bounced\nStatus: 5.1.1 (no such user)", failed511},
		{"e5c-action-missing-status-5.3.0", "Status: 5.1.1", "Status: 4.4.1", "delayed 4.4.1 of .1.signature.0"},
		{"e5c-action-missing-status-5.3.0", "Status: 5.1.1", "X-None: x", "failed 5.0.0 of .1.signature.0"}, // by the words
		{"e5e-blank-line-within-recipient", "", "", failed511},
		{"e5e-blank-line-within-recipient", "Reporting-MTA: dns; mx.example.net\n\n", "Reporting-MTA: dns; mx.example.net\n", failed511},
		{"e5e-blank-line-within-recipient", "Action: failed\n", "Action: failed\n \t\n", failed511},
		{"e5h-crlf", "", "", failed511},
		{"e5h-crlf", "\r\n", "\n", failed511},
		{"e5h-crlf", "\r\n", "\r", failed511},
		{"e6a-report-forwarded-as-attachment", "", "", failed511},
		{"e6a-report-forwarded-as-attachment", "message/rfc822", "message/rfc822; name=report.eml", failed511},
		{"e6a-report-forwarded-as-attachment", "--b1--\n\n--o1--\n", "", failed511}, // cut off
		{"e7-no-returned-part", "", "", "unread"},                                   // nothing of ours is in it
		{"e7-no-returned-part", "To: loa@countersign.example\nSubject: Undel", "X-Original-To: loa-" + verp + "@countersign.example\nSubject: Undel", failed511},
		{"e7-no-returned-part", "Reporting-MTA:", "Original-Envelope-ID:  <" + thisMail + ">\nReporting-MTA:", failed511},
		{"e7-no-returned-part", "Subject: Undel", "In-Reply-To: " + oursAt + "\nSubject: Undel", failed511},
		{"e7b-envelope-id", "", "", failed511},
		{"e7b-envelope-id", thisMail + "@countersign.example", thisMail, failed511},
		{"e7b-envelope-id", "PX0123", "px0123", failed511},
		{"e7c-x-original-message-id", "", "", failed511},
		{"e7c-x-original-message-id", "X-Original-Message-ID: <", "X-PM-Original: <", failed511},
		{"e7c-x-original-message-id", "X-Original-Message-ID:", "Original-Message-Id :", failed511},
		{"e8-qmail", "", "", failed511},
		{"e8-qmail", "Remote host said: 550 5.1.1 no such mailbox", "Sorry, no mailbox here by that name. (#5.1.1)", failed511},
		{"e8-qmail", "Remote host said: 550 5.1.1 no such mailbox", "Sorry, no mailbox here by that name.", "failed 5.0.0 of .1.signature.0"},
		{"e8-qmail", "Message-ID: <PX", "Message-ID: <XX", "unread"},
		{"e9-mailbox-full-5.2.2", "", "", "failed 5.2.2 of .1.signature.0"}, // ends nothing, see workflow
		{"e9-mailbox-full-5.2.2", "Status: 5.2.2", "Status: 5.0.0", "failed 5.2.2 of .1.signature.0"},
		{"e9-mailbox-full-5.2.2", "Status: 5.2.2\nDiagnostic-Code: smtp; 550 5.2.2 mailbox is full", "Diagnostic-Code: smtp; 552 user is over quota", "failed 5.2.2 of .1.signature.0"},
		{"e9b-too-large-5.3.4", "", "", "failed 5.3.4 of .1.signature.0"},
		{"e9c-spam-5.7.1", "", "", "failed 5.7.1 of .1.signature.0"},
		{"e10-vacation", "", "", "replied 2.0.0 of .1.signature.0, automatic"},
		{"e10-vacation", "Auto-Submitted: auto-replied", "X-Autoreply: yes", "replied 2.0.0 of .1.signature.0, automatic"},
		{"e10-vacation", "Subject: Away until Monday", "Subject: =?utf-8?Q?Abwesenheitsnotiz?=", "replied 2.0.0 of .1.signature.0, automatic"},
		{"e10-vacation", "Auto-Submitted: auto-replied", "Return-Path: <>\nX-Autorespond: 1", "replied 2.0.0 of .1.signature.0, automatic"},
		{"e10-vacation", "I am away.", "I am away, call extension 550 5.1.1 instead.", "replied 2.0.0 of .1.signature.0, automatic"},
		{"e10-vacation", "In-Reply-To: <PX", "X-None: <QX", "automatic"},
		{"e10-vacation", "Auto-Submitted: auto-replied", "X-None: x", "unread"}, // a person answers to the return path
	} {
		raw := caseFile(t, tt.file)
		t.Run(tt.file+"/"+tt.new, func(t *testing.T) {
			if tt.old != "" && !strings.Contains(raw, tt.old) {
				t.Fatalf("the case has no %q", tt.old)
			}
			if tt.old != "" {
				raw = strings.ReplaceAll(raw, tt.old, tt.new)
			}
			got := readReport(t, raw)
			if s := comesTo(got); s != tt.want {
				t.Errorf("got %q, want %q\n%+v", s, tt.want, got.Unread)
			}
		})
	}
}

// TestRead_EveryCaseIsHere holds that no case file goes untried.
func TestRead_EveryCaseIsHere(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/e*.eml")
	if err != nil || len(files) != 25 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	source, err := os.ReadFile("cases_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".eml"); !bytes.Contains(source, []byte(`{"`+name+`", "", "", `)) {
			t.Errorf("%s is not tried", name)
		}
	}
}

// TestRead_EveryMarkIsTriedInItsOrder reads a report with all marks, each of
// another email, and takes off one after the other.
func TestRead_EveryMarkIsTriedInItsOrder(t *testing.T) {
	id := func(n int) string { return fmt.Sprintf("%s.1.signature.%d", reportedOn, n) }
	at := func(n int) string { return "<" + id(n) + "@countersign.example>" }
	lines := []string{
		"Original-Envelope-Id: " + id(1), "To: loa+" + verpOf(t, id(2)) + "@countersign.example", "X-Countersign-Mail: " + id(3), "Message-ID: " + at(4),
		"X-Google-Original-Message-ID: " + at(5), "In-Reply-To: " + at(6), "Message-ID: " + at(7),
	}
	for first := range lines {
		use := func(n int) string {
			if n < first {
				return "X-None: x"
			}
			return lines[n]
		}
		raw := "From: MAILER-DAEMON@mx.example.net\n" + use(1) + "\n" + use(5) + "\nMIME-Version: 1.0\nContent-Type: multipart/report; boundary=b\n\n" +
			"--b\n\nSorry.\n\n" + use(6) + "\n\n--b\nContent-Type: message/delivery-status\n\n" + use(0) + "\n\nFinal-Recipient: rfc822; a@example.net\nAction: failed\nStatus: 5.1.1\n\n" +
			"--b\nContent-Type: message/rfc822\n\n" + use(2) + "\n" + use(3) + "\n" + use(4) + "\nReferences: " + at(9) + "\n\nletter " + at(10) + "\n--b--\n"
		got := readReport(t, raw)
		var ids []string
		for _, b := range got.Reports {
			for _, m := range b.Named() {
				ids = append(ids, string(m))
			}
		}
		var want []string
		for n := first + 1; n <= len(lines); n++ {
			want = append(want, id(n))
		}
		if fmt.Sprint(ids) != fmt.Sprint(want) {
			t.Errorf("without %d marks: got %s\nwant %s", first, ids, want)
		}
	}
}

// TestRead_MarksOfSeveralDocuments makes a report for each document: an
// event is about one, and the fold decides which email was sent.
func TestRead_MarksOfSeveralDocuments(t *testing.T) {
	const other = "PXffffffffffffffffffffffffffffffff.2.sent.1"
	raw := strings.Replace(caseFile(t, "e0-control"), "Reporting-MTA:", "Original-Envelope-Id: "+other+"\nReporting-MTA:", 1)
	got := readReport(t, raw)
	if len(got.Reports) != 2 || got.Reports[0].Mail != other || got.Reports[1].Mail != workflow.MailID(thisMail) {
		t.Errorf("%+v", got.Reports)
	}
}

// TestRead_SeveralReportsForwardedTogether reads every one of them.
func TestRead_SeveralReportsForwardedTogether(t *testing.T) {
	second := strings.ReplaceAll(caseFile(t, "e9-mailbox-full-5.2.2"), "b1", "b2")
	second = strings.ReplaceAll(second, reportedOn, "PXeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee")
	raw := "From: postmaster@example.com\nSubject: Fw: two\nContent-Type: multipart/mixed; boundary=o\n\n--o\n\nSee below.\n" +
		"--o\nContent-Type: message/rfc822\n\n" + caseFile(t, "e0-control") + "\n--o\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n" + second + "\n--o--\n"
	if s := comesTo(readReport(t, raw)); s != failed511+", failed 5.2.2 of PXeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee.1.signature.0" {
		t.Error(s)
	}
}

// TestRead_AStrangerGetsNoFurtherThanBefore reads what is no report, though
// it names an email of ours and speaks like a mail server.
func TestRead_AStrangerGetsNoFurtherThanBefore(t *testing.T) {
	for name, raw := range map[string]string{
		"a person quotes a code":     "From: a@example.net\nSubject: hello\nIn-Reply-To: " + oursAt + "\n\nThe server said: 550 5.1.1 no such user\n",
		"a person quotes a report":   "From: a@example.net\nSubject: Fw\n\n> Final-Recipient: rfc822; a@example.net\n> Action: failed\n> Status: 5.1.1\n> Message-ID: " + oursAt + "\n",
		"the postmaster in person":   "From: postmaster@a.example.net\nSubject: Re: Please sign\nIn-Reply-To: " + oursAt + "\n\nHe got 550 5.1.1 from us.\n",
		"an older vacation notice":   "Return-Path: <>\nFrom: a@example.net\nSubject: Away\nX-Autoreply: yes\nIn-Reply-To: " + oursAt + "\n\nCall extension 550 5.1.1 instead.\n",
		"a vacation notice with one": "From: a@example.net\nSubject: Away\nAuto-Submitted: auto-replied\nIn-Reply-To: " + oursAt + "\n\nCall extension 550 5.1.1 instead.\n",
		"an answer that came back": "From: MAILER-DAEMON@x.example\nSubject: failure notice\n\nHi. This is the qmail-send program.\n<a@example.net>:\n550 5.1.1 no\n\n" +
			"--- Below this line is a copy of the message.\n\nMessage-ID: <1@desk.example>\nSubject: Re: sign\nIn-Reply-To: " + oursAt + "\nReferences: " + oursAt + "\n\nhello " + oursAt + "\n",
		"a made-up id": "From: MAILER-DAEMON@x.example\nSubject: failure notice\n\n550 5.1.1 no\nMessage-ID: <" + thisMail + "x@countersign.example> <a" + thisMail + "@b> <" + thisMail + ".9@b>\n",
	} {
		got := readReport(t, raw)
		for _, b := range got.Reports {
			if b.Action != workflow.ActionReplied {
				t.Errorf("%s: it counts: %+v", name, b)
			}
		}
	}
}
