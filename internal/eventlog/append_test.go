package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
	"countersign/internal/test/proxytest"
	"countersign/workflow"
)

func TestLogAppend_WaitsForBrokerUntilDeadline(t *testing.T) {
	broker := eventstest.Server(t)
	nc := eventstest.Connect(t, broker)
	log := eventstest.Open(t, nc, 1)
	broker.Stop()

	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if _, err := log.Append(ctx, createdEvent(0)); !errors.Is(err, workflow.ErrUnavailable) {
		t.Fatalf("without a broker: got %v, want ErrUnavailable", err)
	}

	appended := make(chan error, 1)
	go func() {
		_, err := log.Append(t.Context(), createdEvent(1))
		appended <- err
	}()
	broker.Start()
	if err := <-appended; err != nil {
		t.Fatal(err)
	}
	if got := len(stored(t, nc)); got != 1 {
		t.Errorf("%d entries stand on the log, want 1: what was given up must not land later", got)
	}
}

func TestLogAppend_RefusesInvalidEvents(t *testing.T) {
	log := eventstest.Log(t)
	e := createdEvent(0)
	e.What = "nonsense"
	if _, err := log.Append(t.Context(), e); err == nil {
		t.Error("an event without a subject was appended")
	}
	if _, err := log.Append(t.Context(), tooLarge()); !errors.Is(err, nats.ErrMaxPayload) {
		t.Errorf("got %v, want %v", err, nats.ErrMaxPayload)
	}
}

func TestLogAppendOnce_SkipsEventsOnTheLog(t *testing.T) {
	for name, test := range map[string]struct {
		before, es []events.Event
		last       uint64
		stand      int
	}{
		"none":                       {nil, nil, 0, 0},
		"one":                        {nil, dueEvents(0, 1), 1, 1},
		"one that is taken":          {dueEvents(0, 1), dueEvents(0, 1), 0, 1},
		"few":                        {nil, dueEvents(0, 4), 4, 4},
		"few, one taken":             {dueEvents(1, 2), dueEvents(0, 4), 4, 4},
		"many":                       {nil, dueEvents(0, 50), 50, 50},
		"many, some taken":           {append(dueEvents(3, 5), dueEvents(20, 23)...), dueEvents(0, 50), 50, 50},
		"many, all taken":            {dueEvents(0, 50), dueEvents(0, 50), 0, 50},
		"the same one several times": {nil, append(dueEvents(0, 5), dueEvents(0, 5)...), 5, 5},
		"a thousand":                 {nil, dueEvents(0, 1000), 1000, 1000},
		"a thousand, one taken":      {dueEvents(700, 701), dueEvents(0, 1000), 1000, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			nc := eventstest.Connect(t, eventstest.Server(t))
			log := eventstest.Open(t, nc, 1)
			if _, err := log.AppendOnce(t.Context(), test.before); err != nil {
				t.Fatal(err)
			}
			last, err := log.AppendOnce(t.Context(), test.es)
			if err != nil || last != test.last {
				t.Errorf("got sequence %d (%v), want %d", last, err, test.last)
			}
			checkStandOnce(t, nc, test.stand)
		})
	}
}

