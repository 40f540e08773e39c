package report_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"countersign/events"
	"countersign/internal/mail/report"
	"countersign/workflow"
)

const reportedOn = "PX0123456789abcdef0123456789abcdef"

func reportFile(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "reports", name+".eml"))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestRead reads reports in the shapes of the mail servers they are named
// for.
func TestRead(t *testing.T) {
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
			raw := reportFile(t, tt.name)
			got, err := report.Read(bytes.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			want := []workflow.Bounced{{Mail: reportedOn + workflow.MailID(tt.mail), Action: tt.action, Status: tt.status, Diagnostic: tt.words}}
			if diff := cmp.Diff(want, got.Reports); diff != "" || !strings.HasPrefix(got.ID, tt.id) {
				t.Errorf("id %s, want %s; reports (-want +got):\n%s", got.ID, tt.id, diff)
			}
			again, err := report.Read(bytes.NewReader(raw))
			if diff := cmp.Diff(got, again); err != nil || diff != "" {
				t.Errorf("read again: %v\n%s", err, diff)
			}
		})
	}
}

// TestRead_KeepsWhatItDoesNotUnderstand reads messages that are no report on
// an email of ours. None is lost, and none counts.
func TestRead_KeepsWhatItDoesNotUnderstand(t *testing.T) {
	for name, automatic := range map[string]bool{
		"not-autoreply": true, "not-read-receipt": true, "not-ours": false,
		"not-ours-answer": false, "not-ours-references": true, // somebody's answer to an email of ours came back
	} {
		got, err := report.Read(bytes.NewReader(reportFile(t, name)))
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case name == "not-ours-references": // without the answer the references are all there is
			if len(got.Reports) != 0 || got.Unread == nil {
				t.Errorf("%s: %+v", name, got)
			}
		case got.Automatic != automatic || (got.Unread == nil) != automatic:
			t.Errorf("%s: %+v", name, got)
		}
		if u := got.Unread; u != nil && strings.Contains(u.Reason+u.From+u.Subject+u.Text, "@") {
			t.Errorf("%s: an address is kept:\n%+v", name, u)
		}
	}
	if _, err := report.Read(strings.NewReader("\r\n")); !errors.Is(err, report.ErrEmpty) {
		t.Errorf("nothing: %v", err)
	}
}

// FuzzRead holds ReadReport to what it promises of any bytes: what it
// takes is an event that everybody can read, without an address in it.
func FuzzRead(f *testing.F) {
	for _, dir := range []string{"reports", "cases"} {
		files, err := filepath.Glob(filepath.Join("testdata", dir, "*.eml"))
		if err != nil || len(files) == 0 {
			f.Fatal(len(files), err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
	for _, s := range shapes(f) {
		f.Add([]byte(s.raw))
	}
	status := regexp.MustCompile(events.StatusPattern)
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := report.Read(bytes.NewReader(raw))
		if err != nil {
			if !errors.Is(err, report.ErrEmpty) {
				t.Errorf("an error of its own: %v", err)
			}
			return
		}
		if got.ID == "" || len(got.Reports) == 0 && !got.Automatic && got.Unread == nil || got.Unread != nil && len(got.Reports) > 0 {
			t.Errorf("it is lost: %+v", got)
		}
		for _, r := range got.Reports {
			if !r.Mail.Valid() || !status.MatchString(r.Status) || strings.Contains(r.Diagnostic, "@") {
				t.Errorf("%+v", r)
			}
			e := events.Bounced("", "bounce."+got.ID, "", r).By(workflow.WriterBounce)
			if _, err := e.Message(); err != nil {
				t.Errorf("it is no event: %v\n%+v", err, r)
			}
		}
		if u := got.Unread; u != nil {
			if strings.Contains(u.From+u.Subject+u.Text, "@") || len(u.Text) > 64<<10 || !utf8.ValidString(u.Subject+u.From+u.Text) || len(u.Digest) != 64 {
				t.Errorf("%+v", u)
			}
		}
	})
}
