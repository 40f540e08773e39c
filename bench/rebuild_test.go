package bench

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"countersign/db"
	"countersign/internal/eventlog"
	"countersign/internal/recovery"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// counter is a fold that only counts.
type counter struct {
	end  uint64
	stop context.CancelFunc
}

func (*counter) Position(context.Context) (eventlog.Position, error) { return eventlog.Position{}, nil }

func (c *counter) Apply(_ context.Context, b eventlog.Batch) error {
	if b.Entries[len(b.Entries)-1].Sequence >= c.end {
		c.stop()
	}
	return nil
}

func (*counter) Rewind(context.Context, uint64, func(uint64, time.Time, string, string) (bool, error)) (eventlog.Position, error) {
	return eventlog.Position{}, workflow.ErrConflict
}

// BenchmarkRebuild_LongLog reads the log of BENCH_LIVES whole lives (20,000 by
// default), of which BENCH_ALIVE at a time are between created and registered:
// with a fold that only counts, as a worker reads it, and as rebuild does. The
// server is in this process too, as the embedded one is.
func BenchmarkRebuild_LongLog(b *testing.B) {
	nc := eventstest.Connect(b, eventstest.Server(b))
	log := eventstest.Open(b, nc, 1)
	entries := publish(b, nc, number(b, "BENCH_LIVES", 20_000), number(b, "BENCH_ALIVE", 1000))
	end := uint64(entries)
	var states []string
	state := func(b *testing.B, s *db.Store, err error) {
		if err != nil {
			b.Fatal(err)
		}
		hash, err := s.StateHash(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		states = append(states, hash)
		if err := s.Close(); err != nil || hash != states[0] {
			b.Fatal("the states differ", err)
		}
	}
	for _, way := range []struct {
		name string
		run  func(b *testing.B, dir string) func(b *testing.B)
	}{
		{"fold that counts", func(b *testing.B, _ string) func(b *testing.B) {
			ctx, stop := context.WithCancel(b.Context())
			if err := log.Follow(ctx, &counter{end, stop}); err != nil {
				b.Fatal(err)
			}
			return func(*testing.B) {}
		}},
		{"worker", func(b *testing.B, dir string) func(b *testing.B) {
			s, err := db.Open(b.Context(), dir)
			if err == nil {
				err = recovery.FoldTo(b.Context(), log, s, end, nil)
			}
			return func(b *testing.B) { state(b, s, err) }
		}},
		{"rebuild", func(b *testing.B, dir string) func(b *testing.B) {
			if err := recovery.Make(b.Context(), log, dir, end, nil); err != nil {
				b.Fatal(err)
			}
			return func(b *testing.B) {
				s, err := db.Open(b.Context(), dir)
				state(b, s, err)
			}
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			var spent, busy time.Duration
			for b.Loop() {
				dir := b.TempDir()
				resetPeak(b)
				begun, before := time.Now(), processorTime(b)
				check := way.run(b, dir)
				spent += time.Since(begun)
				busy += processorTime(b) - before
				b.ReportMetric(peak(b), "peak-MB")
				check(b)
			}
			n := float64(entries) * float64(b.N)
			b.ReportMetric(n/spent.Seconds(), "entries/s")
			b.ReportMetric(float64(busy.Microseconds())/n, "cpu-µs/entry")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// resetPeak makes peak begin with what the process needs now.
func resetPeak(b *testing.B) {
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600); err != nil {
		b.Log("the peak is that of the whole run:", err)
	}
}

// peak is the most resident memory of the process since resetPeak, in MB: proc(5).
func peak(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var kB float64
	if _, err := fmt.Sscanf(after, "%f kB", &kB); err != nil {
		b.Fatal(err)
	}
	return kB / 1000
}

// processorTime is how long the processor has worked for this process.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
