package eventlog

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestGather(t *testing.T) {
	for _, c := range []struct {
		name  string
		n     int           // entries of the batch before
		every time.Duration // between entries that come in; 0 if none do
		many  uint64        // how many come in each time
		hurry bool          // somebody waits
		want  time.Duration
	}{
		{"small batch does not wait", gatherFrom - 1, time.Millisecond, 1, false, 0},
		{"nothing comes", gatherFrom, 0, 0, false, gatherStep},
		{"entries keep coming", gatherFrom, time.Millisecond, 1, false, gatherSteps * gatherStep},
		{"somebody waits", gatherFrom, time.Millisecond, 1, true, 0},
		{"entries come too seldom", gatherFrom, 5 * gatherStep / 2, 1, false, gatherStep},
		{"enough have come", gatherFrom, time.Millisecond, gatherMost, false, gatherStep},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const last = 100
				begun := time.Now()
				gather(t.Context(), c.n, last, func() uint64 {
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

func TestGather_EndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begun := time.Now()
		gather(ctx, gatherFrom, 0, func() uint64 { return 0 }, func() bool { return false })
		if got := time.Since(begun); got != 0 {
			t.Errorf("waited %v after ctx had ended", got)
		}
	})
}
