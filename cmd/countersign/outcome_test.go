package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"

	"countersign/internal/publish"
	"countersign/workflow"
)

// eventsFile writes a file for publish.
func eventsFile(t *testing.T, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func eventLine(subject, data string) string {
	return fmt.Sprintf(`{"subject":"%s%s","data":%s}`, workflow.SubjectPrefix, subject, data)
}

// everyOutcome are events of which each comes to something else, and what.
func everyOutcome() (lines []string, want []string) {
	created := func(id string, n, order int, email string) string {
		return eventLine(on(n, "created"), event(id, "created", fmt.Sprintf(content, email, order)))
	}
	return []string{
		created("a", 1, 1, "one@example.com"),
		eventLine(on(1, "updated"), event("b", "updated", `{"email":"one@example.com"}`)),
		created("c", 2, 2, "nobody"),
		created("d", 3, 1, "three@example.com"),
		eventLine(on(4, "status"), event("e", "status_changed", `{"status":"signed"}`)),
		eventLine(on(5, "created"), `{"specversion":"1.0","id":"f","source":"/orders","type":"authorization_document.burnt","data":{}}`),
		eventLine("what.is.this", `"no event"`),
		created("a", 1, 1, "one@example.com"),
		created("g", 6, 6, "six@example.com"),
	}, []string{
		"1 applied", "2 unchanged", "3 dead_letter invalid data.email", "4 refused order_taken data.hosted_number_order_sids", "5 parked",
		"6 dead_letter unknown_type type", "7 dead_letter unreadable ", "8 duplicate", "9 applied",
	}
}

// outcomesOf reads what publish --json printed.
func outcomesOf(t *testing.T, out string) (list []string, sequences map[uint64]int) {
	t.Helper()
	sequences = map[uint64]int{}
	for line := range strings.Lines(out) {
		var o publish.Outcome
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		text := fmt.Sprintf("%d %s", o.Line, o.Result)
		if o.Code != "" {
			text += fmt.Sprintf(" %s %s", o.Code, o.Field)
			if o.Message == "" {
				t.Errorf("line %d says no reason", o.Line)
			}
		}
		list = append(list, text)
		sequences[o.Sequence]++
	}
	return list, sequences
}

// TestPublish_WaitTellsEachOutcome publishes events beside a worker, and then
// again: what was refused stays so, and the rest are duplicates.
func TestPublish_WaitTellsEachOutcome(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	lines, want := everyOutcome()
	file := eventsFile(t, lines...)
	out, errs := x.call(dir, exitFailure, "publish", file, "--json")
	got, sequences := outcomesOf(t, out)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if len(sequences) != len(lines)-1 {
		t.Errorf("the events are at %v", sequences)
	}
	if !strings.Contains(errs, "4 of 9 events were refused") {
		t.Errorf("it says: %s", errs)
	}
	again := make([]string, len(want))
	for i, text := range want {
		if again[i] = fmt.Sprint(i+1, " duplicate"); strings.Contains(text, "dead") || strings.Contains(text, "refused") {
			again[i] = text
		}
	}
	out, _ = x.call(dir, exitFailure, "publish", file, "--json")
	if got, _ := outcomesOf(t, out); !cmp.Equal(again, got) {
		t.Errorf("published again (-want +got):\n%s", cmp.Diff(again, got))
	}
	out, _ = x.call(dir, exitFailure, "publish", file, "--wait")
	if !strings.Contains(out, "published 9: 5 duplicates, 1 refused, 3 dead letters") || !strings.Contains(out, "data.email") || !strings.Contains(out, "order_taken") {
		t.Errorf("as text:\n%s", out)
	}
	out, _ = x.call(dir, exitOK, "publish", oneLineFile(t, 7), "--wait")
	if out != "published 1: 1 applied\n" {
		t.Errorf("what is applied: %q", out)
	}
	w.end()
}

// TestPublish_WaitTellsRefusalsFromTheLogAlone publishes from a machine without a
// database.
func TestPublish_WaitTellsRefusalsFromTheLogAlone(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	lines, want := everyOutcome()
	for i := range want {
		for _, r := range []string{"applied", "unchanged", "parked"} {
			want[i] = strings.Replace(want[i], " "+r, " not_refused", 1)
		}
	}
	out, errs := x.call(t.TempDir(), exitFailure, "publish", eventsFile(t, lines...), "--json")
	if got, _ := outcomesOf(t, out); !cmp.Equal(want, got) {
		t.Errorf("outcomes (-want +got):\n%s", cmp.Diff(want, got))
	}
	if !strings.Contains(errs, "Only its database, on its machine") {
		t.Errorf("it does not say what the log cannot tell: %s", errs)
	}
	// One event that changes a document at once, and nothing behind it.
	cancel := eventsFile(t, eventLine(on(6, "status"), event("h", "status_changed", `{"status":"canceled"}`)))
	if out, _ := x.call(t.TempDir(), exitOK, "publish", cancel, "--wait"); out != "published 1: 1 not refused\n" {
		t.Errorf("one event: %s", out)
	}
	if out, _ := x.call(t.TempDir(), exitFailure, "publish", eventsFile(t, lines[2]), "--wait"); !strings.Contains(out, "1 dead letter") {
		t.Errorf("a dead letter published again: %s", out)
	}
	w.end()
}

// TestPublish_WaitSaysThatNoWorkerRuns publishes while no worker runs: beside the
// directory of one that has stopped, and elsewhere.
func TestPublish_WaitSaysThatNoWorkerRuns(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	w.end()
	for i, dir := range []string{dir, t.TempDir()} {
		out, errs := x.call(dir, exitOK, "publish", oneLineFile(t, i+1), "--wait")
		if out != "published 1: 1 unknown\n" || !strings.Contains(errs, "no worker has shown that it has read them") {
			t.Errorf("%s%s", out, errs)
		}
	}
}

// TestPublish_NoWaitEndsWithTheAcks does not ask what became of a dead letter:
// with --no-wait, and by default if nobody watches.
func TestPublish_NoWaitEndsWithTheAcks(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	lines, _ := everyOutcome()
	file := eventsFile(t, lines...)
	for _, args := range [][]string{{"publish", file}, {"publish", file, "--no-wait"}} {
		if out, _ := x.call(dir, exitOK, args...); out != "" {
			t.Errorf("%v: %s", args, out)
		}
	}
	out, _ := x.call(dir, exitOK, "publish", file, "--no-wait", "--json")
	if n := strings.Count(out, `"sequence":`); n != len(lines) {
		t.Errorf("%d sequences: %s", n, out)
	}
	x.call(dir, exitUsage, "publish", file, "--no-wait", "--wait")
	w.end()
}

// TestPublish_OnTerminalWaits runs the program with a terminal for its output.
func TestPublish_OnTerminalWaits(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	lines, _ := everyOutcome()
	for args, want := range map[string]int{"": exitFailure, "--no-wait": exitOK} {
		master, tty := terminalOf(t)
		cmd := exec.Command("/proc/self/exe", append([]string{"publish", eventsFile(t, lines[2])}, strings.Fields(args)...)...)
		cmd.Env, cmd.Stdout = append(x.env(dir), "AS_PROGRAM=1"), tty
		_ = cmd.Run() // its exit code is looked at
		if code := cmd.ProcessState.ExitCode(); code != want {
			t.Errorf("publish %s: exit code %d, want %d", args, code, want)
		}
		tty.Close()
		master.Close()
	}
	w.end()
}

// terminalOf makes a terminal, pts(4), and the end that its user sees.
func terminalOf(t *testing.T) (master, tty *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	var n int
	if err == nil {
		n, err = unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	}
	if err == nil {
		tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return master, tty
}

// TestPublish_TakenMsgIDIsNoDuplicate has somebody else use the Nats-Msg-Id of
// an event first, for an event of another document.
func TestPublish_TakenMsgIDIsNoDuplicate(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.send(on(9, "created"), event("other", "created", fmt.Sprintf(content, "nine@example.com", 9)), nats.Header{jetstream.MsgIDHeader: {"/orders a"}})
	lines, _ := everyOutcome()
	if out, _ := x.call(dir, exitOK, "publish", eventsFile(t, lines[0]), "--wait"); out != "published 1: 1 applied\n" {
		t.Errorf("the event: %s", out)
	}
	w.end()
}

// TestPublish_WhoMayNotReadTheLogIsTold publishes as users who may not read.
func TestPublish_WhoMayNotReadTheLogIsTold(t *testing.T) {
	for _, conf := range []string{usersConf, accountsConf} {
		broker := startSecured(t, conf, false)
		x, dir := townAt(t, broker), t.TempDir()
		w := start(t, x.env(dir))
		w.says("read to its end")
		subject := string(deskAccount) + "." + string(testPX(1)) + ".created"
		file := eventsFile(t, eventLine(subject, event("a", "created", fmt.Sprintf(content, "one@example.com", 1))))
		as := []string{"--nats-url", broker.as("loa-desk"), "--nats-inbox-prefix", "_INBOX_loa-desk"}
		x.call(t.TempDir(), exitOK, append([]string{"publish", file}, as...)...)
		x.statuses(dir, workflow.Signing, 1)
		x.call(t.TempDir(), exitOK, append([]string{"publish", file}, as...)...)
		_, errs := x.call(t.TempDir(), exitFailure, append([]string{"publish", file, "--wait"}, as...)...)
		if !strings.Contains(errs, "--no-wait") || conf == usersConf && !strings.Contains(errs, "ermissions violation") {
			t.Errorf("%s: %s", conf, errs)
		}
		w.end()
	}
}
