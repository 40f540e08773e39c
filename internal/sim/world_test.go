package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"
)

// breakage takes one mechanism out, so that the invariants can show that they
// notice.
type breakage int

const (
	intact        breakage = iota
	noInbox                // the store has met no event before
	noClaimCheck           // the log takes every claim
	noOwedCheck            // the log takes an owed event again
	positionApart          // the position is committed before the state, not with it
	noGuard                // the follower trusts the sequence number alone
	noPlaceCheck           // what is on an own subject passes for the event that belongs there
	noIDCheck              // what has an event's message id passes for the event
	noMailOrder            // no mail waits for another to the same recipient
)

// world is one schedule: everything around the workers, and what happened.
type world struct {
	seed   uint64
	rng    *rand.Rand
	broken breakage
	plan   plan

	mu    sync.Mutex // guards what workers' goroutines reach: calls and over
	calls []*call
	over  bool
	bell  chan struct{} // rings when a call comes in

	began   time.Time
	stream  stream
	post    post
	workers []*worker
	traffic []upstream
	steps   int
	calm    atomic.Bool // no more faults
	faults  int         // that may each double as many mails as are in flight

	lines []string // of the trace
	hash  uint64
	wrong error // the first violation
}

// call is a request of a worker to the world, which waits for its turn.
type call struct {
	run    *run
	key    string // the same whenever the schedule runs
	ctx    context.Context
	parked time.Time
	lost   bool        // nothing will come of it but its deadline
	step   func() bool // takes it one step on, and reports whether it is answered
	late   func()      // answers it once its deadline has passed
	done   chan struct{}
}

var errOver = errors.New("the schedule is over")

// park hands a call to the scheduler and waits until it is answered. It fails
// where the schedule is over.
func (w *world) park(c *call) error {
	c.done, c.parked = make(chan struct{}), time.Now()
	w.mu.Lock()
	if w.over {
		w.mu.Unlock()
		return errOver
	}
	w.calls = append(w.calls, c)
	w.mu.Unlock()
	select {
	case w.bell <- struct{}{}:
	default:
	}
	<-c.done
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return errOver
	}
	return nil
}

// answer lets a call return.
func (w *world) answer(c *call) {
	w.mu.Lock()
	w.calls = slices.DeleteFunc(w.calls, func(o *call) bool { return o == c })
	w.mu.Unlock()
	close(c.done)
}

// end ends the schedule: whatever is under way returns with an error.
func (w *world) end() {
	w.mu.Lock()
	w.over = true
	calls := w.calls
	w.calls = nil
	w.mu.Unlock()
	for _, c := range calls {
		close(c.done)
	}
	for _, k := range w.workers {
		for _, r := range k.runs {
			r.cancel()
		}
		for _, r := range k.runs {
			<-r.ended
			r.database.Close()
		}
		k.disk.giveBack()
	}
}

// log writes a line of the trace.
func (w *world) log(format string, args ...any) {
	line := fmt.Sprintf("%9.3f ", time.Since(w.began).Seconds()) + fmt.Sprintf(format, args...)
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", w.hash, line)
	w.hash = h.Sum64()
	w.lines = append(w.lines, line)
}

// violated notes that an invariant does not hold. The first counts.
func (w *world) violated(invariant, format string, args ...any) {
	if w.wrong == nil {
		w.wrong = fmt.Errorf("%s: %s", invariant, fmt.Sprintf(format, args...))
		w.log("VIOLATION %v", w.wrong)
	}
}

// ready lists the calls that may go on, those that are past their deadline
// alone where there are any, in an order that follows from the seed.
func (w *world) ready() []*call {
	w.mu.Lock()
	defer w.mu.Unlock()
	var open, late []*call
	for _, c := range w.calls {
		switch {
		case c.run.dead.Load() || c.run.frozen:
		case c.ctx.Err() != nil && c.late != nil:
			late = append(late, c)
		case !c.lost:
			open = append(open, c)
		}
	}
	if len(late) > 0 {
		open = late
	}
	slices.SortFunc(open, func(a, b *call) int {
		return cmp.Or(cmp.Compare(a.run.name, b.run.name), cmp.Compare(a.key, b.key))
	})
	return open
}

// goOn takes a call one step on.
func (w *world) goOn(c *call) {
	if !w.calm.Load() && time.Since(c.parked) > time.Second {
		w.faults++ // so slow that it may count as dead
	}
	if c.late != nil && c.ctx.Err() != nil {
		w.log("%s %s: past its time", c.run.name, c.key)
		c.late()
		w.answer(c)
		return
	}
	if c.step == nil {
		w.log("%s %s", c.run.name, c.key)
		w.answer(c)
	} else if c.step() {
		w.answer(c)
	}
}

// pass lets time pass: until a call comes in, but no longer than d, and not
// beyond the deadline of a call that waits.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	for _, c := range w.calls {
		if until, ok := c.ctx.Deadline(); ok && !c.run.dead.Load() && !c.run.frozen {
			d = min(d, time.Until(until))
		}
	}
	w.mu.Unlock()
	select {
	case <-w.bell:
	default:
	}
	timer := time.NewTimer(max(d, time.Millisecond))
	defer timer.Stop()
	select {
	case <-w.bell:
	case <-timer.C:
	}
}

// chance is true once in n.
func (w *world) chance(n int) bool { return w.rng.IntN(n) == 0 }

// trouble is true once in n, while faults are still to be expected.
func (w *world) trouble(n int) bool { return w.rng.IntN(n) == 0 && !w.calm.Load() }

// quiet lets everything run that can run without the world's doing.
func (w *world) quiet() { synctest.Wait() }

// from is a part of the trace.
func (w *world) from(first, n int) string {
	first = min(max(first, 0), len(w.lines))
	return strings.Join(w.lines[first:min(first+n, len(w.lines))], "\n")
}

// tail is the end of the trace.
func (w *world) tail(n int) string { return w.from(len(w.lines)-n, n) }
