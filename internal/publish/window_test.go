package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
)

// someLines are n events of documents of their own.
func someLines(t testing.TB, n int) []Line {
	t.Helper()
	var file bytes.Buffer
	for i := range n {
		fmt.Fprintf(&file, `{"subject":"%sAC%032x.PX%032x.created","data":{"id":"%d","source":"/test"}}`+"\n", events.Prefix, 1, i, i)
	}
	lines, err := Read(&file, "file")
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// batcher returns a sender for which batches always pay after the first window, and
// the sizes of its batches. do sends a batch.
func batcher(t testing.TB, nc *nats.Conn, do func(send func() error) error) (*lineSender, *[]int) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, sizes := newSender(js, Options{Wait: 20 * time.Second}), new([]int)
	s.pace.batch = 1
	send := s.batch
	s.batch = func(ctx context.Context, msgs []*nats.Msg) (ack *jetstreamext.BatchAck, err error) {
		*sizes = append(*sizes, len(msgs))
		err = do(func() error {
			ack, err = send(ctx, msgs)
			return err
		})
		return ack, err
	}
	return s, sizes
}

func asItIs(send func() error) error { return send() }

// lost loses the answer.
func lost(send func() error) error {
	_ = send()
	return context.DeadlineExceeded
}

// checkSent fails the test unless each line is on the log once, with its id, where
// list says, in the order of the lines.
func checkSent(t *testing.T, nc *nats.Conn, lines []Line, list []Outcome) {
	t.Helper()
	if len(list) != len(lines) {
		t.Fatalf("%d outcomes, want %d", len(list), len(lines))
	}
	there := map[string][]events.Message{}
	err := eventlog.Read(t.Context(), nc, events.StreamName, eventlog.Range{From: 1}, func(m events.Message) error {
		there[m.Subject] = append(there[m.Subject], m)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range lines {
		m, o := there[l.Msg.Subject], list[i]
		if len(m) != 1 || o.Line != l.Number || o.Sequence != m[0].Sequence {
			t.Fatalf("line %d is on the log %d times, and its outcome is %+v", l.Number, len(m), o)
		}
		if id := m[0].Header.Get(jetstream.MsgIDHeader); id != "/test "+o.EventID {
			t.Errorf("line %d has id %q", l.Number, id)
		}
	}
}

// duplicates returns the numbers of the lines that were on the log.
func duplicates(list []Outcome) (numbers []int) {
	for _, o := range list {
		if o.Result == Duplicate {
			numbers = append(numbers, o.Line)
		}
	}
	return numbers
}

// TestLineSender_BatchFallsApart: whatever fails a batch, each of its lines is on the log
// once, and only what was there before is a duplicate.
func TestLineSender_BatchFallsApart(t *testing.T) {
	for name, test := range map[string]struct {
		before  int // the line that is on the log before; 0 for none
		do      func(send func() error) error
		batches []int
	}{
		"it does not":                         {do: asItIs, batches: []int{256, 112}},
		"landed, and its answer lost":         {do: lost, batches: []int{256, 112}},
		"lost":                                {do: func(func() error) error { return context.DeadlineExceeded }, batches: []int{256, 112}},
		"refused":                             {do: func(func() error) error { return &jetstream.APIError{Code: 429, ErrorCode: 10210} }, batches: []int{256, 112}},
		"one line was there":                  {before: 100, do: asItIs, batches: []int{256}},
		"one line was there, and answer lost": {before: 100, do: lost, batches: []int{256}},
		"single line was there":               {before: 3, do: lost, batches: []int{112}},
	} {
		t.Run(name, func(t *testing.T) {
			nc := eventstest.Connect(t, eventstest.Server(t))
			eventstest.Open(t, nc, 1)
			lines := someLines(t, 400)
			var want []int
			if test.before > 0 {
				if _, err := Send(t.Context(), nc, lines[test.before-1:test.before], Options{Wait: 20 * time.Second}); err != nil {
					t.Fatal(err)
				}
				want = []int{test.before}
			}
			s, sizes := batcher(t, nc, test.do)
			list, err := s.all(t.Context(), lines)
			if err != nil {
				t.Fatal(err)
			}
			checkSent(t, nc, lines, list)
			if got := duplicates(list); !slices.Equal(got, want) {
				t.Errorf("duplicates: lines %v, want %v", got, want)
			}
			if !slices.Equal(*sizes, test.batches) {
				t.Errorf("batches of %v, want %v", *sizes, test.batches)
			}
		})
	}
}

// TestLineSender_BadLineInABatch: a line that the server refuses fails by itself, with
// its number, and those of its window are on the log.
func TestLineSender_BadLineInABatch(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	eventstest.Open(t, nc, 1)
	lines := someLines(t, 288)
	lines[99].Msg.Header.Set(jetstream.ExpectedLastMsgIDHeader, "another")
	s, sizes := batcher(t, nc, asItIs)
	_, err := s.all(t.Context(), lines)
	var refused *jetstream.APIError
	if !errors.As(err, &refused) || !strings.HasPrefix(err.Error(), "line 100: ") {
		t.Errorf("got %v, want that the server refused line 100", err)
	}
	if want := []int{256}; !slices.Equal(*sizes, want) {
		t.Errorf("batches of %v, want %v", *sizes, want)
	}
	checkSent(t, nc, slices.Delete(lines, 99, 100), s.list)
}

// TestLineSender_SentAgain sends lines again: all are duplicates, and no batch is tried,
// because the server would refuse it.
func TestLineSender_SentAgain(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	eventstest.Open(t, nc, 1)
	lines := someLines(t, 400)
	for _, want := range []struct{ duplicates, batches int }{{0, 2}, {400, 0}} {
		s, sizes := batcher(t, nc, asItIs)
		list, err := s.all(t.Context(), lines)
		if err != nil {
			t.Fatal(err)
		}
		checkSent(t, nc, lines, list)
		if got := len(duplicates(list)); got != want.duplicates || len(*sizes) != want.batches {
			t.Errorf("%d duplicates and %d batches, want %+v", got, len(*sizes), want)
		}
	}
}

// TestLineSender_RateSendsAtOnce: with a rate no line waits for others.
func TestLineSender_RateSendsAtOnce(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	eventstest.Open(t, nc, 1)
	s, sizes := batcher(t, nc, asItIs)
	s.rate = 1e6
	lines := someLines(t, 400)
	list, err := s.all(t.Context(), lines)
	if err != nil || len(*sizes) > 0 {
		t.Errorf("%v, batches of %v", err, *sizes)
	}
	checkSent(t, nc, lines, list)
}

func TestPace_Together(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		p    pace
		n    int
		want bool
	}{
		{pace{}, unacked, false},
		{pace{single: ms}, batchFrom, true},
		{pace{single: ms}, batchFrom - 1, false},
		{pace{single: ms / 64}, unacked, false}, // a server that syncs at intervals
		{pace{single: ms, batch: 100 * ms}, 100, false},
		{pace{single: ms, batch: 99 * ms}, 100, true},
	} {
		if got := c.p.together(c.n); got != c.want {
			t.Errorf("%+v, %d lines: %v, want %v", c.p, c.n, got, c.want)
		}
	}
}

// TestPace_Note: the best time counts, and a batch that fell apart took all of its time.
func TestPace_Note(t *testing.T) {
	var p pace
	p.note(10, false, 20*time.Millisecond)
	p.note(10, false, 10*time.Millisecond)
	p.note(10, false, 30*time.Millisecond)
	p.note(10, true, 9*time.Millisecond)
	p.note(100, true, 11*time.Millisecond)
	if want := (pace{single: time.Millisecond, batch: 9 * time.Millisecond}); p != want {
		t.Errorf("got %+v, want %+v", p, want)
	}
}

// BenchmarkSend sends 2,000 lines, singly and as Send does.
func BenchmarkSend(b *testing.B) {
	for _, synced := range []bool{false, true} {
		for _, single := range []bool{true, false} {
			b.Run(fmt.Sprintf("synced=%v/single=%v", synced, single), func(b *testing.B) {
				var options []eventstest.Option
				if synced {
					options = append(options, eventstest.SyncAlways())
				}
				nc := eventstest.Connect(b, eventstest.Server(b, options...))
				eventstest.Open(b, nc, 1)
				js, err := jetstream.New(nc)
				if err != nil {
					b.Fatal(err)
				}
				const n = 2000
				lines := someLines(b, n)
				b.ResetTimer()
				for i := range b.N {
					for _, l := range lines {
						l.Msg.Header.Set(jetstream.MsgIDHeader, fmt.Sprintf("%d %s", i, l.Msg.Subject))
					}
					s := newSender(js, Options{Wait: time.Minute})
					if single {
						s.pace.batch = time.Hour
					}
					if _, err := s.all(b.Context(), lines); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "lines/s")
			})
		}
	}
}
