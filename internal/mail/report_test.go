package mail_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"countersign/events"
	"countersign/internal/mail"
	"countersign/workflow"
)

const reportedOn = "PX0123456789abcdef0123456789abcdef"

func report(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "reports", name+".eml"))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestReadReport reads reports in the shapes of the mail servers they are named
// for.
func TestReadReport(t *testing.T) {
	for _, tt := range []struct {
		name, mail, id string
		action         workflow.Action
		status, words  string
	}{
		{"postfix", ".1.signature.0", "20261123150407.4XYZ2@mx.example.com", "failed", "5.1.1", "550 5.1.1 <…>: Recipient address rejected: User unknown in local recipient table"},
		{"postfix-pipe", ".1.signature.0", "20261123150407.4XYZ2@mx.example.com", "failed", "5.1.1", "550 5.1.1 <…>: Recipient address rejected: User unknown in local recipient table"},
		{"postfix-delayed", ".1.signature.0", "20261123190407.4XYZ3@mx.example.com", "delayed", "4.4.1", "connect to mx.slow.example.net[192.0.2.26]:25: Connection timed out"},
		{"postfix-expired", ".1.signature.0", "20261123150407.4XYZ9@mx.example.com", "failed", "4.4.1", "connect to mx.slow.example.net[192.0.2.26]:25: Connection timed out"},
		{"exim", ".1.sent.2", "E1tEabc-000000002-AbC2@relay.example.org", "failed", "5.0.0", "552 5.3.4 Message too big for <…>"},
		{"exchange", ".1.signature.0", "0a1b2c3d-4e5f-6789-abcd-ef0123456789@EX01.corp.example.net", "failed", "5.1.10", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient <…> not found by SMTP address lookup"},
		{"gmail", ".2.signature.4711", "6743a1b2.050a0220.c0ffee.0001.GMR@mx.google.com", "failed", "5.1.1", "550-5.1.1 The email account that you tried to reach does not exist. Please try 550-5.1.1 double-checking the recipient's email address for typos or 550 5.1.1 unnecessary spaces. See <…> or <…>"},
		{"list", ".1.signed.1", "sha256:", "relayed", "2.1.9", ""},
		{"links", ".1.signature.0", "20261123150407.4XYZ5@mx.example.com", "failed", "5.7.1", "550 5.7.1 blocked: <…> by <…> as spam"},
		{"global", ".3.reminder.2", "utf8@mx.example.com", "failed", "5.0.0", "550 no <…> here"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := report(t, tt.name)
			got, err := mail.ReadReport(bytes.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			want := workflow.Bounced{Mail: reportedOn + workflow.MailID(tt.mail), Action: tt.action, Status: tt.status, Diagnostic: tt.words}
			if got.Bounced != want || !strings.HasPrefix(got.ID, tt.id) {
				t.Errorf("got  %+v\nwant %+v, id %s", got, want, tt.id)
			}
			again, err := mail.ReadReport(bytes.NewReader(raw))
			if err != nil || again != got {
				t.Errorf("read again: %+v, %v", again, err)
			}
		})
	}
}

func TestReadReportRefuses(t *testing.T) {
	for name, want := range map[string]error{
		"not-autoreply": mail.ErrNoReport, "not-read-receipt": mail.ErrNoReport, "not-ours": mail.ErrNotOurs, "not-whole": mail.ErrNoReport,
		"not-ours-answer": mail.ErrNotOurs, "not-ours-references": mail.ErrNotOurs, // somebody's answer to a mail of ours came back
	} {
		if got, err := mail.ReadReport(bytes.NewReader(report(t, name))); !errors.Is(err, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		} else if strings.ContainsAny(err.Error(), "@") {
			t.Errorf("%s: the error quotes an address: %v", name, err)
		}
	}
	if _, err := mail.ReadReport(strings.NewReader("")); !errors.Is(err, mail.ErrNoReport) {
		t.Errorf("nothing: %v", err)
	}
}

// FuzzReadReport holds ReadReport to what it promises of any bytes: what it
// takes is an event that everybody can read, without an address in it.
func FuzzReadReport(f *testing.F) {
	files, err := filepath.Glob("testdata/reports/*.eml")
	if err != nil || len(files) == 0 {
		f.Fatal(len(files), err)
	}
	for _, file := range files {
		f.Add(report(f, strings.TrimSuffix(filepath.Base(file), ".eml")))
	}
	status := regexp.MustCompile(events.StatusPattern)
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := mail.ReadReport(bytes.NewReader(raw))
		if err != nil {
			if !errors.Is(err, mail.ErrNoReport) && !errors.Is(err, mail.ErrNotOurs) {
				t.Errorf("an error of its own: %v", err)
			}
			return
		}
		if !got.Mail.Valid() || !status.MatchString(got.Status) || got.ID == "" || strings.Contains(got.Diagnostic, "@") {
			t.Errorf("%+v", got)
		}
		e := events.Bounced("", "bounce."+got.ID, "", got.Bounced).By(workflow.WriterBounce)
		if _, err := e.Message(); err != nil {
			t.Errorf("it is no event: %v\n%+v", err, got)
		}
	})
}
