package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/db"
	"countersign/internal/eventlog"
)

// snapshotsOf is the object store as the program sees it.
func (x *town) snapshotsOf() *eventlog.Snapshots {
	x.t.Helper()
	s, err := eventlog.NewSnapshots(x.nc, 1)
	if err != nil {
		x.t.Fatal(err)
	}
	return s
}

// TestServe_NewWorkerStartsFromASnapshot takes a snapshot of a worker at work, in
// the middle of the day. A new worker comes from it to the state that one comes
// to from the log, under a name of its own, and mails nothing twice.
func TestServe_NewWorkerStartsFromASnapshot(t *testing.T) {
	x, one, two, three := newTown(t), t.TempDir(), t.TempDir(), t.TempDir()
	a := start(t, x.env(one))
	a.says("read to its end")
	day := theDay(t)
	x.publish(day[:len(day)/2])
	out := x.must(one, "snapshot", "take")
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

// TestServe_SkipsBadSnapshots has the newer snapshots flipped, cut off, of a
// newer version, and of a newer version's rules: each is refused with a word in
// the log, and the oldest, a good one, is taken.
func TestServe_SkipsBadSnapshots(t *testing.T) {
	x, dir, w := theDayIsDone(t)
	x.must(dir, "snapshot", "take")
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
	put := func(further uint64, change func(*eventlog.Snapshot, []byte) []byte) {
		t.Helper()
		bad, raw := good, append([]byte(nil), bytes.Bytes()...)
		raw = change(&bad, raw)
		bad.Position.Sequence += further
		if _, err := s.Put(t.Context(), bad, readerOf(raw)); err != nil {
			t.Fatal(err)
		}
	}
	put(1, func(_ *eventlog.Snapshot, raw []byte) []byte { raw[len(raw)/2] ^= 0x10; return raw })
	put(2, func(_ *eventlog.Snapshot, raw []byte) []byte { return raw[:len(raw)/3] })
	put(3, func(x *eventlog.Snapshot, raw []byte) []byte { x.Schema++; return raw })
	put(4, func(x *eventlog.Snapshot, raw []byte) []byte { x.Rules++; return raw })

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

// TestServe_TakesSnapshotsAndKeepsTwo has the worker at work take them, and keep two.
func TestServe_TakesSnapshotsAndKeepsTwo(t *testing.T) {
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

// TestSnapshot_FullDiskIsNamed: the message names the disk, nothing is left behind,
// and the worker goes on.
func TestSnapshot_FullDiskIsNamed(t *testing.T) {
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

// TestServe_ReportsADatabaseThatDiffersFromASnapshot has a worker whose database was changed by
// hand meet the snapshot that another one takes: it says so, and its metric.
func TestServe_ReportsADatabaseThatDiffersFromASnapshot(t *testing.T) {
	x, one, two := newTown(t), t.TempDir(), t.TempDir()
	a := start(t, x.env(one, "COUNTERSIGN_SNAPSHOT_EVERY=1h"))
	a.says("read to its end")
	x.create(1, 5, "signer-%d@example.com")
	x.rest(one)
	x.must(two, "rebuild", "--from-log")
	b := start(t, x.env(two, "COUNTERSIGN_SNAPSHOT_EVERY=200ms", "COUNTERSIGN_SNAPSHOT_KEEP=5"))
	b.says("read to its end")
	x.must(one, "snapshot", "take")
	metric := func(value string) func() bool {
		return func() bool {
			_, body := get(t, "http://"+b.address("admin")+"/metrics")
			return strings.Contains(body, "\ncountersign_replica_mismatch "+value+"\n") && !strings.Contains(body, "\ncountersign_snapshot_position 0\n")
		}
	}
	waitLong(t, "the metric to be there", metric("0"))
	if strings.Contains(b.log.String(), "and another's differ at the same position") {
		t.Errorf("a false alarm:\n%s", b.log)
	}
	x.byHand(two, `UPDATE documents SET contact_title = 'Mallory' WHERE sid = '`+string(testPX(3))+`'`)
	x.create(6, 1, "signer-%d@example.com")
	x.rest(one)
	x.must(one, "snapshot", "take")
	waitLong(t, "the alarm in the log", func() bool {
		return strings.Contains(b.log.String(), "and another's differ at the same position")
	})
	waitLong(t, "the alarm in the metrics", metric("1"))
	b.end()
	a.end()
}
