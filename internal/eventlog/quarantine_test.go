package eventlog_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// TestLogQuarantine_EntryBecomesDeadLetter puts an entry into quarantine. One worker
// has stopped right at it, one has applied later entries, and one has applied none.
func TestLogQuarantine_EntryBecomesDeadLetter(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	appendAll(t, log, 0, 3)
	var at, after fold
	stop := follow(t, log, &at)
	eventstest.Wait(t, "all entries applied", func() bool { return at.sequence() == 3 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	appendAll(t, log, 3, 5)
	stop = follow(t, log, &after)
	eventstest.Wait(t, "all entries applied", func() bool { return after.sequence() == 5 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	entry := stored(t, nc)[2]
	for range 2 {
		if in, err := log.Quarantine(t.Context(), entry.Time, workflow.Quarantined{Sequence: 3, Crashes: 2, Worker: "w"}); err != nil || !in {
			t.Fatalf("in quarantine: %t, %v", in, err)
		}
	}
	if in, err := log.Quarantine(t.Context(), entry.Time.Add(time.Second), workflow.Quarantined{Sequence: 3}); err != nil || in {
		t.Errorf("another entry in its place: in quarantine: %t, %v", in, err)
	}
	if in, err := log.Quarantine(t.Context(), entry.Time, workflow.Quarantined{Sequence: 30}); err != nil || in {
		t.Errorf("no entry in its place: in quarantine: %t, %v", in, err)
	}

	var before fold
	follow(t, eventstest.Open(t, nc, 1), &before)
	follow(t, eventstest.Open(t, nc, 1), &at)
	follow(t, eventstest.Open(t, nc, 1), &after)
	for _, f := range []*fold{&before, &at, &after} {
		eventstest.Wait(t, "the quarantine applied", func() bool { return f.sequence() == 6 })
	}
	said := "_.quarantined.3"
	if diff := cmp.Diff(append(createdIDs(0, 5), said), after.seen()); diff != "" {
		t.Errorf("one that had applied it (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(append(createdIDs(0, 5), said), at.seen()); diff != "" {
		t.Errorf("one that stopped at it (-want +got):\n%s", diff)
	}
	ids := before.seen()
	if len(ids) != 6 || ids[2] == createdIDs(2, 3)[0] || before.history[2].Source != "" {
		t.Errorf("one that had applied none met %v", ids)
	}
}

// TestLogFollow_PositionIsInQuarantine starts a worker whose position is an entry in
// quarantine.
func TestLogFollow_PositionIsInQuarantine(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	appendAll(t, log, 0, 2)
	if in, err := log.Quarantine(t.Context(), stored(t, nc)[1].Time, workflow.Quarantined{Sequence: 2, Crashes: 2, Worker: "w"}); err != nil || !in {
		t.Fatalf("in quarantine: %t, %v", in, err)
	}
	var f fold
	stop := follow(t, log, &f)
	eventstest.Wait(t, "all entries applied", func() bool { return f.sequence() == 3 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	f.position = f.history[1]
	f.history = f.history[:2]
	seen := f.seen()
	follow(t, log, &f)
	eventstest.Wait(t, "all entries applied again", func() bool { return f.sequence() == 3 })
	if diff := cmp.Diff(seen, f.seen()); diff != "" {
		t.Errorf("read again, other entries were met (-want +got):\n%s", diff)
	}
}
