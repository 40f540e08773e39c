package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"countersign/db"
	"countersign/events"
	"countersign/internal/accounts"
	"countersign/internal/config"
	"countersign/internal/eventlog"
	"countersign/internal/evidence"
	"countersign/internal/letter"
	"countersign/internal/loa"
	"countersign/internal/operator"
	"countersign/internal/recovery"
	"countersign/internal/show"
	"countersign/internal/signing"
	"countersign/internal/terminal"
	"countersign/internal/test/certtest"
	"countersign/internal/ticket"
	"countersign/workflow"
)

// forged would read as lines of the program's own, move the cursor, change
// colours, and turn the direction of text.
const forged = "x\nforged    line\r\x1b[2K\x1b[31m\u009b2J\u0085\x9b2J\u202e\u2028\U000e0041\ufe0f\x7f"

// wantInert fails if something printed steers a terminal or has a forged line.
func wantInert(t *testing.T, what, said string) {
	t.Helper()
	if said == "" {
		t.Errorf("%s: it prints nothing", what)
	}
	for line := range strings.Lines(said) {
		line = strings.TrimSuffix(line, "\n")
		if terminal.Escape(line) != line || strings.HasPrefix(strings.TrimSpace(line), "forged") {
			t.Errorf("%s: it prints the line %q", what, line)
		}
	}
}

