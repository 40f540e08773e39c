//go:build failpoints

package main

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"countersign/internal/catcher"
	"countersign/internal/failpoint"
)

// pool is how many mails a worker of these tests has in flight at most.
const pool = 4

// quick lets a standby take over after seconds. Deadline and pool are what the
// tests reckon with.
func (x *town) quick(dir string, more ...string) []string {
	return x.env(dir, append([]string{"COUNTERSIGN_MAIL_DEADLINE=1s", fmt.Sprint("COUNTERSIGN_MAIL_POOL=", pool)}, more...)...)
}

// steps are the failpoints from receiving a batch to settling a mail, each
// with the hits at which the process dies, one life after the other.
var steps = map[string][]int{
	"batch-received": {1, 3},
	"begun":          {2, 3}, // the first transaction names the worker
	"written":        {1, 27},
	"commit":         {1, 3},
	"committed":      {1, 4},
	"owed-read":      {1, 2},
	"owed-append":    {1, 2},
	"owed-appended":  {1, 2},
	"claim":          {1, 3},
	"claim-acked":    {1, 2},
	"claim-applied":  {1, 3},
	"dialogue":       {1, 5},
	"answered":       {1, 6},
	"settle":         {1, 3},
	"settled":        {1, 2},
}

// TestACrashAtEveryStep kills the worker at each step, twice on one database,
// and has a second one with an empty disk take over. Nothing is lost, nothing
// stands twice, and what was mailed twice was in flight and is listed.
func TestACrashAtEveryStep(t *testing.T) {
	for name, hits := range steps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newTown(t)
			w := newWork(x)
			one := t.TempDir()
			for _, hit := range hits {
				a := x.launch(x.quick(one, fmt.Sprintf("%s=%s:%d", failpoint.Variable, name, hit)))
				w.publish(6)
				a.dies()
			}
			x.inherit(w, one, len(hits))
		})
	}
}

// inherit has a second worker take over from one that died, brings the first
// one back, and checks everything.
func (x *town) inherit(w *work, one string, faults int) {
	x.t.Helper()
	two := x.t.TempDir()
	b := x.launch(x.quick(two))
	w.publish(4)
	w.comesToRest(two)
	a := x.launch(x.quick(one))
	w.settle(faults*pool, one, two)
	a.kill()
	b.kill()
}

// TestACrashAtEveryStepOfADialogue kills the worker when the mail server has
// read its command and before it answers: after EHLO, MAIL, RCPT, the final
// dot, and once the mail is stored.
func TestACrashAtEveryStepOfADialogue(t *testing.T) {
	for _, phase := range []catcher.Phase{catcher.Connect, catcher.MailFrom, catcher.RcptTo, catcher.Data, catcher.Stored} {
		t.Run(strings.ReplaceAll(phase.String(), " ", "-"), func(t *testing.T) {
			t.Parallel()
			x := newTown(t)
			w := newWork(x)
			habits := catcher.Habits()
			one := t.TempDir()
			hits := []int32{1, 4}
			for _, hit := range hits {
				var victim atomic.Pointer[killable]
				var met atomic.Int32
				x.box.Script(func(s catcher.Step) error {
					if v := victim.Load(); s.Phase == phase && v != nil && met.Add(1) == hit {
						v.kill()
					}
					return habits(s)
				})
				a := x.launch(x.quick(one))
				victim.Store(a)
				w.publish(6)
				a.dies()
			}
			x.box.Script(habits)
			x.inherit(w, one, len(hits))
		})
	}
}
