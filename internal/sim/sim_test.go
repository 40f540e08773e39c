package sim

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // schedules are short, and leave little behind
	os.Exit(m.Run())
}

// runSeed runs a seed in a bubble of its own, where time stands still unless
// all wait for it.
func runSeed(t *testing.T, seed uint64, broken breakage) (w *world) {
	t.Helper()
	tables() // made outside of the bubble
	synctest.Test(t, func(*testing.T) { w = schedule(seed, broken) })
	return w
}

// number is an environment variable's value, or what there is without it.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestSeed runs the one seed that SIM_SEED names, and prints all that happens.
func TestSeed(t *testing.T) {
	w := runSeed(t, number(t, "SIM_SEED", 1), breakage(number(t, "SIM_BROKEN", 0)))
	t.Log("\n" + w.tail(len(w.lines)))
	if w.wrong != nil {
		t.Error(w.wrong)
	}
}

func TestSimulation(t *testing.T) {
	first, count := number(t, "SIM_FIRST", 1), number(t, "SIM_SCHEDULES", 300)
	var next, steps, faults, doubled atomic.Uint64
	began := time.Now()
	t.Run("lanes", func(t *testing.T) {
		for lane := range 2 {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				for n := next.Add(1) - 1; n < count; n = next.Add(1) - 1 {
					w := runSeed(t, first+n, intact)
					steps.Add(uint64(w.steps))
					faults.Add(uint64(w.faults))
					for _, a := range w.post.accepted {
						doubled.Add(uint64(max(0, len(a)-1)))
					}
					if w.wrong != nil {
						t.Errorf("seed %d: %v\n%s", first+n, w.wrong, w.tail(60))
					}
				}
			})
		}
	})
	took := time.Since(began)
	t.Logf("%d schedules from seed %d in %s, %.0f a second; %d steps, %d faults, %d mails doubled",
		count, first, took.Round(time.Millisecond), float64(count)/took.Seconds(), steps.Load(), faults.Load(), doubled.Load())
}

func TestSameSeedSameSchedule(t *testing.T) {
	for seed := uint64(1); seed <= number(t, "SIM_TWICE", 50); seed++ {
		one, two := runSeed(t, seed, intact), runSeed(t, seed, intact)
		if one.hash == two.hash {
			continue
		}
		at := 0
		for at < len(one.lines) && at < len(two.lines) && one.lines[at] == two.lines[at] {
			at++
		}
		t.Errorf("seed %d is different from line %d on:\n%s\n--- and\n%s", seed, at, one.from(at-8, 20), two.from(at-8, 20))
	}
}
