package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/catcher"
	"countersign/internal/test/eventstest"
)

// inFlight is how many mails a worker of these tests has in flight at most,
// and so how many copies a fault can cost.
const inFlight = 4

// patience is how long a busy machine may take for what takes seconds.
const patience = time.Minute

// quick lets a standby take over after seconds.
func (x *town) quick(dir string, more ...string) []string {
	return x.env(dir, append([]string{"COUNTERSIGN_MAIL_DEADLINE=1s", fmt.Sprint("COUNTERSIGN_MAIL_POOL=", inFlight)}, more...)...)
}

// said reports whether its log holds a text.
func (k *killable) said(text string) bool { return strings.Contains(k.log.String(), text) }

// storm is a number of documents, and a worker's faults while they come.
type storm struct {
	documents int
	faults    int           // of each of the two workers
	pause     time.Duration // between two faults, at the most
	freeze    time.Duration // of a frozen worker, at the most; a second at least
	every     time.Duration // a document
	env       []string
	seed      uint64
}

// newSeed is STORM_SEED, to see the same faults again, or a new one.
func newSeed(t *testing.T) uint64 {
	seed, err := strconv.ParseUint(os.Getenv("STORM_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Logf("STORM_SEED=%d", seed)
	return seed
}

// counts is how many faults there were, by kind.
type counts struct {
	mu sync.Mutex
	of map[string]int
}

func (c *counts) add(kind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]int{}
	}
	c.of[kind]++
}

func (c *counts) sum() (n int) {
	for _, k := range c.of {
		n += k
	}
	return n
}

// rage publishes documents while two workers are killed and frozen at random
// and other faults happen beside it, and checks everything in the end.
func (s storm) rage(x *town, beside func(c *counts)) {
	x.t.Helper()
	habits := catcher.ByRecipient()
	x.box.Script(func(step catcher.Step) error {
		if step.Phase == catcher.Data {
			lull(x.t, 15*time.Millisecond) // a mail server far away: mails are in flight
		}
		return habits(step)
	})
	w, dirs, faults := newWork(x), []string{x.t.TempDir(), x.t.TempDir()}, &counts{}
	workers := []*killable{x.process(x.quick(dirs[0], s.env...)), x.process(x.quick(dirs[1], s.env...))}
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(s.every)
		defer tick.Stop()
		for range s.documents {
			w.publish(1)
			<-tick.C
		}
	})
	for i := range workers {
		group.Go(func() {
			r := rand.New(rand.NewPCG(s.seed, uint64(i)))
			for range s.faults {
				workers[i] = s.strike(x, r, workers[i], x.quick(dirs[i], s.env...), faults)
			}
		})
	}
	if beside != nil {
		beside(faults)
	}
	group.Wait()
	w.settle(faults.sum()*inFlight, dirs...)
	x.t.Logf("faults: %v", faults.of)
	for _, k := range workers {
		k.kill()
	}
}

// lull lets the program run, or a fault last, for d. It ends with the test.
func lull(t *testing.T, d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// strike has one fault befall a worker, at a random moment, and lets it end.
func (s storm) strike(x *town, r *rand.Rand, k *killable, env []string, faults *counts) *killable {
	lull(x.t, time.Duration(r.Int64N(int64(s.pause))))
	if r.IntN(2) == 0 {
		faults.add("worker killed")
		k.kill()
		lull(x.t, time.Duration(r.Int64N(int64(s.pause))))
		return x.launch(env)
	}
	faults.add("worker frozen")
	k.freeze()
	lull(x.t, time.Second+time.Duration(r.Int64N(int64(s.freeze-time.Second))))
	k.thaw()
	return k
}

// TestServe_StormLosesNothing kills and freezes two workers at random while documents come.
func TestServe_StormLosesNothing(t *testing.T) {
	t.Parallel()
	storm{
		documents: 120, faults: 5, pause: 2 * time.Second, freeze: 5 * time.Second, every: 150 * time.Millisecond, seed: newSeed(t),
	}.rage(newTown(t, eventstest.SyncAlways()), nil)
}

// takeover is how long a standby may take at the most.
var takeover = 30 * time.Second

// TestServe_StandbyTakesOver kills the worker that is at work while nothing is in
// flight, and measures how long the next mail waits for the other one.
func TestServe_StandbyTakesOver(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	w := newWork(x)
	one, two := t.TempDir(), t.TempDir()
	a := x.process(x.quick(one))
	w.publish(2)
	w.comesToRest(one)
	b := x.process(x.quick(two))
	w.comesToRest(two)
	before := x.box.Count()
	a.kill()
	died := time.Now()
	w.publish(1)
	eventstest.WaitFor(t, patience, "the standby to mail", func() bool { return x.box.Count() > before })
	took := time.Since(died)
	t.Logf("the standby's first mail came after %s", took)
	if took > takeover {
		t.Errorf("the standby took %s, more than %s", took, takeover)
	}
	w.settle(0, two)
	b.kill()
}