func TestLogAppendOnce_SeveralWorkersAppendOneEntry(t *testing.T) {
	broker := eventstest.Server(t, eventstest.SyncAlways())
	const n = 300
	var workers sync.WaitGroup
	for _, size := range []int{n, 7, 3} {
		log := eventstest.Open(t, eventstest.Connect(t, broker), 1)
		workers.Go(func() {
			for from := 0; from < n; from += size {
				if _, err := log.AppendOnce(t.Context(), dueEvents(from, min(from+size, n))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	checkStandOnce(t, eventstest.Connect(t, broker), n)
}

func TestLogAppendOnce_LeavesOutInvalidEvents(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	es := dueEvents(0, 50)
	nonsense := dueEvent(50)
	nonsense.What = "nonsense"
	es = append(es[:10:10], append([]events.Event{nonsense, tooLarge()}, es[10:]...)...)
	_, err := log.AppendOnce(t.Context(), es)
	if !errors.Is(err, nats.ErrMaxPayload) || !errors.Is(err, workflow.ErrInvalid) {
		t.Errorf("got %v, want both faults named", err)
	}
	checkStandOnce(t, nc, 50)
}

func TestLogAppendOnce_FailsWithoutBroker(t *testing.T) {
	broker := eventstest.Server(t)
	log := eventstest.Open(t, eventstest.Connect(t, broker), 1)
	broker.Stop()
	for _, n := range []int{2, 1000} {
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		defer cancel()
		if _, err := log.AppendOnce(ctx, dueEvents(0, n)); !errors.Is(err, workflow.ErrUnavailable) {
			t.Errorf("%d events: got %v, want ErrUnavailable", n, err)
		}
	}
}

func TestLogClaim_OneWorkerWinsEachRound(t *testing.T) {
	broker := eventstest.Server(t)
	logs := map[string]*eventlog.Log{}
	for _, worker := range []string{"a", "b", "c"} {
		logs[worker] = eventstest.Open(t, eventstest.Connect(t, broker), 1)
	}
	var last uint64
	for round := range 30 {
		var won, lost atomic.Int32
		var next atomic.Uint64
		var workers sync.WaitGroup
		for worker, log := range logs {
			workers.Go(func() {
				seq, err := log.Claim(t.Context(), claimEvent(worker, round), last)
				switch {
				case err == nil:
					won.Add(1)
					next.Store(seq)
				case errors.Is(err, eventlog.ErrLost) && errors.Is(err, workflow.ErrConflict):
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		workers.Wait()
		if won.Load() != 1 || lost.Load() != 2 {
			t.Fatalf("round %d: %d won and %d lost", round, won.Load(), lost.Load())
		}
		last = next.Load()
	}
}

func TestClaim(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	first, err := log.Claim(t.Context(), claimEvent("a", 1), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("again, its answer lost, is the same claim", func(t *testing.T) {
		if seq, err := log.Claim(t.Context(), claimEvent("a", 1), 0); err != nil || seq != first {
			t.Errorf("got sequence %d (%v), want %d", seq, err, first)
		}
	})
	t.Run("of other mails under the same id is lost", func(t *testing.T) {
		other := claimEvent("a", 2)
		other.ID = claimEvent("a", 1).ID
		if _, err := log.Claim(t.Context(), other, 0); !errors.Is(err, eventlog.ErrLost) {
			t.Errorf("got %v, want ErrLost", err)
		}
	})
	t.Run("without knowing the last one is lost", func(t *testing.T) {
		for _, last := range []uint64{0, first + 1} {
			if _, err := log.Claim(t.Context(), claimEvent("b", 1), last); !errors.Is(err, eventlog.ErrLost) {
				t.Errorf("after %d: got %v, want ErrLost", last, err)
			}
		}
	})
	t.Run("that another came after is lost, though it landed", func(t *testing.T) {
		if _, err := log.Claim(t.Context(), claimEvent("b", 2), first); err != nil {
			t.Fatal(err)
		}
		if _, err := log.Claim(t.Context(), claimEvent("a", 1), 0); !errors.Is(err, eventlog.ErrLost) {
			t.Errorf("got %v, want ErrLost", err)
		}
	})
	if got := len(stored(t, nc)); got != 2 {
		t.Errorf("%d claims stand on the log, want 2", got)
	}
}

func TestLogClaim_LostAnswer(t *testing.T) {
	t.Run("is not on the log if it was not sent", func(t *testing.T) {
		broker := eventstest.Server(t)
		nc := eventstest.Connect(t, broker)
		log := eventstest.Open(t, nc, 1)
		broker.Stop()
		eventstest.Wait(t, "the connection lost", func() bool { return !nc.IsConnected() })
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		defer cancel()
		if _, err := log.Claim(ctx, claimEvent("a", 1), 0); !errors.Is(err, workflow.ErrUnavailable) || errors.Is(err, eventlog.ErrUncertain) {
			t.Errorf("got %v, want ErrUnavailable alone", err)
		}
	})
	t.Run("is found when the log answers again", func(t *testing.T) {
		broker := eventstest.Server(t)
		proxied := proxytest.Start(t, broker.URL())
		log := eventstest.Open(t, eventstest.Connect(t, proxied), 1)
		direct := eventstest.Connect(t, broker)
		proxied.Set(proxytest.Down, proxytest.Fault{Silent: true})

		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if _, err := log.Claim(ctx, claimEvent("a", 1), 0); !errors.Is(err, eventlog.ErrUncertain) {
			t.Errorf("got %v, want ErrUncertain", err)
		}
		eventstest.Wait(t, "the claim on the log", func() bool { return authdocs(t, direct).CachedInfo().State.LastSeq == 1 })

		claimed := make(chan error, 1)
		go func() {
			seq, err := log.Claim(t.Context(), claimEvent("a", 1), 0)
			if err == nil && seq != 1 {
				err = fmt.Errorf("it stands at %d, want 1", seq)
			}
			claimed <- err
		}()
		proxied.Heal()
		if err := <-claimed; err != nil {
			t.Error(err)
		}
	})
}

// tooLarge is an event of ours that no NATS server takes.
func tooLarge() events.Event {
	e := dueEvent(9999)
	e.Body = workflow.TimerDue{Timer: "expiry", Round: 1, DueAt: e.Time}
	return eventlog.FromPending(workflow.PendingEvent{
		Account: acct, Document: docSID(9999), What: "became.failed.1", At: e.Time,
		Body: workflow.Became{Document: workflow.Document{
			SID: docSID(9999), AccountSID: acct, Status: workflow.Failed, Round: 1, Reason: strings.Repeat("x", 8<<20),
		}},
	})
}

// checkStandOnce fails the test unless n subjects have one entry each, none of
// them with an id for the server to know it by.
func checkStandOnce(t *testing.T, nc *nats.Conn, n int) {
	t.Helper()
	count := map[string]int{}
	for _, m := range stored(t, nc) {
		count[m.Subject]++
	}
	want := map[string]int{}
	for _, e := range dueEvents(0, n) {
		subject, err := e.Subject()
		if err != nil {
			t.Fatal(err)
		}
		want[subject] = 1
	}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("other entries stand on the log (-want +got):\n%s", diff)
	}
}

// TestLogAppendOnce_OpenBatchesOfOthersDoNotHoldItUp: while somebody keeps as
// many atomic batches open as the stream allows, events are appended singly.
func TestLogAppendOnce_OpenBatchesOfOthersDoNotHoldItUp(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	eventstest.Wait(t, "the stream to take no more batches", func() bool {
		open := &nats.Msg{Subject: "authdocs.v1.open", Header: nats.Header{"Nats-Batch-Id": {nats.NewInbox()}, "Nats-Batch-Sequence": {"1"}}}
		answer, err := nc.RequestMsg(open, 5*time.Second)
		return err == nil && strings.Contains(string(answer.Data), `"err_code":10210`)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // an open batch is dropped after 10 s
	defer cancel()
	if last, err := log.AppendOnce(ctx, dueEvents(0, 20)); err != nil || last != 20 {
		t.Errorf("got sequence %d (%v), want 20", last, err)
	}
}
