package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/db"
	"countersign/events"
	"countersign/internal/datadir"
	"countersign/internal/publish"
	"countersign/internal/test/eventstest"
	"countersign/internal/test/logtest"
	"countersign/workflow"
)

// command runs a command in this process, as a shell does.
func (x *town) command(dir string, args ...string) (code int, out, errs string) {
	x.t.Helper()
	var o, e logtest.Buffer
	code = run(x.t.Context(), args, x.env(dir), &o, &e)
	return code, o.String(), e.String()
}

// must runs a command that has to succeed, and returns what it prints.
func (x *town) must(dir string, args ...string) string {
	x.t.Helper()
	code, out, errs := x.command(dir, args...)
	if code != exitOK {
		x.t.Fatalf("countersign %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// theDayIsDone plays the day with one worker, which goes on in the end.
func theDayIsDone(t *testing.T) (x *town, dir string, w *running) {
	t.Helper()
	x, dir = newTown(t), t.TempDir()
	w = start(t, x.env(dir))
	w.says("read to its end")
	x.publish(theDay(t))
	x.rest(dir)
	return x, dir, w
}

// documentsAreDone has some documents through, with one worker.
func documentsAreDone(t *testing.T) (x *town, dir string, w *running) {
	t.Helper()
	x, dir = newTown(t), t.TempDir()
	w = start(t, x.env(dir))
	w.says("read to its end")
	x.lives(dir, func() {})
	return x, dir, w
}

func sameState(t *testing.T, want, got string) {
	t.Helper()
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("the states differ (-want +got):\n%s", diff)
	}
}

// TestServe_OlderDatabaseCatchesUpAndRepeatsNothing puts an older copy of the file back, from when the
// documents were out: it catches up, mails nothing twice and publishes nothing
// twice.
func TestServe_OlderDatabaseCatchesUpAndRepeatsNothing(t *testing.T) {
	x, dir, old := newTown(t), t.TempDir(), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	var yesterday uint64
	x.lives(dir, func() {
		s := openStore(t, dir)
		defer s.Close()
		yesterday = s.Position().Sequence
		if err := s.Copy(t.Context(), old); err != nil {
			t.Fatal(err)
		}
	})
	w.end()
	want, mails, tail := dump(t, dir), x.box.Count(), x.tail()
	if tail < yesterday+10 {
		t.Fatalf("the copy is up to entry %d of %d", yesterday, tail)
	}

	removeDatabase(t, dir)
	if err := os.Rename(filepath.Join(old, db.FileName), filepath.Join(dir, db.FileName)); err != nil {
		t.Fatal(err)
	}
	w = start(t, x.env(dir))
	w.says("read to its end")
	x.rest(dir)
	w.end()
	sameState(t, want, dump(t, dir))
	if x.box.Count() != mails || x.tail() != tail {
		t.Errorf("%d new mails, %d new entries", x.box.Count()-mails, x.tail()-tail)
	}
}

func waitLong(t *testing.T, what string, cond func() bool) {
	t.Helper()
	eventstest.WaitFor(t, time.Minute, what, cond)
}

// TestRebuild makes the database again beside a worker of another directory:
// from the log, and from a snapshot. It does not where a worker is at work.
func TestRebuild(t *testing.T) {
	x, dir, w := documentsAreDone(t)
	want := dump(t, dir)
	if code, _, errs := x.command(dir, "rebuild"); code != exitFailure || !strings.Contains(errs, "another worker uses the data directory "+dir+"; stop it first") {
		t.Errorf("beside its worker: exit code %d, %s", code, errs)
	}
	x.must(dir, "snapshot", "take")
	w.end()
	for _, args := range [][]string{{"rebuild"}, {"rebuild", "--from-log"}} {
		x.byHand(dir, `DELETE FROM mails`)
		code, out, errs := x.command(dir, args...)
		if code != exitOK || !strings.Contains(out, "is kept as "+filepath.Join(dir, db.FileName)+".before") || !strings.Contains(errs, "folded") {
			t.Errorf("%v: exit code %d, %s%s", args, code, out, errs)
		}
		if got, want := strings.Contains(errs, "starting from snapshot"), len(args) == 1; got != want {
			t.Errorf("%v starts from a snapshot: %v", args, got)
		}
		sameState(t, want, dump(t, dir))
	}
}

// TestRebuild_KilledLeavesTheOldDatabase leaves the old database as it was, and the next one
// comes to its end.
func TestRebuild_KilledLeavesTheOldDatabase(t *testing.T) {
	x, dir, w := documentsAreDone(t)
	var many []publish.Line
	for i := range 1000 {
		m, err := events.Created("/test", fmt.Sprint("many-", i), testAccount, testPX(10_000+i), workflow.Created{
			AddressSID: "AD00000000000000000000000000000001", Email: "many@example.com", HostedNumberOrders: numbered(testHR(10_000 + i)), Hold: true,
		}).Message()
		if err != nil {
			t.Fatal(err)
		}
		many = append(many, publish.Line{Number: i, Msg: m})
	}
	x.publish(many)
	x.rest(dir)
	w.end()
	sound := dump(t, dir)
	x.byHand(dir, "UPDATE documents SET contact_title = 'by hand' WHERE sid = '"+string(testPX(2))+"' OR sid = '"+string(testPX(4))+"'")
	want := dump(t, dir)
	cmd := exec.Command(os.Args[0], "rebuild", "--from-log")
	cmd.Env = append(x.env(dir), "AS_PROGRAM=1", "PATH="+os.Getenv("PATH"))
	x.nats.Stop() // it waits for the log, or has folded a part of it
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	locked := func() bool {
		unlock, err := datadir.Lock(dir)
		if err == nil {
			unlock()
		}
		return err != nil
	}
	waitLong(t, "the rebuild to begin", locked)
	x.nats.Start()
	waitLong(t, "its new file", func() bool {
		made, _ := filepath.Glob(filepath.Join(dir, "scratch-*", db.FileName))
		return len(made) > 0
	})
	cmd.Process.Kill()
	cmd.Wait()
	if cmd.ProcessState.Success() {
		t.Log("it was through before it was killed")
	} else if want != dump(t, dir) {
		t.Error("the old database is not what it was")
	}
	x.must(dir, "rebuild", "--from-log")
	if sound != dump(t, dir) {
		t.Error("the next rebuild comes to another state")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "scratch-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestServe_PurgedLogNeedsASnapshot purges what a snapshot holds: a new worker
// starts from that, and without one it says what is needed.
func TestServe_PurgedLogNeedsASnapshot(t *testing.T) {
	x, dir, w := documentsAreDone(t)
	w.end()
	want := dump(t, dir)
	x.must(dir, "snapshot", "take")
	js, err := jetstream.New(x.nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), events.StreamName)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(x.tail()-3)); err != nil {
		t.Fatal(err)
	}
	with := t.TempDir()
	b := start(t, x.env(with))
	b.says("read to its end")
	b.end()
	sameState(t, want, dump(t, with))

	list, err := x.snapshotsOf().List(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("%d snapshots, %v", len(list), err)
	}
	if err := x.snapshotsOf().Delete(t.Context(), list[0].Name); err != nil {
		t.Fatal(err)
	}
	code, _, errs := x.command(t.TempDir(), "serve")
	if code != exitFailure || !strings.Contains(errs, "start from a snapshot of the database") {
		t.Errorf("without a snapshot: exit code %d, %s", code, errs)
	}
}
