package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"countersign/internal/eventlog"
	"countersign/workflow"
)

// schedule runs one seed, and returns what happened.
func schedule(seed uint64, broken breakage) *world {
	w := newWorld(seed, broken)
	for range w.plan.chaos {
		if w.wrong == nil {
			w.step()
		}
	}
	w.heal()
	w.finish()
	return w
}

// finish runs on until all is done, judges, and ends the schedule.
func (w *world) finish() {
	w.drain()
	if w.wrong == nil {
		w.judge()
	}
	w.end()
}

// newWorld is the world at its beginning, with the workers started. edit may
// change the plan that the seed makes.
func newWorld(seed uint64, broken breakage, edit ...func(*plan)) *world {
	w := &world{
		seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), broken: broken,
		bell: make(chan struct{}, 1), began: time.Now(),
	}
	w.stream = stream{w: w, created: time.Now().UTC(), last: map[string]uint64{}, ids: map[string]uint64{}}
	w.post.accepted = map[workflow.MailID][]acceptance{}
	w.makePlan()
	for _, f := range edit {
		f(&w.plan)
	}
	w.log("plan %+v", w.plan)
	if w.chance(2) { // else a worker does it, before there is anything else
		m, err := eventlog.RulesActivated("rules", time.Now(), w.plan.rules()).Message()
		must(err)
		_, _ = w.stream.append("earlier", m)
	}
	for i := range w.plan.workers {
		k := &worker{w: w, name: fmt.Sprint("w", i+1), disk: newDisk(broken)}
		w.workers = append(w.workers, k)
		k.start()
	}
	return w
}

// option is something that can happen next.
type option struct {
	weight int
	do     func()
}

// step lets one thing happen.
func (w *world) step() {
	w.steps++
	w.quiet()
	w.checkRuns()
	if w.trouble(w.plan.killing) {
		w.fault()
		return
	}
	if w.plan.intruding > 0 && w.trouble(w.plan.intruding) && len(w.stream.entries) > 0 && !w.stream.down {
		w.intrude()
		return
	}
	options := w.options()
	if !w.calm.Load() || len(options) == 0 {
		options = append(options, option{2, func() { w.pass(w.someTime()) }})
	}
	total := 0
	for _, o := range options {
		total += o.weight
	}
	n := w.rng.IntN(total)
	for _, o := range options {
		if n -= o.weight; n < 0 {
			o.do()
			return
		}
	}
}

// someTime is mostly short, and sometimes long enough for a deadline to pass.
func (w *world) someTime() time.Duration {
	if w.chance(8) {
		return time.Duration(w.rng.IntN(8000)) * time.Millisecond
	}
	return time.Duration(1+w.rng.IntN(300)) * time.Millisecond
}

func (w *world) options() []option {
	var options []option
	if calls := w.ready(); len(calls) > 0 {
		options = append(options, option{10, func() { w.goOn(calls[w.rng.IntN(len(calls))]) }})
		if late := calls[0]; late.ctx.Err() != nil && late.late != nil {
			return options
		}
	}
	for _, k := range w.workers {
		switch r := k.alive(); {
		case r == nil:
			options = append(options, option{1, func() { w.restart(k) }})
		case r.frozen:
			options = append(options, option{1, func() { w.thaw(r) }})
		case w.behind(r):
			options = append(options, option{4, func() { w.deliver(r) }})
		}
	}
	if len(w.traffic) > 0 && len(w.stream.entries) > 0 && !w.stream.down {
		options = append(options, option{2, w.publish})
	}
	if len(w.stream.ghosts) > 0 && !w.stream.down {
		options = append(options, option{1, w.ghost})
	}
	if w.stream.down {
		options = append(options, option{1, w.elect})
	}
	if w.post.down {
		options = append(options, option{1, func() { w.post.down = false; w.log("the mail server is back") }})
	}
	return options
}

func (w *world) behind(r *run) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := r.following
	return c != nil && !c.closed() && !w.stream.down && c.after < uint64(len(w.stream.entries))
}

func (w *world) deliver(r *run) {
	for range 1 + w.rng.IntN(4) {
		m := r.next()
		if m == nil {
			return
		}
		w.log("%s is sent entry %d", r.name, m.Sequence)
		r.following.msgs <- m
		w.quiet()
	}
}

func (w *world) publish() {
	m := w.traffic[0].msg
	w.traffic = w.traffic[1:]
	_, _ = w.stream.append("upstream", m)
}

// ghost lets a message arrive that nobody waits for any more, or get lost.
func (w *world) ghost() {
	i := w.rng.IntN(len(w.stream.ghosts))
	m := w.stream.ghosts[i]
	w.stream.ghosts = append(w.stream.ghosts[:i:i], w.stream.ghosts[i+1:]...)
	if w.chance(4) {
		return
	}
	_, _ = w.stream.append("late", m)
}

