package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/mail"
	"strings"
	"testing"
	"time"

	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// setClock sets the program's wall clock wrong by a duration such as "72h"; "" for
// not at all.
func setClock(by string) {
	if by == "" {
		return
	}
	d, err := time.ParseDuration(by)
	if err != nil {
		panic(err)
	}
	wallClock = func() time.Time { return time.Now().Add(d) }
}

// TestServe_ReadyzClockWrong has clocks that are wrong by more and less: the warning,
// the metric and the alert show it, a link is judged by the log's time, and from a
// minute on nobody can sign.
func TestServe_ReadyzClockWrong(t *testing.T) {
	t.Parallel()
	for by, c := range map[string]struct {
		line, alert string
		code, post  int
	}{
		"50s":   {`clock: warning since .*clock is (50|49\.\d+)s ahead of the log's`, "CountersignClockOff", 200, 200},
		"-5s":   {`clock: warning since .*clock is [45](\.\d+)?s behind the log's`, "CountersignClockOff", 200, 200},
		"800h":  {`clock: failing since .*ahead of the log's: signatures are refused`, "CountersignTakesNoSignatures", 503, 503},
		"-800h": {`clock: failing since .*behind the log's: signatures are refused`, "CountersignTakesNoSignatures", 503, 503},
	} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			x, dir := newTown(t), t.TempDir()
			w, admin := x.up(dir, "AS_CLOCK="+by)
			probe(t, admin, c.code, c.line)
			x.create(1, 1, "signer-%d@example.com")
			s := x.signer(w.address("public"), testPX(1), 1)
			x.wantDatedByLog(testPX(1))
			said := s.must("POST", "", s.form("sign"), c.post) // form opens the link, too
			if c.post == 503 && !strings.Contains(said, "We cannot take signatures at the moment") {
				t.Errorf("the page says %s", said)
			}
			if c.post == 200 {
				x.wantSignedAtLogsTime(dir, testPX(1))
			}
			w.says(`"check":"clock"`)
			if n := strings.Count(w.log.String(), `"check":"clock"`); n != 1 {
				t.Errorf("told %d times", n)
			}
			wantAlert(t, admin, c.alert)
		})
	}
}

// wantDatedByLog compares the Date of the email to a document's signer with the
// test's clock, which is the log's.
func (x *town) wantDatedByLog(sid workflow.SID) {
	x.t.Helper()
	for _, m := range x.box.Mails() {
		if !strings.Contains(m.MessageID, string(sid)) {
			continue
		}
		message, err := mail.ReadMessage(bytes.NewReader(m.Raw))
		if err != nil {
			x.t.Fatal(err)
		}
		if date, err := message.Header.Date(); err != nil || time.Since(date).Abs() > 4*time.Second {
			x.t.Errorf("the email is of %s (%v)", date, err)
		}
	}
}

// wantSignedAtLogsTime compares the time in the evidence and in the letter with
// that of the entry.
func (x *town) wantSignedAtLogsTime(dir string, sid workflow.SID) {
	x.t.Helper()
	x.statuses(dir, workflow.Signed, 1)
	doc := x.document(dir, sid)
	var evidence struct{ Time time.Time }
	if err := json.Unmarshal(doc.Evidence, &evidence); err != nil {
		x.t.Fatal(err)
	}
	if d := doc.DateSigned.Sub(evidence.Time); d < 0 || d > 4*time.Second {
		x.t.Errorf("the log has it %s after the evidence's time", d)
	}
	log := eventstest.Open(x.t, x.nc, 1)
	pdf, err := log.Letter(context.Background(), eventlog.LetterName(sid, doc.LetterDigest))
	if err != nil {
		x.t.Fatal(err)
	}
	if at := evidence.Time.UTC().Format("20060102150405"); !strings.Contains(string(pdf), "/M (D:"+at+"Z)") {
		x.t.Errorf("the letter is not sealed at %s", at)
	}
}
