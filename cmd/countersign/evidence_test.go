package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/events"
	"countersign/internal/config"
	"countersign/internal/eventlog"
	"countersign/internal/letter"
	"countersign/internal/loa"
	"countersign/internal/signing"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// TestEvidence writes the evidence of a document that was signed on the page,
// beside the worker and without it, and checks it; of one that is still out,
// and of one that was erased.
func TestEvidence(t *testing.T) {
	x, dir, out := newTown(t), t.TempDir(), t.TempDir()
	w := start(t, x.env(dir, "COUNTERSIGN_PROVIDER=Example Messaging"))
	w.says("read to its end")
	x.lives(dir, func() {})
	x.say(events.Created("/test", "c", testAccount, testPX(20), workflow.Created{
		AddressSID: "AD00000000000000000000000000000001", Email: "olivia@example.com", Subscriber: "Bayview Law",
		HostedNumberOrders: []workflow.OrderRef{{SID: testHR(20), PhoneNumber: "+14155550100", CurrentCarrier: "Pacific Voice"}},
	}))
	s := x.signer(w.address("public"), testPX(20), 1)
	s.must("POST", "", s.form("sign"), 200)
	x.rest(dir)
	doc := x.document(dir, testPX(20))

	file := filepath.Join(out, "signed.zip")
	said := x.must(dir, "evidence", string(testPX(20)), "-o", file)
	for _, want := range []string{string(testPX(20)), "signed, as of entry", doc.LetterDigest, "sealed by Example Messaging", "signed by Example Messaging"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if code, _, errs := x.command(dir, "evidence", string(testPX(20)), "-o", file); code != exitFailure || !strings.Contains(errs, "exists") {
		t.Errorf("over a file that is there: exit code %d, %s", code, errs)
	}
	elsewhere := t.TempDir() // nothing of the installation is there
	if checked := x.must(elsewhere, "evidence", "verify", file); checked != said {
		t.Errorf("checked it says:\n%s\nwritten it said:\n%s", checked, said)
	}
	signer := regexp.MustCompile(`signer +SHA-256 (\w+)`).FindStringSubmatch(said)[1]
	x.must(elsewhere, "evidence", "verify", "--signer", strings.ToUpper(signer), file)
	if code, _, errs := x.command(elsewhere, "evidence", "verify", "--signer", strings.Repeat("0", 64), file); code != exitFailure || !strings.Contains(errs, signer) {
		t.Errorf("by another signer: exit code %d, %s", code, errs)
	}
	archive, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	archive[len(archive)/2] ^= 1
	if err := os.WriteFile(file, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := x.command(elsewhere, "evidence", "verify", file); code != exitFailure || !strings.Contains(errs, "entry ") && !strings.Contains(errs, "checksum") {
		t.Errorf("a byte flipped: exit code %d, %s", code, errs)
	}

	if said := x.must(dir, "evidence", string(testPX(4)), "-o", filepath.Join(out, "out.zip")); !strings.Contains(said, "signing, as of entry") || !strings.Contains(said, "letter    none") {
		t.Errorf("of a document that is out:\n%s", said)
	}
	x.must(dir, "erase", "--yes", string(testPX(1)))
	w.end()
	erased := filepath.Join(out, "erased.zip")
	if said := x.must(dir, "evidence", string(testPX(1)), "-o", erased); !strings.Contains(said, "erased; it was signed") {
		t.Errorf("of an erased document:\n%s", said)
	}
	if files := holding(t, out, "private-1@example.com"); len(files) > 0 {
		t.Errorf("what was erased is in %v", files)
	}
	for args, want := range map[string]string{
		string(testPX(99)) + " -o " + filepath.Join(out, "x"): "not found",
		string(testPX(20)):                     "--output is missing",
		"PX1 -o x":                             "must be PX and",
		"verify " + filepath.Join(out, "none"): "no such file",
	} {
		if code, _, errs := x.command(dir, append([]string{"evidence"}, strings.Fields(args)...)...); code == exitOK || !strings.Contains(errs, want) {
			t.Errorf("evidence %s: exit code %d, %s", args, code, errs)
		}
	}
}

// TestEvidence_FailsUntilAWorkerHasDecided asks for the evidence of a signature that stands on
// the log before a worker has said there what came of it.
func TestEvidence_FailsUntilAWorkerHasDecided(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(1, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	x.rest(dir)
	w.end()

	seal, err := signing.LoadSeal(config.Config{KeysFile: x.keys})
	if err != nil {
		t.Fatal(err)
	}
	pdf, err := letter.Write(letter.Content{Words: loa.Of("Team", "en"), Document: testPX(1), Provider: "Team", Signed: &letter.Signature{Name: "Olivia", At: time.Now()}})
	if err == nil {
		pdf, err = seal.Apply(pdf, time.Now(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	digest := signing.Digest(pdf)
	name := eventlog.LetterName(testPX(1), digest)
	if err := eventstest.Open(t, x.nc, 1).PutLetter(t.Context(), name, pdf); err != nil {
		t.Fatal(err)
	}
	x.say(events.StatusChanged("", "s", testAccount, testPX(1), workflow.StatusChanged{
		Status: workflow.Signed, Round: 1, LetterDigest: digest, LetterKept: true, Evidence: json.RawMessage(`{"letter":"in other words"}`),
	}).By(workflow.WriterPage))
	file := filepath.Join(t.TempDir(), "signed.zip")
	if code, _, errs := x.command(dir, "evidence", string(testPX(1)), "-o", file); code != exitFailure || !strings.Contains(errs, "run a worker and try again") {
		t.Errorf("exit code %d, %s", code, errs)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("a file is left: %v", err)
	}
	w = start(t, x.env(dir))
	x.statuses(dir, workflow.Signed, 1)
	x.rest(dir)
	if said := x.must(dir, "evidence", string(testPX(1)), "-o", file); !strings.Contains(said, "sealed by") {
		t.Errorf("it says\n%s", said)
	}
	w.end()
}
