package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/workflow"
)

// foretold runs a replay and reads its report.
func (x *town) foretold(dir string, args ...string) (r replayReport) {
	x.t.Helper()
	out := x.must(dir, append([]string{"replay", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		x.t.Fatalf("%v in %s", err, out)
	}
	return r
}

// TestReplayOfTheDay replays what the log has: from the file, and from a mirror
// of the log. All is known, nothing is published, mailed or registered.
func TestReplayOfTheDay(t *testing.T) {
	x, dir, w := theDayIsDone(t)
	js, err := jetstream.New(x.nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "COPY", Mirror: &jetstream.StreamSource{Name: "AUTHDOCS"}}); err != nil {
		t.Fatal(err)
	}
	tail, mails := x.tail(), x.box.Count()
	waitLong(t, "the mirror", func() bool {
		s, err := js.Stream(t.Context(), "COPY")
		return err == nil && s.CachedInfo().State.LastSeq == tail
	})
	day := len(theDay(t))
	for _, args := range [][]string{{"--dry-run"}, {}} {
		if r := x.foretold(dir, append(args, "../../examples/day.jsonl")...); r.Read != day || r.Known != day || r.New != 0 {
			t.Errorf("%v the file: %+v", args, r)
		}
		if r := x.foretold(dir, append(args, "COPY")...); r.Read != int(tail) || r.Known+r.Own != r.Read || r.Own == 0 || r.New != 0 {
			t.Errorf("%v the mirror, of %d entries: %+v", args, tail, r)
		}
	}
	if x.tail() != tail || x.box.Count() != mails {
		t.Errorf("%d new entries, %d new mails", x.tail()-tail, x.box.Count()-mails)
	}
	w.end()
}

// TestReplayOfWhatIsMissing tells of events that the log does not have what they
// would do, changes nothing, and does it when asked in earnest; once.
func TestReplayOfWhatIsMissing(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(1, 2, "signer-%d@example.com")
	x.rest(dir)
	file := filepath.Join(t.TempDir(), "events.jsonl")
	var lines strings.Builder
	content := `{"address_sid":"AD00000000000000000000000000000001","email":"third@example.com","hosted_number_order_sids":["` + string(testHR(30)) + `"]}`
	for _, e := range []struct{ id, what, typ, data, px string }{
		{"created-1", "created", workflow.TypeCreated, content, string(testPX(1))}, // known by its identity, whatever it says
		{"signed-1", "status", workflow.TypeStatusChanged, `{"status":"signed"}`, string(testPX(1))},
		{"signed-1", "status", workflow.TypeStatusChanged, `{"status":"signed"}`, string(testPX(1))},
		{"new-3", "created", workflow.TypeCreated, content, string(testPX(3))},
		{"late-2", "order." + string(testHR(9)) + ".status", workflow.TypeOrderStatusChanged, `{"status":"completed"}`, string(testPX(2))},
	} {
		source := "/test"
		lines.WriteString(`{"subject":"authdocs.v1.` + string(testAccount) + `.` + e.px + `.` + e.what + `","data":{"specversion":"1.0","id":"` + e.id +
			`","source":"` + source + `","type":"` + e.typ + `","data":` + e.data + "}}\n")
	}
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	tail, mails := x.tail(), x.box.Count()
	r := x.foretold(dir, "--dry-run", "--from", "2", file)
	want := []documentChange{{testPX(1), workflow.Signing, workflow.Signed}, {testPX(3), workflow.Unseen, workflow.Opened}}
	if r.Read != 4 || r.Known != 1 || r.New != 3 || len(r.Documents) != 2 || r.Documents[0] != want[0] || r.Documents[1] != want[1] {
		t.Errorf("it tells %+v", r)
	}
	if r.Owing.Mails[workflow.MailSigned] != 1 || r.Owing.Mails[workflow.MailSignature] != 1 ||
		r.Owing.Events[workflow.TypeRegister] != 1 || r.Owing.Turned[workflow.CodeOrderUnknown] != 1 {
		t.Errorf("it owes %+v", r.Owing)
	}
	if x.tail() != tail || x.box.Count() != mails {
		t.Errorf("a dry run appended %d entries and sent %d mails", x.tail()-tail, x.box.Count()-mails)
	}
	if r := x.foretold(dir, "--subject", "authdocs.v1.*.*.created", "--dry-run", file); r.Read != 2 || r.New != 1 {
		t.Errorf("by subject: %+v", r)
	}
	if out := x.must(dir, "replay", file); !strings.Contains(out, "3 published") {
		t.Errorf("it says: %s", out)
	}
	x.rest(dir)
	for range 2 {
		if r := x.foretold(dir, file); r.New != 0 || r.Known != 5 {
			t.Errorf("again: %+v", r)
		}
	}
	x.rest(dir)
	if got := x.box.Count() - mails; got != 2 {
		t.Errorf("%d mails, want 2", got)
	}
	for _, args := range [][]string{{"--from", "yesterday", file}, {"NEITHER_FILE_NOR_STREAM"}} {
		if code, _, errs := x.command(dir, append([]string{"replay"}, args...)...); code == exitOK {
			t.Errorf("%v: exit code %d, %s", args, code, errs)
		}
	}
	w.end()
}
