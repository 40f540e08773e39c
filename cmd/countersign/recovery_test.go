package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
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
	"countersign/events/eventstest"
	"countersign/workflow"
)

// command runs a command in this process, as a shell does.
func (x *town) command(dir string, args ...string) (code int, out, errs string) {
	x.t.Helper()
	var o, e bytes.Buffer
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

// snapshotsOf is the object store as the program sees it.
func (x *town) snapshotsOf() *events.Snapshots {
	x.t.Helper()
	s, err := events.NewSnapshots(x.nc, 1)
	if err != nil {
		x.t.Fatal(err)
	}
	return s
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

// TestANewWorkerStartsFromASnapshot takes a snapshot of a worker at work, in
// the middle of the day. A new worker comes from it to the state that one comes
// to from the log, under a name of its own, and mails nothing twice.
func TestANewWorkerStartsFromASnapshot(t *testing.T) {
	x, one, two, three := newTown(t), t.TempDir(), t.TempDir(), t.TempDir()
	a := start(t, x.env(one))
	a.says("read to its end")
	day := theDay(t)
	x.publish(day[:len(day)/2])
	out := x.must(one, "snapshot")
	if !strings.Contains(out, "up to entry") {
		t.Errorf("it says: %s", out)
	}
	x.publish(day[len(day)/2:])
	x.rest(one)

	b, c := start(t, x.env(two)), start(t, x.env(three, "COUNTERSIGN_SNAPSHOT_KEEP=1"))
	b.says("starting from a snapshot")
	b.says("read to its end")
	c.says("read to its end")
	x.rest(two)
	x.rest(three)
	x.wantDay(two)
	names := map[string]bool{}
	for _, dir := range []string{one, two, three} {
		s := openStore(t, dir)
		names[s.Position().Worker] = true
		s.Close()
		sameState(t, dump(t, one), dump(t, dir))
	}
	if len(names) != 3 || names[""] {
		t.Errorf("three workers have the names %v", names)
	}
	if _, repeats := x.caught(); len(repeats) > 0 {
		t.Errorf("mails sent twice: %v", repeats)
	}
	for _, w := range []*running{a, b, c} {
		w.end()
	}
	if left, _ := filepath.Glob(filepath.Join(one, "scratch-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestABadSnapshotIsPassedOver has the newer snapshots flipped, cut off, of a
// newer version, and of a newer version's rules: each is refused with a word in
// the log, and the oldest, a good one, is taken.
func TestABadSnapshotIsPassedOver(t *testing.T) {
	x, dir, w := theDayIsDone(t)
	x.must(dir, "snapshot")
	s := x.snapshotsOf()
	list, err := s.List(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("%d snapshots, %v", len(list), err)
	}
	good := list[0]
	var bytes bytes.Buffer
	if err := s.Get(t.Context(), good.Name, &bytes); err != nil {
		t.Fatal(err)
	}
	put := func(further uint64, change func(*events.Snapshot, []byte) []byte) {
		t.Helper()
		bad, raw := good, append([]byte(nil), bytes.Bytes()...)
		raw = change(&bad, raw)
		bad.Position.Sequence += further
		if _, err := s.Put(t.Context(), bad, readerOf(raw)); err != nil {
			t.Fatal(err)
		}
	}
	put(1, func(_ *events.Snapshot, raw []byte) []byte { raw[len(raw)/2] ^= 0x10; return raw })
	put(2, func(_ *events.Snapshot, raw []byte) []byte { return raw[:len(raw)/3] })
	put(3, func(x *events.Snapshot, raw []byte) []byte { x.Schema++; return raw })
	put(4, func(x *events.Snapshot, raw []byte) []byte { x.Rules++; return raw })

	other := t.TempDir()
	b := start(t, x.env(other))
	b.says("read to its end")
	x.rest(other)
	for text, n := range map[string]int{
		"it is damaged": 2, "taken by a newer version": 2, "trying the next older one": 4, "starting from a snapshot": 1,
	} {
		if got := strings.Count(b.log.String(), text); got != n {
			t.Errorf("the log says %q %d times, want %d", text, got, n)
		}
	}
	sameState(t, dump(t, dir), dump(t, other))
	b.end()
	w.end()
}

func readerOf(b []byte) io.Reader { return bytes.NewReader(b) }

// TestSnapshotsByTheClock has the worker at work take them, and keep two.
func TestSnapshotsByTheClock(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir, "COUNTERSIGN_SNAPSHOT_EVERY=50ms", "COUNTERSIGN_SNAPSHOT_KEEP=2"))
	w.says("read to its end")
	for range 3 {
		n := strings.Count(w.log.String(), "took a snapshot")
		x.create(1000+n, 1, "signer-%d@example.com")
		waitLong(t, "another snapshot", func() bool { return strings.Count(w.log.String(), "took a snapshot") > n })
	}
	waitLong(t, "two snapshots to be left", func() bool {
		list, err := x.snapshotsOf().List(context.Background())
		return err == nil && len(list) == 2
	})
	w.end()
}

// TestADatabaseOfYesterday puts an older copy of the file back, from when the
// documents were out: it catches up, mails nothing twice and publishes nothing
// twice.
func TestADatabaseOfYesterday(t *testing.T) {
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

// TestSnapshotOnAFullDisk: the message names the disk, nothing is left behind,
// and the worker goes on.
func TestSnapshotOnAFullDisk(t *testing.T) {
	dir, full := t.TempDir(), t.TempDir()
	s, err := db.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.Symlink("/dev/full", filepath.Join(full, db.FileName)); err != nil {
		t.Fatal(err)
	}
	err = s.Copy(t.Context(), full)
	if err == nil || !strings.Contains(err.Error(), "the disk is full; free space") || !strings.Contains(err.Error(), full) {
		t.Errorf("it says: %v", err)
	}
	if err := s.Copy(t.Context(), t.TempDir()); err != nil {
		t.Errorf("with room: %v", err)
	}
}

func waitLong(t *testing.T, what string, cond func() bool) {
	t.Helper()
	eventstest.WaitFor(t, time.Minute, what, cond)
}

// TestVerify finds nothing while worker and log agree, with the worker running,
// and a row that was changed by hand: by the log, and by another's dump.
func TestVerify(t *testing.T) {
	x, one, w := documentsAreDone(t)
	if out := x.must(one, "verify"); !strings.Contains(out, "the database says what the log says") {
		t.Errorf("it says: %s", out)
	}
	file := filepath.Join(t.TempDir(), "dump")
	if err := os.WriteFile(file, []byte(x.must(one, "dump")), 0o600); err != nil {
		t.Fatal(err)
	}
	x.create(101, 1, "signer-%d@example.com")
	x.rest(one)
	w.end()

	two := t.TempDir()
	x.must(two, "rebuild")
	if code, _, errs := x.command(two, "verify", "--against", file); code != exitFailure || !strings.Contains(errs, "stands at") {
		t.Errorf("a dump that is behind: exit code %d, %s", code, errs)
	}
	if err := os.WriteFile(file, []byte(x.must(one, "dump")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := x.must(two, "verify", "--against", file); !strings.Contains(out, "the database says what "+file+" says") {
		t.Errorf("it says: %s", out)
	}

	x.byHand(two, `UPDATE documents SET email = 'mallory@example.com' WHERE sid = '`+string(testPX(101))+`'`)
	for _, args := range [][]string{{"verify"}, {"verify", "--against", file}} {
		code, out, errs := x.command(two, args...)
		if code != exitFailure || !strings.Contains(errs, "the two states differ: 1 rows") {
			t.Errorf("%v: exit code %d, %s", args, code, errs)
		}
		want := "documents " + string(testPX(101)) + "\n  - email: signer-101@example.com\n  + email: mallory@example.com\n"
		if diff := cmp.Diff(want, out); diff != "" {
			t.Errorf("%v shows something else (-want +got):\n%s", args, diff)
		}
	}
	x.byHand(two, `DELETE FROM journal WHERE document_sid = '`+string(testPX(101))+`'`)
	if _, out, _ := x.command(two, "verify"); !strings.Contains(out, "\n  - what: authorization_document.created") {
		t.Errorf("missing rows are shown as:\n%s", out)
	}
	if _, out, _ := x.command(two, "verify", "--limit", "1"); strings.Count(out, "\n  - email: ") != 1 || strings.Contains(out, "journal") || !strings.Contains(out, " rows more\n") {
		t.Errorf("one row is shown as:\n%s", out)
	}
	x.must(two, "snapshot") // which is as wrong
	if out := x.must(two, "verify", "--from-log=false"); !strings.Contains(out, "the database says what the log says") {
		t.Errorf("from the snapshot: %s", out)
	}
	if code, _, _ := x.command(two, "verify"); code != exitFailure {
		t.Errorf("from the log: exit code %d", code)
	}
}

// TestVerifyOfADatabaseThatIsBehind compares where the database stands, wherever
// the log ends.
func TestVerifyOfADatabaseThatIsBehind(t *testing.T) {
	x, dir, w := documentsAreDone(t)
	w.end()
	at := x.tail()
	x.create(101, 3, "signer-%d@example.com")
	if out := x.must(dir, "verify"); !strings.HasSuffix(out, fmt.Sprintf("up to entry %d\n", at)) {
		t.Errorf("it says: %s", out)
	}
	ahead := t.TempDir()
	x.must(ahead, "rebuild")
	x.must(ahead, "snapshot")
	if out := x.must(dir, "verify", "--from-log=false"); !strings.HasSuffix(out, fmt.Sprintf("up to entry %d\n", at)) {
		t.Errorf("where the only snapshot is ahead: %s", out)
	}
	log := eventstest.Open(t, x.nc, 1)
	for _, pair := range [][2]string{{dir, ahead}, {ahead, dir}} {
		same, to, err := sameAt(t.Context(), log, pair[0], pair[1])
		if err != nil || !same || to != at+3 {
			t.Errorf("%v: the same: %t at %d, %v", pair, same, to, err)
		}
	}
}

// byHand changes a database as nobody should.
func (x *town) byHand(dir, statement string) {
	x.t.Helper()
	file, err := sql.Open("sqlite3", filepath.Join(dir, db.FileName))
	if err != nil {
		x.t.Fatal(err)
	}
	defer file.Close()
	if r, err := file.Exec(statement); err != nil {
		x.t.Fatal(err)
	} else if n, _ := r.RowsAffected(); n == 0 {
		x.t.Fatal("it changed nothing: " + statement)
	}
}

// TestReplicasAreComparedBySnapshots has a worker whose database was changed by
// hand meet the snapshot that another one takes: it says so, and its metric.
func TestReplicasAreComparedBySnapshots(t *testing.T) {
	x, one, two := newTown(t), t.TempDir(), t.TempDir()
	a := start(t, x.env(one, "COUNTERSIGN_SNAPSHOT_EVERY=1h"))
	a.says("read to its end")
	x.create(1, 5, "signer-%d@example.com")
	x.rest(one)
	x.must(two, "rebuild", "--from-log")
	b := start(t, x.env(two, "COUNTERSIGN_SNAPSHOT_EVERY=200ms", "COUNTERSIGN_SNAPSHOT_KEEP=5"))
	b.says("read to its end")
	x.must(one, "snapshot")
	metric := func(value string) func() bool {
		return func() bool {
			_, body := get(t, "http://"+b.address("admin")+"/metrics")
			return strings.Contains(body, "\ncountersign_replica_mismatch "+value+"\n") && !strings.Contains(body, "\ncountersign_snapshot_position 0\n")
		}
	}
	waitLong(t, "the metric to be there", metric("0"))
	if strings.Contains(b.log.String(), "is not what another's is") {
		t.Errorf("a false alarm:\n%s", b.log)
	}
	x.byHand(two, `UPDATE documents SET contact_title = 'Mallory' WHERE sid = '`+string(testPX(3))+`'`)
	x.create(6, 1, "signer-%d@example.com")
	x.rest(one)
	x.must(one, "snapshot")
	waitLong(t, "the alarm in the log", func() bool {
		return strings.Contains(b.log.String(), "is not what another's is at the same position")
	})
	waitLong(t, "the alarm in the metrics", metric("1"))
	b.end()
	a.end()
}

// TestRebuild makes the database again beside a worker of another directory:
// from the log, and from a snapshot. It does not where a worker is at work.
func TestRebuild(t *testing.T) {
	x, dir, w := documentsAreDone(t)
	want := dump(t, dir)
	if code, _, errs := x.command(dir, "rebuild"); code != exitFailure || !strings.Contains(errs, "another worker uses the data directory "+dir+"; stop it first") {
		t.Errorf("beside its worker: exit code %d, %s", code, errs)
	}
	x.must(dir, "snapshot")
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

// TestRebuildKilledHalfWay leaves the old database as it was, and the next one
// comes to its end.
func TestRebuildKilledHalfWay(t *testing.T) {
	x, dir, w := documentsAreDone(t)
	var many []line
	for i := range 1000 {
		m, err := events.Created("/test", fmt.Sprint("many-", i), testAccount, testPX(10_000+i), workflow.Created{
			AddressSID: "AD00000000000000000000000000000001", Email: "many@example.com", HostedNumberOrderSIDs: []workflow.SID{testHR(10_000 + i)}, Hold: true,
		}).Message()
		if err != nil {
			t.Fatal(err)
		}
		many = append(many, line{number: i, msg: m})
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
		unlock, err := lockDir(dir)
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

// TestALogThatWasCutOffNeedsASnapshot purges what a snapshot holds: a new worker
// starts from that, and without one it says what is needed.
func TestALogThatWasCutOffNeedsASnapshot(t *testing.T) {
	x, dir, w := documentsAreDone(t)
	w.end()
	want := dump(t, dir)
	x.must(dir, "snapshot")
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
