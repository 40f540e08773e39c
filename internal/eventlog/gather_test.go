package eventlog

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Load begins and ends with a batch that is applied when a count ends.
func TestGatherer_WaitsOnlyUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gatherer{from: 7, since: time.Now()}
		last := uint64(7)
		batch := func(n uint64, after time.Duration) time.Duration {
			<-time.After(after)
			last += n
			begun := time.Now()
			g.gather(t.Context(), last, func() uint64 { return last }, func() bool { return false })
			return time.Since(begun)
		}
		span := uint64(gatherRate * gatherSpan.Seconds()) // entries of a count at the rate
		if got := batch(span-1, time.Millisecond); got != 0 {
			t.Errorf("waited %v after the first batch, before a count has ended", got)
		}
		if got := batch(0, gatherSpan); got != 0 {
			t.Errorf("waited %v below the rate", got)
		}
		if got := batch(span, gatherSpan); got != gatherStep {
			t.Errorf("waited %v at the rate, want %v", got, gatherStep)
		}
		if got := batch(1, gatherStep); got != gatherStep {
			t.Errorf("waited %v after a small batch under load, want %v", got, gatherStep)
		}
		if got := batch(1, gatherSpan); got != 0 {
			t.Errorf("waited %v after the load has ended", got)
		}
		if got := batch(2*span, time.Minute); got != 0 {
			t.Errorf("waited %v after many entries at once and a minute of none", got)
		}
	})
}

func TestGatherer_WaitsWhileEntriesCome(t *testing.T) {
	for _, c := range []struct {
		name  string
		every time.Duration // between entries that come in; 0 if none do
		many  uint64        // how many come in each time
		hurry bool          // somebody waits
		want  time.Duration
	}{
		{"nothing comes", 0, 0, false, gatherStep},
		{"entries keep coming", time.Millisecond, 1, false, gatherSteps * gatherStep},
		{"somebody waits", time.Millisecond, 1, true, 0},
		{"entries come too seldom", 5 * gatherStep / 2, 1, false, gatherStep},
		{"enough have come", time.Millisecond, gatherMost, false, gatherStep},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const last = 100
				begun := time.Now()
				g := gatherer{from: last, since: begun, busy: true}
				g.gather(t.Context(), last, func() uint64 {
					if c.every == 0 {
						return last
					}
					return last + c.many*uint64(time.Since(begun)/c.every)
				}, func() bool { return c.hurry })
				if got := time.Since(begun); got != c.want {
					t.Errorf("waited %v, want %v", got, c.want)
				}
			})
		})
	}
}

func TestGatherer_EndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begun := time.Now()
		g := gatherer{since: begun, busy: true}
		g.gather(ctx, 0, func() uint64 { return 0 }, func() bool { return false })
		if got := time.Since(begun); got != 0 {
			t.Errorf("waited %v after ctx had ended", got)
		}
	})
}
