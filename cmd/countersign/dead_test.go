package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/show"
	"countersign/internal/test/eventstest"
	"countersign/internal/test/logtest"
	"countersign/workflow"
)

// call runs the program with the arguments, as an operator does.
func (x *town) call(dir string, want int, args ...string) (out, errs string) {
	x.t.Helper()
	code, out, errs := x.command(dir, args...)
	if code != want {
		x.t.Errorf("countersign %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, out, errs)
	}
	return out, errs
}

// send publishes bytes on a subject of the test's account, and returns their
// sequence.
func (x *town) send(subject, payload string, header nats.Header) string {
	x.t.Helper()
	js, err := jetstream.New(x.nc)
	if err != nil {
		x.t.Fatal(err)
	}
	m := &nats.Msg{Subject: workflow.SubjectPrefix + subject, Data: []byte(payload), Header: header}
	ack, err := js.PublishMsg(x.t.Context(), m)
	if err != nil {
		x.t.Fatal(err)
	}
	return fmt.Sprint(ack.Sequence)
}

// failed waits until the entry is a dead letter or refused.
func (x *town) failed(dir, entry string) {
	x.t.Helper()
	eventstest.Wait(x.t, "entry "+entry+" to be refused or a dead letter", func() bool {
		return run(x.t.Context(), []string{"dead", "show", entry}, x.env(dir), &logtest.Buffer{}, &logtest.Buffer{}) == exitOK
	})
}

func event(id, typ, data string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"%s","source":"/orders","type":"authorization_document.%s","data":%s}`, id, typ, data)
}

const content = `{"address_sid":"AD00000000000000000000000000000001","email":"%s","hosted_number_orders":[{"sid":"HR%032x","phone_number":"+1415200%04[2]d"}]}`

func on(n int, what string) string { return string(testAccount) + "." + string(testPX(n)) + "." + what }

// letters is a town with a worker, three dead letters and one refused event.
type letters struct {
	*town
	dir                              string
	w                                *running
	invalid, unread, binary, refused string // where they stand on the log
	good                             string // the event that refused stands against
}

func newLetters(t *testing.T) *letters {
	x := &letters{town: newTown(t), dir: t.TempDir()}
	x.w = start(t, x.env(x.dir))
	x.w.says("read to its end")
	x.invalid = x.send(on(1, "created"), event("c1", "created", fmt.Sprintf(content, "nobody", 1)), nil)
	x.unread = x.send(on(2, "created"), "not\x1b[2JJSON", nil)
	x.binary = x.send(on(3, "created"), fmt.Sprintf(content, "x", 3), nats.Header{
		"ce-specversion": {"1.0"}, "ce-id": {"c3"}, "ce-source": {"/orders"}, "ce-type": {workflow.TypeCreated},
	})
	x.good = x.send(on(4, "created"), event("c4", "created", fmt.Sprintf(content, "four@example.com", 4)), nil)
	x.refused = x.send(on(5, "created"), event("c5", "created", fmt.Sprintf(content, "five@example.com", 4)), nil)
	for _, entry := range []string{x.invalid, x.unread, x.binary, x.refused} {
		x.failed(x.dir, entry)
	}
	x.statuses(x.dir, workflow.Signing, 1)
	x.rest(x.dir)
	return x
}

func TestDead_ListsAndShowsDeadLetters(t *testing.T) {
	x := newLetters(t)
	list, _ := x.call(x.dir, exitOK, "dead", "list")
	if n := strings.Count(list, "\n"); n != 5 || !strings.Contains(list, "order_taken") || !strings.Contains(list, "dead letter") {
		t.Errorf("the list:\n%s", list)
	}
	x.wantListed(x.dir, []string{x.refused, x.binary, x.unread, x.invalid})
	x.wantListed(x.dir, []string{x.refused}, "--refused")
	x.wantListed(x.dir, []string{x.binary, x.invalid}, "--dead", "--code=invalid", "--since=1h")
	x.wantListed(x.dir, []string{x.unread}, "--document="+string(testPX(2)), "--account="+string(testAccount))
	x.wantListed(x.dir, nil, "--account=AC99999999999999999999999999999999")
	x.wantListed(x.dir, nil, "--since=2999-01-01T00:00:00Z")
	x.call(x.dir, exitUsage, "dead", "list", "--since=yesterday")
	x.call(x.dir, exitUsage, "dead", "show", "first")
	x.call(x.dir, exitFailure, "dead", "show", x.good)
	if out, _ := x.call(x.dir, exitOK, "dead", "show", x.invalid); !strings.Contains(out, `"email":"nobody"`) || !strings.Contains(out, "--set data.email=VALUE") {
		t.Errorf("show: %s", out)
	}
	if out, _ := x.call(x.dir, exitOK, "dead", "show", x.unread); !strings.Contains(out, `not\x1b[2JJSON`) || strings.Contains(out, "\x1b") {
		t.Errorf("show: %q", out)
	}
	if out, _ := x.call(x.dir, exitOK, "dead", "show", x.binary, "--json"); !strings.Contains(out, `"id": "c3"`) || !strings.Contains(out, `"payload_base64"`) {
		t.Errorf("show --json: %s", out)
	}
	x.w.end()
	x.nats.Stop()
	if out, _ := x.call(x.dir, exitOK, "dead", "show", x.invalid); !strings.Contains(out, "cannot be shown") || !strings.Contains(out, "data.email") {
		t.Errorf("show without the log: %s", out)
	}
	x.nats.Start()
}

// TestDeadRedrive_SendsAFixedEventOnce sends fixed events in place of dead letters.
func TestDeadRedrive_SendsAFixedEventOnce(t *testing.T) {
	x := newLetters(t)
	tail := x.tail()
	for _, args := range [][]string{
		{x.invalid},
		{x.invalid, "--set=data.email=still nobody"},
		{x.invalid, "--set=id=x"},
		{x.invalid, "--set=data"},
		{x.unread},
		{x.unread, "--set=data.email=a@example.com"},
		{x.invalid, "--subject=authdocs.v1._.mail.claimed"},
	} {
		x.call(x.dir, exitFailure, append([]string{"dead", "redrive"}, args...)...)
	}
	if x.tail() != tail {
		t.Errorf("%d entries were sent that are no events yet", x.tail()-tail)
	}
	if out, _ := x.call(x.dir, exitOK, "dead", "redrive", x.invalid, "--set", "data.email=one@example.com"); !strings.Contains(out, ": applied") {
		t.Errorf("redrive: %s", out)
	}
	file := filepath.Join(t.TempDir(), "fixed.json")
	if err := os.WriteFile(file, []byte(event("x", "created", fmt.Sprintf(content, "two@example.com", 2))), 0o600); err != nil {
		t.Fatal(err)
	}
	x.call(x.dir, exitOK, "dead", "redrive", x.unread, "--file", file)
	x.call(x.dir, exitOK, "dead", "redrive", x.binary, "--set", `data.email="three@example.com"`)
	x.statuses(x.dir, workflow.Signing, 4)
	x.rest(x.dir)
	x.wantListed(x.dir, []string{x.refused})

	tail = x.tail()
	if _, errs := x.call(x.dir, exitOK, "dead", "redrive", x.invalid, "--set", "data.email=other@example.com"); !strings.Contains(errs, "nothing is sent") {
		t.Errorf("redriven again: %s", errs)
	}
	if x.tail() != tail {
		t.Errorf("redriving again appended %d entries", x.tail()-tail)
	}
	x.sentTwice()
	x.rest(x.dir)
	x.w.end()
	x.wantRebuilt(x.dir)
}

// sentTwice redrives a dead letter behind the back of the database and of
// JetStream's window for duplicates, with other content: its identity follows
// from the dead letter, and it changes nothing.
func (x *letters) sentTwice() {
	x.t.Helper()
	sequence, err := sequenceArg(x.invalid, "ENTRY", "dead list")
	if err != nil {
		x.t.Fatal(err)
	}
	old, err := eventlog.ReadEntry(x.t.Context(), x.nc, sequence)
	if err != nil {
		x.t.Fatal(err)
	}
	if _, err := old.Redrive(events.Repair{Set: []string{"data.email=other@example.com", "source=/other"}}); err == nil {
		x.t.Error("a source was set")
	}
	m, err := old.Redrive(events.Repair{Set: []string{"data.email=other@example.com"}})
	if err != nil {
		x.t.Fatal(err)
	}
	before := state(x.t, x.dir)
	m.Header.Del(jetstream.MsgIDHeader)
	if _, err := eventlog.AppendRedriven(x.t.Context(), x.nc, m); err != nil {
		x.t.Fatal(err)
	}
	x.rest(x.dir)
	if diff := cmp.Diff(before, state(x.t, x.dir)); diff != "" {
		x.t.Errorf("sent twice, the fixed event changed the state:\n%s", diff)
	}
}

// TestDeadRedrive_RefusedEventPassesOnceItsCauseIsGone redrives a refused event while
// another document has its number, and then the entry of that second refusal.
func TestDeadRedrive_RefusedEventPassesOnceItsCauseIsGone(t *testing.T) {
	x := newLetters(t)
	out, errs := x.call(x.dir, exitFailure, "dead", "redrive", x.refused)
	if !strings.Contains(out, "refused, order_taken") || !strings.Contains(errs, "refused again") {
		t.Errorf("redriven too early: %s%s", out, errs)
	}
	again, _, _ := strings.Cut(strings.TrimPrefix(out, "sent as entry "), ":")
	x.wantListed(x.dir, []string{again, x.binary, x.unread, x.invalid})
	x.send(on(4, "status"), event("s4", "status_changed", `{"status":"canceled"}`), nil)
	x.rest(x.dir)
	x.call(x.dir, exitOK, "dead", "redrive", again)
	if all, _ := x.call(x.dir, exitOK, "dead", "list", "--all"); !strings.Contains(all, "redriven by entry "+again) {
		t.Errorf("list --all:\n%s", all)
	}
	if out, _ := x.call(x.dir, exitOK, "documents", "show", string(testPX(5))); !strings.Contains(out, "five@example.com") {
		t.Errorf("the redriven document: %s", out)
	}
	x.rest(x.dir)
	x.w.end()
	x.wantRebuilt(x.dir)
}

// TestDeadDiscard_ClosesEachDeadLetterOnce discards one of a document and one of nobody.
func TestDeadDiscard_ClosesEachDeadLetterOnce(t *testing.T) {
	x := newLetters(t)
	waste := x.send("what.is.this", "{}", nil)
	x.failed(x.dir, waste)
	x.call(x.dir, exitUsage, "dead", "discard", waste)
	for _, entry := range []string{waste, x.invalid} {
		x.call(x.dir, exitOK, "dead", "discard", entry, "--reason", "a probe")
		if out, _ := x.call(x.dir, exitOK, "dead", "discard", entry, "--reason", "another"); !strings.Contains(out, "a probe") {
			t.Errorf("discarded twice: %s", out)
		}
		x.call(x.dir, exitFailure, "dead", "redrive", entry, "--set=data.email=a@example.com")
	}
	for subject, n := range x.subjects() {
		if strings.Contains(subject, ".discarded.") && n > 1 {
			t.Errorf("%d entries on %s", n, subject)
		}
	}
	x.wantListed(x.dir, []string{x.refused, x.binary, x.unread})
	if all, _ := x.call(x.dir, exitOK, "dead", "list", "--all"); strings.Count(all, "discarded: a probe") != 2 {
		t.Errorf("list --all:\n%s", all)
	}
	if _, page := get(t, "http://"+x.w.address("admin")+"/metrics"); !strings.Contains(page, "countersign_dead_letters 4\n") || !strings.Contains(page, "countersign_dead_letters_open 2\n") {
		t.Error("the metrics count other dead letters")
	}
	x.rest(x.dir)
	x.w.end()
	x.wantRebuilt(x.dir)
}

// wantListed checks which entries dead list --json lists.
func (x *town) wantListed(dir string, want []string, args ...string) {
	x.t.Helper()
	out, _ := x.call(dir, exitOK, append([]string{"dead", "list", "--json"}, args...)...)
	var got []string
	for d := json.NewDecoder(bytes.NewBufferString(out)); d.More(); {
		var l show.DeadLetterJSON
		if err := d.Decode(&l); err != nil {
			x.t.Fatal(err)
		}
		got = append(got, fmt.Sprint(l.Sequence))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		x.t.Errorf("dead list %v (-want +got):\n%s", args, diff)
	}
}

// wantRebuilt checks that a worker with an empty disk comes to the same state.
func (x *town) wantRebuilt(dir string) {
	x.t.Helper()
	fresh := x.t.TempDir()
	w := start(x.t, x.env(fresh))
	w.says("read to its end")
	x.rest(fresh)
	w.end()
	if diff := cmp.Diff(strings.Split(dump(x.t, dir), "\n"), strings.Split(dump(x.t, fresh), "\n")); diff != "" {
		x.t.Errorf("made again from the log (+) the state differs:\n%s", diff)
	}
}
