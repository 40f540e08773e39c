package worker

import (
	"runtime/debug"
	"testing"
)

func TestRelaxCollector_LeavesGOGCAlone(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	for _, c := range []struct {
		gogc string
		want int
	}{{"50", 100}, {"", heapGrowth}} {
		t.Setenv("GOGC", c.gogc)
		relaxCollector()
		got := debug.SetGCPercent(100)
		if got != c.want {
			t.Errorf("with GOGC=%q the heap may grow by %d %%, want %d", c.gogc, got, c.want)
		}
	}
}