// elect makes a new leader, whose clock is another.
func (w *world) elect() {
	w.stream.down = false
	w.stream.skew = time.Duration(w.rng.IntN(400)) * time.Millisecond
	w.log("a new leader, ahead by %s", w.stream.skew)
	for _, k := range w.workers {
		if r := k.alive(); r != nil {
			r.reconnect()
		}
	}
}

func (w *world) thaw(r *run) {
	r.frozen = false
	w.log("%s thaws", r.name)
}

// restart starts the program again, now and then on another disk.
func (w *world) restart(k *worker) {
	switch n := w.rng.IntN(12); {
	case len(k.runs) > 0 && k.runs[len(k.runs)-1].gaveUp() || n == 0:
		w.log("%s gets an empty disk", k.name)
		k.disk.clear()
	case n == 1 && k.yesterday != nil:
		w.log("%s gets yesterday's disk", k.name)
		k.disk.restore(k.yesterday)
	case n == 2:
		other := w.workers[w.rng.IntN(len(w.workers))]
		if r := other.alive(); other != k && (r == nil || !r.waitsTo(commit)) {
			w.log("%s gets a copy of %s's disk", k.name, other.name)
			k.disk.restore(other.disk.image())
		}
	}
	k.start()
}

// fault lets something go wrong.
func (w *world) fault() {
	k := w.workers[w.rng.IntN(len(w.workers))]
	r := k.alive()
	switch n := w.rng.IntN(11); {
	case n <= 3 && r != nil:
		w.strike(r)
	case n == 4 && r != nil && !r.ending:
		w.log("%s is told to end", r.name)
		r.ending = true
		r.cancel()
	case n == 5 && !w.stream.down:
		w.log("the log has no leader")
		w.faults += len(w.workers)
		w.stream.down = true
	case n == 6 && r != nil:
		w.log("%s reconnects", r.name)
		r.reconnect()
	case n == 7 && r != nil && w.idles(r):
		w.log("%s hears nothing any more", r.name)
		close(r.following.silent)
	case n == 8 && !w.post.down:
		w.log("the mail server is away")
		w.post.down = true
	case n == 9 && (r == nil || !r.waitsTo(commit)):
		w.log("%s's disk is copied", k.name)
		k.yesterday = k.disk.image()
	case n == 10 && w.plan.tailLoss && len(w.stream.entries) > 2:
		lost := 1 + w.rng.IntN(5)
		w.log("the log loses its tail: %d of %d", lost, len(w.stream.entries))
		w.stream.loseTail(lost)
		w.elect()
	}
}

// strike kills or freezes a process.
func (w *world) strike(r *run) {
	w.faults++
	if w.chance(3) {
		w.log("%s freezes", r.name)
		r.frozen = true
		return
	}
	w.log("%s is killed", r.name)
	r.kill()
}

// idles reports whether the follower waits for entries.
func (w *world) idles(r *run) bool {
	w.mu.Lock()
	open := r.following != nil && !r.following.closed()
	w.mu.Unlock()
	return open && !r.waitsTo(begin, commit)
}

// heal ends all faults: everybody is up, and what was on its way arrives or not.
func (w *world) heal() {
	w.quiet()
	w.log("no more faults")
	w.calm.Store(true)
	w.post.down = false
	for len(w.stream.ghosts) > 0 {
		w.ghost()
	}
	for _, k := range w.workers {
		r := k.alive()
		if r == nil {
			w.restart(k)
		} else if r.frozen {
			w.thaw(r)
		}
	}
	w.elect()
}

const (
	drainTime  = 5 * time.Minute
	drainSteps = 20_000
)

// drain runs on without faults until nothing is owed any more.
func (w *world) drain() {
	healed := time.Now()
	for n := 0; w.wrong == nil; n++ {
		w.quiet()
		if len(w.options()) == 0 && w.drained() {
			w.log("drained")
			return
		}
		if n > drainSteps || time.Since(healed) > drainTime {
			w.judgeInboxes()
			w.violated("I9", "%d steps and %s after the last fault not all is done: %s", n, time.Since(healed), w.left())
			return
		}
		w.step()
	}
}

// checkRuns looks for runs that ended by themselves, and for those that go back.
func (w *world) checkRuns() {
	for _, k := range w.workers {
		r := k.runs[len(k.runs)-1]
		if r.over() && r.err != nil && !(w.stream.lostOne && r.gaveUp()) {
			w.violated("a worker ended", "%s: %v", r.name, r.err)
		}
		at := r.store.Position().Sequence
		if at < r.applied && !w.stream.lostOne {
			w.violated("I8", "%s went back from entry %d to %d", r.name, r.applied, at)
		}
		r.applied = at
	}
}