// TestCountersign_TextFromOutsidePrintsInert gives every table and view values that
// are as hostile as they could ever get there.
func TestCountersign_TextFromOutsidePrintsInert(t *testing.T) {
	sid := workflow.SID(forged)
	document := workflow.Document{
		SID: sid, AccountSID: sid, Status: workflow.Canceled, Reason: forged, CanceledBy: forged, Email: forged, CCEmails: []string{forged}, AddressSID: sid,
		Locale: forged, Subscriber: forged, ContactTitle: forged, ContactPhoneNumber: forged, LetterDigest: forged,
		Orders: []workflow.Order{{SID: sid, Status: forged, PhoneNumber: forged, CurrentCarrier: forged, FailureReason: forged}},
	}
	life := db.Life{
		Document: &document, Mails: []workflow.Mail{{ID: forged, Kind: forged, Recipient: forged, State: forged, Reply: forged}},
		Bounces: []db.Bounce{{Bounced: workflow.Bounced{Mail: forged, Action: forged, Status: forged, Diagnostic: forged}}},
		Events:  []db.OutboxEvent{{PendingEvent: workflow.PendingEvent{Account: sid, Document: sid, What: forged, Body: workflow.Register{}}, State: db.EventDone, Sequence: 1}},
		History: []db.HistoryLine{{What: forged, Detail: forged}},
	}
	dead := db.DeadLetter{Refusal: db.Refusal{
		Sequence: 7, EventID: forged, Source: forged, Code: workflow.CodeInvalid, Field: forged, Message: forged,
	}, Subject: forged, Document: sid, Closed: 9, Reason: forged}
	binary := events.Message{Data: []byte(forged), Header: nats.Header{"ce-" + forged: {forged}, "ce-id": {forged}}}
	quoted, err := json.Marshal(forged)
	if err != nil {
		t.Fatal(err)
	}
	structured := events.Message{Data: []byte("{\n\"a\":\r\n" + string(quoted) + ",\n\"forged\": \"line \u009b\u202e\"}")}
	report := recovery.Replayed{
		Documents: []recovery.DocumentChange{{SID: sid, Before: forged, After: forged}},
		Owing:     &db.Owing{Refusals: map[workflow.Code]int{forged: 1}},
	}
	for what, print := range map[string]func(*terminal.Printer) error{
		"documents list":        func(out *terminal.Printer) error { return show.Documents(out, []workflow.Document{document}) },
		"documents list --json": func(out *terminal.Printer) error { return show.EachJSON(out, []workflow.Document{document}) },
		"documents show":        func(out *terminal.Printer) error { return show.Document(out, sid, life) },
		"documents show --json": func(out *terminal.Printer) error { return out.JSONIndent(operator.LifeOf(life)) },
		"dead list":             func(out *terminal.Printer) error { return show.DeadLetters(out, []db.DeadLetter{dead}) },
		"dead list --json": func(out *terminal.Printer) error {
			return show.EachJSON(out, show.DeadLettersJSON([]db.DeadLetter{dead}))
		},
		"dead show, binary":     func(out *terminal.Printer) error { return show.DeadLetter(out, dead, binary, nil) },
		"dead show, structured": func(out *terminal.Printer) error { return show.DeadLetter(out, dead, structured, nil) },
		"dead show, no log":     func(out *terminal.Printer) error { return show.DeadLetter(out, dead, structured, errors.New(forged)) },
		"dead show --json":      func(out *terminal.Printer) error { return show.DeadLetterAsJSON(out, dead, binary, errors.New(forged)) },
		"accounts list": func(out *terminal.Printer) error {
			return show.Accounts(out, []accounts.Account{{SID: sid, Keys: []accounts.Key{{SID: sid}}}})
		},
		"keys list": func(out *terminal.Printer) error {
			return show.Keys(out, []show.Key{{LinkKey: ticket.LinkKey{ID: forged}, State: forged}})
		},
		"rules show": func(out *terminal.Printer) error {
			return show.Rules(out, workflow.RulesActivated{NotifyCC: []workflow.Status{forged}})
		},
		"replay": func(out *terminal.Printer) error {
			var err error
			for _, line := range report.Lines() {
				err = errors.Join(err, out.Linef("%s", line))
			}
			return err
		},
		"an error": func(out *terminal.Printer) error {
			return out.Error("countersign: ", exitError{errors.Join(errors.New(forged), errors.New(forged)), exitUsage})
		},
	} {
		var b strings.Builder
		if err := print(terminal.New(&b)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		said := b.String()
		if what == "rules show" { // one tab in a line, its own
			said = strings.ReplaceAll(said, "\t", " ")
		}
		wantInert(t, what, said)
		if strings.Contains(what, "json") && !json.Valid([]byte(strings.Split(b.String(), "\n}\n")[0]+"}")) && !json.Valid([]byte(b.String())) {
			t.Errorf("%s: it prints no JSON:\n%s", what, b.String())
		}
	}
}

// TestRun_ErrorsPrintInert gives the program hostile arguments, files and
// settings, from the outside.
func TestRun_ErrorsPrintInert(t *testing.T) {
	file := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(file, []byte(`{"subject":"x","data":`+"\x1b[31m\u009b}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{forged},
		{"documents", forged},
		{"documents", "show", forged},
		{"documents", "list", "--status", forged},
		{"dead", "show", forged},
		{"dead", "list", "--since", forged},
		{"publish", forged},
		{"publish", file},
		{"replay", "--from", forged, "x"},
		{"bounce", forged},
		{"evidence", "verify", forged},
		{"evidence", "verify", file},
		{"serve", "--" + forged},
		{"serve", "--nats-sync", forged, "--listen", forged},
		{"accounts", "add", "--sid", forged, "--data-dir", t.TempDir()},
		{"rules", "activate", forged},
		{"help", forged},
	} {
		var out, errs bytes.Buffer
		run(t.Context(), args, nil, &out, &errs)
		wantInert(t, strings.Join(args[:1], " "), out.String()+errs.String())
	}
}

// TestLogger_TextFromOutsidePrintsInert: messages, values, errors and groups, as
// JSON and as text, with colours and without.
func TestLogger_TextFromOutsidePrintsInert(t *testing.T) {
	var b bytes.Buffer
	colours := strings.NewReplacer("\x1b[93m", "", "\x1b[2m", "", "\x1b[0m", "", "\x1b[22m", "", "\x1b[91m", "", "\x1b[2;91m", "")
	for name, l := range map[string]*slog.Logger{
		"json":   logger(terminal.New(&b), config.Config{LogFormat: config.LogJSON}),
		"text":   logger(terminal.New(&b), config.Config{LogFormat: config.LogText}),
		"colour": slog.New(terminal.TextLog(terminal.New(&b), slog.LevelInfo, true)),
	} {
		b.Reset()
		for _, text := range []string{forged, `\x1b[31m two words`, "\x1b[31mone", "\ufe0f", "\u202e"} {
			l = l.With("with", text)
			l.Warn(text, "value", text, "err", errors.New(text), "any", []string{text}, slog.Group("group", "in", text), "stringer", workflow.SID(text))
		}
		said := b.String()
		if n := strings.Count(said, "\n"); n != 5 {
			t.Errorf("%s: %d lines for 5 records:\n%q", name, n, said)
		}
		if name == "colour" {
			if strings.Contains(said, "\x1b[31m") {
				t.Errorf("a value has a colour of its own: %q", said)
			}
		}
		wantInert(t, name, colours.Replace(said))
	}
}

// TestEvidenceVerify_FingerprintsComeBeforeAnyName checks an archive that a
// forger signed, by a certificate whose name has the genuine fingerprint.
func TestEvidenceVerify_FingerprintsComeBeforeAnyName(t *testing.T) {
	const account, px = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", workflow.SID("PX000102030405060708090a0b0c0d0e0f")
	at := time.Date(2026, 11, 24, 15, 4, 5, 0, time.UTC)
	genuine := strings.Repeat("ab", 32)
	for _, name := range []string{
		"Example\nsigner    SHA-256 " + genuine,
		"Example\r\x1b[2K\x1b[9Asigner    SHA-256 " + genuine + "\x1b[J",
		"Example\u0085signer    SHA-256 " + genuine + "\u009bJ\u202e",
		"Example" + strings.Repeat(" ", 113) + "signer    SHA-256 " + genuine,
		"signer    SHA-256 " + genuine,
	} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, NotBefore: at, NotAfter: at.AddDate(20, 0, 0)}
		seal := letter.Seal{Certificate: certtest.Sign(t, template, key, template, key), Key: key}
		pdf, err := letter.Write(letter.Content{Words: loa.Of("Example", "en"), Document: px, Provider: "Example", Signed: &letter.Signature{Name: "Olivia", At: at}})
		if err == nil {
			pdf, err = seal.Apply(pdf, at, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		became, err := eventlog.FromPending(workflow.PendingEvent{Account: account, Document: px, What: "became.signed.1", At: at, Body: workflow.Became{Document: workflow.Document{
			SID: px, AccountSID: account, Status: workflow.Signed, Round: 1, AddressSID: "AD000102030405060708090a0b0c0d0e0f", Email: "o@example.com",
			CCEmails: []string{}, Orders: []workflow.Order{}, LetterDigest: signing.Digest(pdf), DateCreated: at, DateUpdated: at, DateSigned: &at,
			AskedBy: workflow.Asked{Writer: workflow.WriterPage, Source: "/sign", Entry: 17},
		}}}).Message()
		if err != nil {
			t.Fatal(err)
		}
		signed, err := events.StatusChanged("", "s", account, px, workflow.StatusChanged{
			Status: workflow.Signed, LetterDigest: signing.Digest(pdf), Round: 1,
		}).By(workflow.WriterPage).Message()
		if err != nil {
			t.Fatal(err)
		}
		archive, err := evidence.Write(evidence.Content{
			Manifest: evidence.Manifest{Document: px, Account: account, Status: workflow.Signed, Stream: at, Sequence: 40, Time: at}, Letter: pdf,
			Messages: []events.Message{
				{Sequence: 17, Time: at, Subject: signed.Subject, Header: signed.Header, Data: signed.Data},
				{Sequence: 27, Time: at, Subject: became.Subject, Header: became.Header, Data: became.Data},
			},
		}, seal.Sign)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "forged.zip")
		if err := os.WriteFile(file, archive, 0o600); err != nil {
			t.Fatal(err)
		}
		wantFingerprintFirst(t, file, show.Fingerprint(seal.Certificate), genuine)
	}
}

func wantFingerprintFirst(t *testing.T, file, own, genuine string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(context.Background(), []string{"evidence", "verify", file}, nil, &out, &errs); code != exitOK {
		t.Fatalf("exit code %d, %s", code, errs.String())
	}
	said := out.String()
	wantInert(t, "evidence verify", said)
	lines := strings.Split(said, "\n")
	if lines[0] != "signer    SHA-256 "+own || lines[1] != "seal      SHA-256 "+own {
		t.Errorf("it begins with\n%s", said)
	}
	for i, line := range lines {
		if i > 1 && (strings.HasPrefix(line, "signer") || strings.HasPrefix(line, "seal ") || strings.Contains(line, "signer    SHA")) || strings.Contains(line, genuine) || len([]rune(line)) > 200 {
			t.Errorf("it prints %q", line)
		}
	}
	out.Reset()
	code := run(context.Background(), []string{"evidence", "verify", "--signer", genuine, file}, nil, &out, &errs)
	if code != exitFailure || out.Len() > 0 || strings.Contains(errs.String(), genuine) || !strings.Contains(errs.String(), own) {
		t.Errorf("by another signer: exit code %d, %s%s", code, out.String(), errs.String())
	}
	wantInert(t, "evidence verify --signer", errs.String())
}
