package sim

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"countersign/workflow"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // schedules are short, and leave little behind
	if raceDetector() {
		runtime.GOMAXPROCS(1)
	}
	os.Exit(m.Run())
}

// raceDetector reports whether the tests run with -race. All timers of a
// synctest bubble share one context of the race detector (Go 1.26,
// timer.unlockAndRun). If two threads fire timers of one bubble at once, the
// detector ends the process: CHECK failed: tsan_rtl.cpp, slot_locked. On one
// thread it still finds races, because it compares the order of events.
func raceDetector() bool {
	build, _ := debug.ReadBuildInfo()
	return build != nil && slices.Contains(build.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
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

// TestRunSeed runs the one seed that SIM_SEED names, and prints all that happens.
func TestRunSeed(t *testing.T) {
	w := runSeed(t, number(t, "SIM_SEED", 1), breakage(number(t, "SIM_BROKEN", 0)))
	t.Log("\n" + w.tail(len(w.lines)))
	if w.wrong != nil {
		t.Error(w.wrong)
	}
}

// TestStreamLoseTail_MailWithLostOutcomeIsInDoubt has the log acknowledge a
// mail's outcome and lose it before any worker has read it, and nothing else
// happens. The mail must end in doubt, and must not stay claimed.
func TestStreamLoseTail_MailWithLostOutcomeIsInDoubt(t *testing.T) {
	tables() // made outside of the bubble
	lost := 0
	for seed := uint64(1); seed <= 30; seed++ {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(seed, intact, func(p *plan) { p.workers = 1 })
			w.calm.Store(true)
			for range 5000 {
				w.step()
				if n := len(w.stream.entries); n > 0 && len(w.traffic) == 0 && w.behind(w.workers[0].alive()) &&
					w.stream.entries[n-1].Body.Type() == workflow.TypeMailSettled {
					w.quiet()
					w.stream.loseTail(1)
					w.elect()
					lost++
					break
				}
			}
			w.finish()
			if w.wrong != nil {
				t.Errorf("seed %d: %v\n%s", seed, w.wrong, w.tail(60))
			}
		})
	}
	if lost < 10 {
		t.Errorf("only %d schedules lost an outcome", lost)
	}
}

// TestSimulation runs SIM_SCHEDULES schedules, without end where it is 0, the
// seeds counted up from SIM_FIRST.
func TestSimulation(t *testing.T) {
	first, count := number(t, "SIM_FIRST", 1), number(t, "SIM_SCHEDULES", 100)
	var sum totals
	began := time.Now()
	t.Run("lanes", func(t *testing.T) {
		for lane := range 2 {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				for {
					n := sum.next.Add(1) - 1
					if count > 0 && n >= count || sum.wrong.Load() >= 5 {
						return
					}
					w := runSeed(t, first+n, intact)
					sum.add(w)
					if w.wrong != nil {
						t.Errorf("seed %d: %v\n%s\nto see all of it: SIM_SEED=%d go test ./internal/sim -run TestRunSeed -v",
							w.seed, w.wrong, w.tail(60), w.seed)
					}
					if n%500 == 499 {
						t.Logf("seed %d: %s", w.seed, sum.since(began))
					}
				}
			})
		}
	})
	t.Log(sum.since(began))
}

// totals is what schedules came to.
type totals struct{ next, done, steps, faults, doubled, wrong atomic.Uint64 }

func (s *totals) add(w *world) {
	s.done.Add(1)
	s.steps.Add(uint64(w.steps))
	s.faults.Add(uint64(w.faults))
	for _, a := range w.post.accepted {
		s.doubled.Add(uint64(max(0, len(a)-1)))
	}
	if w.wrong != nil {
		s.wrong.Add(1)
	}
}

func (s *totals) since(began time.Time) string {
	took := time.Since(began)
	return fmt.Sprintf("%d schedules in %s, %.0f a second; %d steps, %d faults, %d mails doubled, %d schedules with a violation",
		s.done.Load(), took.Round(time.Second), float64(s.done.Load())/took.Seconds(), s.steps.Load(), s.faults.Load(), s.doubled.Load(), s.wrong.Load())
}

// TestSchedule_SameSeedGivesSameSchedule runs SIM_TWICE seeds twice each.
func TestSchedule_SameSeedGivesSameSchedule(t *testing.T) {
	for seed := uint64(1); seed <= number(t, "SIM_TWICE", 25); seed++ {
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
