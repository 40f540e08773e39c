package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"countersign/internal/test/eventstest"
)

// TestServe_DayPublishedAgainChangesNothing plays the day of examples/day.jsonl: every document ends where it
// should, with exactly the mails and events it owes, and publishing it again,
// with and without Nats-Msg-Ids, changes nothing.
func TestServe_DayPublishedAgainChangesNothing(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	day := theDay(t)
	x.publish(day)
	x.rest(dir)
	x.wantDay(dir)
	mails, subjects := x.box.Count(), len(x.subjects())
	before := state(t, dir)

	x.publish(day)
	for i := range day {
		day[i].Msg = &nats.Msg{Subject: day[i].Msg.Subject, Data: day[i].Msg.Data}
	}
	x.publish(day)
	x.rest(dir)
	x.wantDay(dir)
	if got := x.box.Count(); got != mails {
		t.Errorf("publishing the day again sent %d mails", got-mails)
	}
	if got := len(x.subjects()); got != subjects {
		t.Errorf("publishing the day again appended to %d new subjects", got-subjects)
	}
	if diff := cmp.Diff(before, state(t, dir)); diff != "" {
		t.Errorf("publishing the day again changed the state:\n%s", diff)
	}
	if code := w.end(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// state is the dump but for how far the log was read.
func state(t *testing.T, dir string) []string {
	t.Helper()
	return strings.Split(dump(t, dir), "\n")[1:]
}

// TestServe_DeletedDatabaseComesBackFromTheLog deletes the database at rest: the same state
// comes back from the log, nothing is mailed, nothing is appended.
func TestServe_DeletedDatabaseComesBackFromTheLog(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.publish(theDay(t))
	x.rest(dir)
	w.end()
	before, mails, tail := dump(t, dir), x.box.Count(), x.tail()

	removeDatabase(t, dir)
	w = start(t, x.env(dir))
	w.says("read to its end")
	x.rest(dir)
	if code := w.end(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(dump(t, dir), "\n")); diff != "" {
		t.Errorf("the state made again (+) differs:\n%s", diff)
	}
	if x.box.Count() != mails || x.tail() != tail {
		t.Errorf("%d new mails, %d new entries", x.box.Count()-mails, x.tail()-tail)
	}
}

// TestServe_DatabaseDeletedAtWorkSendsNothingTwice deletes the database in the middle of
// the day.
func TestServe_DatabaseDeletedAtWorkSendsNothingTwice(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	day := theDay(t)
	published := make(chan error, 1)
	go func() { published <- x.tryPublish(day) }()
	eventstest.Wait(t, "a part of the day's mails", func() bool { return x.box.Count() >= 100 })
	w.end()
	removeDatabase(t, dir)
	w = start(t, x.env(dir))
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	x.rest(dir)
	x.wantDay(dir)
	if _, repeats := x.caught(); len(repeats) > 0 {
		t.Errorf("mails sent again: %v", repeats)
	}
	w.end()
}

// TestServe_TwoWorkersAgreeAndSendNothingTwice runs two workers side by side, each with its own
// database.
func TestServe_TwoWorkersAgreeAndSendNothingTwice(t *testing.T) {
	x, one, two := newTown(t), t.TempDir(), t.TempDir()
	a, b := start(t, x.env(one)), start(t, x.env(two))
	a.says("read to its end")
	b.says("read to its end")
	x.publish(theDay(t))
	x.rest(one)
	x.rest(two)
	x.wantDay(one)
	if _, repeats := x.caught(); len(repeats) > 0 {
		t.Errorf("mails sent twice: %v", repeats)
	}
	if diff := cmp.Diff(strings.Split(dump(t, one), "\n"), strings.Split(dump(t, two), "\n")); diff != "" {
		t.Errorf("the two states differ:\n%s", diff)
	}
	a.end()
	b.end()
}

// TestServe_KilledWorkerLosesNothing kills the one that is at work, in the middle of
// the day. Nothing is lost, nothing stands twice, and a mail that went out
// twice was in flight, and is listed as in doubt.
func TestServe_KilledWorkerLosesNothing(t *testing.T) {
	x, one, two := newTown(t), t.TempDir(), t.TempDir()
	a := x.process(x.env(one, "COUNTERSIGN_MAIL_DEADLINE=4s"))
	published := make(chan error, 1)
	go func() { published <- x.tryPublish(theDay(t)) }()
	eventstest.Wait(t, "the first mails", func() bool { return x.box.Count() >= 40 })
	b := start(t, x.env(two, "COUNTERSIGN_MAIL_DEADLINE=4s"))
	b.says("read to its end")
	eventstest.Wait(t, "more mails", func() bool { return x.box.Count() >= 120 })
	a.kill()
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	x.rest(two)
	x.wantDay(two)
	_, repeats := x.caught()
	s := openStore(t, two)
	defer s.Close()
	doubtful, err := s.MailsInDoubt(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range doubtful {
		listed[fmt.Sprintf("<%s@countersign.example>", m.ID)] = true
	}
	for id, n := range repeats {
		if n > 1 || !listed[id] {
			t.Errorf("%s went out %d times; in doubt: %v", id, n+1, listed[id])
		}
	}
	if pool := 8; len(repeats) > pool {
		t.Errorf("%d mails went out twice, more than the %d that can be in flight", len(repeats), pool)
	}
	t.Logf("%d mails in doubt, %d of them doubled", len(doubtful), len(repeats))
	b.end()
}
