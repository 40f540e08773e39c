package eventlog

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestCosts_BatchPaysIfItTakesTwoThirds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c costs
		check := func(n int, want bool) {
			t.Helper()
			if c.worth(n) != want {
				t.Errorf("worth(%d) is %v", n, !want)
			}
		}
		check(guess-1, false)
		check(guess, true)
		c.tookBatch(3 * time.Millisecond)
		c.tookSingle(10*time.Millisecond, 20)
		check(9, false)
		check(10, true)
		for range 200 {
			c.tookSingle(time.Millisecond, 20) // the server has become fast
		}
		check(80, false)
		check(100, true)
		<-time.After(forget + 1)
		check(guess, true)
	})
}
