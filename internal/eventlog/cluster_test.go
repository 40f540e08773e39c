package eventlog_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
)

// patience covers the elections of a cluster on a busy machine.
const patience = 90 * time.Second

func TestLogFollow_ClusterWithoutItsLeaderLosesNoEntry(t *testing.T) {
	cluster := eventstest.Cluster(t, 3)
	nc := eventstest.Connect(t, cluster)
	log := eventstest.Open(t, nc, 3)
	var f fold
	follow(t, log, &f)

	var acked atomic.Int64
	stop, stopped := make(chan bool), make(chan bool)
	writer := eventstest.Open(t, eventstest.Connect(t, cluster), 3)
	go func() {
		defer close(stopped)
		var last uint64
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			seq, err := writer.Append(t.Context(), createdEvent(n))
			if err != nil || seq <= last {
				t.Errorf("event %d: sequence %d after %d (%v)", n, seq, last, err)
				return
			}
			last = seq
			acked.Add(1)
		}
	}()
	more := func(n int64) {
		want := acked.Load() + n
		eventstest.WaitFor(t, patience, "more events acknowledged", func() bool { return acked.Load() >= want })
	}
	more(50)
	for range 2 {
		leader := cluster.Leader(nc)
		cluster.Kill(leader)
		more(50)
		cluster.Restart(leader)
		more(50)
	}
	close(stop)
	<-stopped

	want := createdIDs(0, int(acked.Load()))
	var fresh fold
	follow(t, writer, &fresh)
	for name, f := range map[string]*fold{"all the while": &f, "afterwards": &fresh} {
		eventstest.WaitFor(t, patience, "all entries applied", func() bool { return len(f.seen()) >= len(want) })
		if diff := cmp.Diff(want, f.seen()); diff != "" {
			t.Errorf("%s other entries were applied than acknowledged (-want +got):\n%s", name, diff)
		}
	}
}

func TestLogClaim_OnCluster(t *testing.T) {
	cluster := eventstest.Cluster(t, 3)
	nc := eventstest.Connect(t, cluster)
	log := eventstest.Open(t, nc, 3)
	first, err := log.Claim(t.Context(), claimEvent("a", 1), 0)
	if err != nil {
		t.Fatal(err)
	}
	if seq, err := log.Claim(t.Context(), claimEvent("a", 1), 0); err != nil || seq != first {
		t.Errorf("the same claim again: got sequence %d (%v), want %d", seq, err, first)
	}
	if _, err := log.Claim(t.Context(), claimEvent("b", 1), 0); !errors.Is(err, eventlog.ErrLost) {
		t.Errorf("a claim without knowing the last: got %v, want ErrLost", err)
	}

	other := eventstest.Open(t, eventstest.Connect(t, cluster), 3)
	done := make(chan error)
	for _, l := range []*eventlog.Log{log, other} {
		go func() {
			_, err := l.AppendOnce(t.Context(), dueEvents(0, 200))
			done <- err
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	last, err := log.Tail(t.Context())
	if err != nil || last != first+200 {
		t.Errorf("the log ends at %d (%v), want %d", last, err, first+200)
	}
}
