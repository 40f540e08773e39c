package sim

import (
	"flag"
	"testing"
	"testing/synctest"
)

var seedFlag = flag.Uint64("sim.seed", 0, "run this seed alone, and print all that happens")

// run runs a seed in a bubble of its own, where time stands still unless all
// wait for it.
func runSeed(t *testing.T, seed uint64, broken breakage) (w *world) {
	t.Helper()
	empty()
	synctest.Test(t, func(*testing.T) { w = schedule(seed, broken) })
	return w
}

func TestSimulation(t *testing.T) {
	if *seedFlag != 0 {
		w := runSeed(t, *seedFlag, intact)
		t.Log("\n" + w.tail(len(w.lines)))
		if w.wrong != nil {
			t.Fatal(w.wrong)
		}
		return
	}
	for seed := uint64(1); seed <= 20; seed++ {
		w := runSeed(t, seed, intact)
		t.Logf("seed %d: %d steps, %d entries, %d faults, hash %x", seed, w.steps, len(w.stream.entries), w.faults, w.hash)
		if w.wrong != nil {
			t.Errorf("seed %d: %v\n%s", seed, w.wrong, w.tail(60))
		}
	}
}
