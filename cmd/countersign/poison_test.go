package main

import (
	"fmt"
	"strings"
	"testing"

	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// TestServe_EventThatKillsIsADeadLetterAtThirdStart has a worker die of an event, by a
// panic and as the kernel kills where memory is short. At the third start the
// event is a dead letter, at its place, for that worker, for one that starts
// with an empty disk, and for good; what stands behind it goes on.
func TestServe_EventThatKillsIsADeadLetterAtThirdStart(t *testing.T) {
	program := build(t, "failpoints")
	for _, kills := range []string{"", "1"} {
		t.Run("kills="+kills, func(t *testing.T) {
			x, dir := newTown(t), t.TempDir()
			eventstest.Open(t, x.nc, 1)
			poison := x.send(on(1, "created"), event("poison", "created", fmt.Sprintf(content, "one@example.com", 1)), nil)
			x.create(2, 3, "signer-%d@example.com")
			w := x.quarantined(program, dir, kills)
			wantAlert(t, "http://"+w.address("admin"), "CountersignDeadLetters")
			w.kill()
			if out, _ := x.call(dir, exitOK, "dead", "show", poison); !strings.Contains(out, "crashed") || !strings.Contains(out, "one@example.com") {
				t.Errorf("show: %s", out)
			}
			x.wantRebuilt(dir)

			// A version that can take it, and an operator who sends it again.
			cured := start(t, x.env(dir))
			cured.says("read to its end")
			x.call(dir, exitOK, "dead", "redrive", poison)
			x.statuses(dir, workflow.Signing, 4)
			x.rest(dir)
			cured.end()
			x.wantRebuilt(dir)
			if n := x.subjects()["_.quarantined."+poison]; n != 1 {
				t.Errorf("%d entries say that it is in quarantine", n)
			}
		})
	}
}

// quarantined starts a worker with an empty disk three times. It dies of the
// event "poison" twice, and has done all that it owes in the end.
func (x *town) quarantined(program, dir, kills string) *killable {
	x.t.Helper()
	env := x.env(dir, "POISON=poison", "POISON_KILLS="+kills)
	for range 2 {
		w := x.built(program, env)
		if code := w.dies(); code == exitOK || code == exitFailure {
			x.t.Fatalf("exit code %d\n%s", code, w.log)
		}
	}
	w := x.built(program, env)
	w.says("from now on the entry is a dead letter")
	w.says("read to its end")
	x.rest(dir)
	return w
}

// TestServe_ReportsQuarantinedEventItHadApplied quarantines an event that a worker has
// applied: the worker goes on, and logs how it can agree with the others again.
func TestServe_ReportsQuarantinedEventItHadApplied(t *testing.T) {
	program := build(t, "failpoints")
	x, sound, sick := newTown(t), t.TempDir(), t.TempDir()
	w := start(t, x.env(sound))
	w.says("read to its end")
	x.send(on(1, "updated"), event("poison", "updated", `{"contact_title":"Owner"}`), nil) // parked, and owes nothing yet
	x.create(2, 1, "signer-%d@example.com")
	x.statuses(sound, workflow.Signing, 1)
	x.rest(sound)
	x.quarantined(program, sick, "").kill()
	w.says("and put it into quarantine: this database differs")
	x.create(3, 1, "signer-%d@example.com")
	x.statuses(sound, workflow.Signing, 2)
	x.rest(sound)
	w.end()
	removeDatabase(t, sound)
	w = start(t, x.env(sound))
	w.says("read to its end")
	x.rest(sound)
	w.end()
	x.wantRebuilt(sound)
}
