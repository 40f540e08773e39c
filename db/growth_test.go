package db_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"countersign/workflow"
)

// BenchmarkApply_Growth folds whole lives into a store that already has some finished
// documents, from 100 to BENCH_DOCUMENTS (10,000 by default), in steps of ten. The
// figures of one run tell how the fold grows with the store.
func BenchmarkApply_Growth(b *testing.B) {
	most := 10_000
	if given := os.Getenv("BENCH_DOCUMENTS"); given != "" {
		var err error
		if most, err = strconv.Atoi(given); err != nil {
			b.Fatal(err)
		}
	}
	const pull, each = 4096, 100
	s := open(b, b.TempDir())
	documents, sequence := 0, uint64(0)
	fold := func(n int) (entries int) {
		w := &writer{}
		lives(w, documents, n)
		documents += n
		for i := range w.entries { // the writer's first entry has the sequence 1
			e := &w.entries[i]
			e.Sequence += sequence
			e.Time = e.Time.Add(time.Duration(sequence) * 1234567)
			e.ID = fmt.Sprint("e", e.Sequence)
			if c, ok := e.Body.(workflow.Settled); ok {
				c.Claim += sequence
				e.Body = c
			}
		}
		sequence += uint64(len(w.entries))
		for log := w.entries; len(log) > 0; log = log[min(len(log), pull):] {
			apply(b, s, log[:min(len(log), pull)]...)
		}
		return len(w.entries)
	}
	for _, n := range []int{100, 1_000, 10_000, 100_000, 1_000_000} {
		if n > most {
			break
		}
		for documents < n {
			fold(min(500, n-documents))
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			entries := 0
			before := processorTime(b)
			for b.Loop() {
				entries += fold(each)
			}
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(entries), "cpu-µs/entry")
			b.ReportMetric(0, "ns/op")
		})
	}
	if c, err := s.Counts(b.Context(), start); err != nil || c.Position.Sequence != sequence {
		b.Fatal(fmt.Errorf("applied to %d of %d: %w", c.Position.Sequence, sequence, err))
	}
}
