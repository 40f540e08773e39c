package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/db"
	"countersign/events"
	"countersign/events/eventstest"
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
	x.publish(theDay(t))
	x.rest(dir)
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

// TestADatabaseOfYesterday puts an older copy of the file back: it catches up,
// mails nothing twice and publishes nothing twice.
func TestADatabaseOfYesterday(t *testing.T) {
	x, dir, old := newTown(t), t.TempDir(), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	day := theDay(t)
	x.publish(day[:len(day)/2])
	s := openStore(t, dir)
	if err := s.Copy(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	s.Close()
	x.publish(day[len(day)/2:])
	x.rest(dir)
	w.end()
	want, mails, tail := dump(t, dir), x.box.Count(), x.tail()

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
	x.wantDay(dir)
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
