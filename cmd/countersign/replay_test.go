package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/recovery"
	"countersign/workflow"
)

// foretold runs a replay and reads its report.
func (x *town) foretold(dir string, args ...string) (r recovery.Replayed) {
	x.t.Helper()
	out := x.must(dir, append([]string{"replay", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		x.t.Fatalf("%v in %s", err, out)
	}
	return r
}

// mirror makes a stream that has what the log has so far.
func (x *town) mirror(name string) {
	x.t.Helper()
	js, err := jetstream.New(x.nc)
	if err != nil {
		x.t.Fatal(err)
	}
	if _, err := js.CreateStream(x.t.Context(), jetstream.StreamConfig{Name: name, Mirror: &jetstream.StreamSource{Name: events.StreamName}}); err != nil {
		x.t.Fatal(err)
	}
	tail := x.tail()
	waitLong(x.t, "the mirror", func() bool {
		s, err := js.Stream(x.t.Context(), name)
		return err == nil && s.CachedInfo().State.LastSeq == tail
	})
}

// TestReplay_KnownEventsChangeNothing replays what the log has: from the file, and from a mirror
// of the log. All is known, nothing is published, mailed or registered.
func TestReplay_KnownEventsChangeNothing(t *testing.T) {
	x, dir, w := theDayIsDone(t)
	x.mirror("COPY")
	tail, mails := x.tail(), x.box.Count()
	day := len(theDay(t))
	for _, args := range [][]string{{"--dry-run"}, {}} {
		if r := x.foretold(dir, append(args, "../../examples/day.jsonl")...); r.Read != day || r.Known != day || r.New != 0 {
			t.Errorf("%v the file: %+v", args, r)
		}
		if r := x.foretold(dir, append(args, "COPY")...); r.Read != int(tail) || r.Known+r.Own != r.Read || r.Own == 0 || r.New != 0 {
			t.Errorf("%v the mirror, of %d entries: %+v", args, tail, r)
		}
	}
	x.replayRanges(dir)
	if x.tail() != tail || x.box.Count() != mails {
		t.Errorf("%d new entries, %d new mails", x.tail()-tail, x.box.Count()-mails)
	}
	w.end()
}

// replayRanges asks for parts of the day, of the mirror and of the file.
func (x *town) replayRanges(dir string) {
	x.t.Helper()
	log, _ := x.entries()
	a, b := log[len(log)/3], log[2*len(log)/3]
	number := func(e workflow.Entry) string { return strconv.FormatUint(e.Sequence, 10) }
	moment := func(e workflow.Entry) string { return e.Time.UTC().Format(time.RFC3339Nano) }
	for _, ask := range []struct {
		args []string
		in   func(workflow.Entry) bool
	}{
		{[]string{"--from", number(a)}, func(e workflow.Entry) bool { return e.Sequence >= a.Sequence }},
		{[]string{"--to", number(b)}, func(e workflow.Entry) bool { return e.Sequence <= b.Sequence }},
		{[]string{"--from", moment(a)}, func(e workflow.Entry) bool { return !e.Time.Before(a.Time) }},
		{[]string{"--to", moment(b)}, func(e workflow.Entry) bool { return !e.Time.After(b.Time) }},
		{[]string{"--from", number(a), "--to", number(a)}, func(e workflow.Entry) bool { return e.Sequence == a.Sequence }},
		{[]string{"--subject", "authdocs.v1.*.*.created"}, func(e workflow.Entry) bool {
			return strings.HasSuffix(e.Subject, ".created") && strings.Count(e.Subject, ".") == 4
		}},
		{[]string{"--subject", "authdocs.v1.*.*.order.>"}, func(e workflow.Entry) bool { return strings.Contains(e.Subject, ".order.") }},
		{[]string{"--subject", "authdocs.v1.*.*"}, func(workflow.Entry) bool { return false }},
		{[]string{"--subject", "authdocs.v1.*.*.status.>"}, func(workflow.Entry) bool { return false }},
	} {
		want := 0
		for _, e := range log {
			if ask.in(e) {
				want++
			}
		}
		if r := x.foretold(dir, append(ask.args, "COPY")...); r.Read != want || r.New != 0 {
			x.t.Errorf("%v of the mirror: %+v, want %d to be read", ask.args, r, want)
		}
	}
	statuses := 0
	for _, l := range theDay(x.t) {
		if strings.HasSuffix(l.Msg.Subject, ".status") && !strings.Contains(l.Msg.Subject, ".order.") {
			statuses++
		}
	}
	for args, want := range map[string]int{
		"--from 11 --to 20": 10, "--from 2026-11-23T08:04:00Z --to 2026-11-23T08:04:00Z": 1, "--to 2026-11-23T08:01:59.9Z": 0,
		"--subject authdocs.v1.*.*.status": statuses, "--subject authdocs.v1.*.*.status.>": 0, "--subject authdocs.v1.*.*": 0,
	} {
		if r := x.foretold(dir, append(strings.Fields(args), "../../examples/day.jsonl")...); r.Read != want {
			x.t.Errorf("%s of the file: %+v, want %d to be read", args, r, want)
		}
	}
}

// TestReplay_MissingEventsArePublishedOnce tells of events that the log does not have what they
// would do, changes nothing, and does it when asked in earnest; once.
func TestReplay_MissingEventsArePublishedOnce(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(1, 2, "signer-%d@example.com")
	x.rest(dir)
	file := filepath.Join(t.TempDir(), "events.jsonl")
	var lines strings.Builder
	content := `{"address_sid":"AD00000000000000000000000000000001","email":"third@example.com","hosted_number_orders":[{"sid":"` + string(testHR(30)) + `","phone_number":"+14152000030"}]}`
	for _, e := range []struct{ id, what, typ, data, px string }{
		{"created-1", "created", workflow.TypeCreated, content, string(testPX(1))}, // known by its identity, whatever it says
		{"signed-1", "status", workflow.TypeStatusChanged, `{"status":"signed"}`, string(testPX(1))},
		{"signed-1", "status", workflow.TypeStatusChanged, `{"status":"signed"}`, string(testPX(1))},
		{"new-3", "created", workflow.TypeCreated, content, string(testPX(3))},
		{"number-2", "order." + string(testHR(2)) + ".status", workflow.TypeOrderStatusChanged, `{"status":"testing"}`, string(testPX(2))},
		{"late-2", "order." + string(testHR(9)) + ".status", workflow.TypeOrderStatusChanged, `{"status":"completed"}`, string(testPX(2))},
	} {
		source := "/test"
		lines.WriteString(`{"after":"authdocs.v1.what.has.happened","subject":"authdocs.v1.` + string(testAccount) + `.` + e.px + `.` + e.what + `","data":{"specversion":"1.0","id":"` + e.id +
			`","source":"` + source + `","type":"` + e.typ + `","data":` + e.data + "}}\n")
	}
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	tail, mails := x.tail(), x.box.Count()
	r := x.foretold(dir, "--dry-run", "--from", "2", file)
	want := []recovery.DocumentChange{{SID: testPX(1), Before: workflow.Signing, After: workflow.Signed}, {SID: testPX(3), Before: workflow.Unseen, After: workflow.Opened}, {SID: testPX(2), Before: workflow.Signing, After: workflow.Signing}}
	if r.Read != 5 || r.Known != 1 || r.New != 4 || !slices.Equal(r.Documents, want) {
		t.Errorf("it tells %+v", r)
	}
	if r.Owing.Mails[workflow.MailSigned] != 1 || r.Owing.Mails[workflow.MailSignature] != 1 ||
		r.Owing.Events[workflow.TypeRegister] != 1 || r.Owing.Refusals[workflow.CodeOrderUnknown] != 1 {
		t.Errorf("it owes %+v", r.Owing)
	}
	if x.tail() != tail || x.box.Count() != mails {
		t.Errorf("a dry run appended %d entries and sent %d mails", x.tail()-tail, x.box.Count()-mails)
	}
	if r := x.foretold(dir, "--subject", "authdocs.v1.*.*.created", "--dry-run", file); r.Read != 2 || r.New != 1 {
		t.Errorf("by subject: %+v", r)
	}
	if out := x.must(dir, "replay", file); !strings.Contains(out, "4 published") {
		t.Errorf("it says: %s", out)
	}
	x.rest(dir)
	for range 2 {
		if r := x.foretold(dir, file); r.New != 0 || r.Known != 6 {
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

// TestReplay_StreamsOfOthersAreRefused: what an object store holds would be damaged by a
// replay of it.
func TestReplay_StreamsOfOthersAreRefused(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(1, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	x.must(dir, "snapshot", "take")
	file := filepath.Join(t.TempDir(), "others.jsonl")
	if err := os.WriteFile(file, []byte(`{"subject":"$O.AUTHDOCS_SNAPSHOTS.C.x","data":{"foo":1}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"replay", "OBJ_AUTHDOCS_SNAPSHOTS"}, {"replay", "OBJ_AUTHDOCS_SNAPSHOTS", "--dry-run"}, {"replay", file}, {"publish", file}, {"publish", file, "--dry-run"},
	} {
		if out, errs := x.call(dir, exitFailure, args...); out != "" || !strings.Contains(errs, "must begin with "+events.Prefix) {
			t.Errorf("%v: %s%s", args, out, errs)
		}
	}
	x.must(dir, "verify", "--from-log=false")
	w.end()
}
