//go:build failpoints

package main

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"countersign/internal/catcher"
	"countersign/internal/failpoint"
	"countersign/internal/test/eventstest"
)

// at arms a failpoint in a worker's environment.
func at(point string) string { return failpoint.Variable + "=" + point }

// steps are the failpoints from receiving a batch to settling a mail, each
// with the hits at which the process dies, one life after the other.
var steps = map[string][]string{
	"the fold":    {"batch-received", "batch-received:3", "begun", "begun:3", "written", "written:27", "commit", "commit:3", "committed", "committed:4"},
	"owed events": {"owed-read", "owed-read:2", "owed-append", "owed-append:2", "owed-appended", "owed-appended:2"},
	"a claim":     {"claim", "claim:3", "claim-acked", "claim-acked:2", "claim-applied", "claim-applied:3"},
	"a mail":      {"dialogue", "dialogue:5", "answered", "answered:6", "settle", "settle:3", "settled", "settled:2"},
}

// TestServe_CrashAtEachStepLosesNothing kills the worker at each step, again and again on one
// database, and has a second one with an empty disk take over. Nothing is
// lost, nothing stands twice, and what was mailed twice was in flight and is
// listed.
func TestServe_CrashAtEachStepLosesNothing(t *testing.T) {
	for name, points := range steps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newTown(t)
			w := newWork(x)
			one := t.TempDir()
			for _, point := range points {
				a := x.launch(x.quick(one, at(point)))
				w.publish(5)
				a.dies()
			}
			x.inherit(w, one, len(points))
		})
	}
}

// inherit has a second worker take over from one that died, brings the first
// one back, and checks everything.
func (x *town) inherit(w *work, one string, faults int) {
	x.t.Helper()
	two := x.t.TempDir()
	b := x.launch(x.quick(two))
	w.publish(5)
	w.comesToRest(two)
	a := x.launch(x.quick(one))
	w.settle(faults*inFlight, one, two)
	a.kill()
	b.kill()
}

// TestServe_CrashAtEachSMTPPhaseLosesNothing kills the worker when the mail server has
// read its command and before it answers: after EHLO, MAIL, RCPT, the final
// dot, and once the mail is stored.
func TestServe_CrashAtEachSMTPPhaseLosesNothing(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	w := newWork(x)
	habits := catcher.ByRecipient()
	one := t.TempDir()
	phases := []catcher.Phase{catcher.Connect, catcher.MailFrom, catcher.RcptTo, catcher.Data, catcher.Stored}
	hits := []int32{1, 4}
	for _, phase := range phases {
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
			w.publish(5)
			a.dies()
		}
	}
	x.box.Script(habits)
	x.inherit(w, one, len(phases)*len(hits))
}

// frozen reports whether it is stopped.
func (k *killable) frozen() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", k.cmd.Process.Pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(after, "T")
}

// TestServe_ThawedWorkerSendsNothingOfItsOldClaim freezes a worker between its claim
// and the first command of a mail, for so long that another one has sent all
// its mails. Awake again, it sends nothing.
func TestServe_ThawedWorkerSendsNothingOfItsOldClaim(t *testing.T) {
	for _, point := range []string{"claim-acked", "claim-applied", "dialogue"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			x := newTown(t)
			w := newWork(x)
			one, two := t.TempDir(), t.TempDir()
			a := x.launch(x.quick(one, at(point+"=freeze")))
			a.says("read to its end")
			w.publish(1) // so that nothing else is in flight
			eventstest.WaitFor(t, patience, "the worker to freeze", a.frozen)
			b := x.process(x.quick(two))
			w.publish(4)
			w.comesToRest(two)
			a.thaw()
			w.comesToRest(one)
			w.publish(2)
			if c := w.settle(0, one, two); c.doubted != 1 {
				t.Errorf("%d mails in doubt, want the one of the frozen claim", c.doubted)
			}
			a.kill()
			b.kill()
		})
	}
}

// TestServe_ThawedWorkerAppendsNothingTwice freezes a worker before it appends what
// it owes; another one does, and the late one changes nothing.
func TestServe_ThawedWorkerAppendsNothingTwice(t *testing.T) {
	for _, point := range []string{"owed-append", "claim", "settle"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			x := newTown(t)
			w := newWork(x)
			one, two := t.TempDir(), t.TempDir()
			a := x.launch(x.quick(one, at(point+"=freeze")))
			w.publish(3)
			eventstest.WaitFor(t, patience, "the worker to freeze", a.frozen)
			b := x.process(x.quick(two))
			w.comesToRest(two)
			a.thaw()
			w.settle(inFlight, one, two)
			a.kill()
			b.kill()
		})
	}
}

// TestServe_PanicEndsItAsAKillDoes: a panic ends the process as a kill does.
func TestServe_PanicEndsItAsAKillDoes(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	w := newWork(x)
	one := t.TempDir()
	a := x.launch(x.quick(one, at("written:5=panic")))
	w.publish(2)
	a.dies()
	if want := fmt.Sprintf("panic: failpoint %s", "written"); !a.said(want) {
		t.Errorf("it did not say %q", want)
	}
	x.inherit(w, one, 1)
}
