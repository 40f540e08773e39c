package relay

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestFlightGathers(t *testing.T) {
	for _, c := range []struct {
		name                  string
		unbegun, begun, ended int
		talk                  time.Duration
		want                  bool
	}{
		{"the only email", 0, 1, 1, time.Millisecond, false},
		{"another is being sent and none waits", 0, 2, 1, time.Minute, true},
		{"all have ended", 0, 2, 2, time.Millisecond, false},
		{"emails wait, and the server is fast", 100, 8, 1, time.Millisecond, true},
		{"emails wait, and the server takes 10 ms", 100, 8, 1, 10 * time.Millisecond, false},
		{"emails wait, and many connections wait for the server", 100, 64, 1, 10 * time.Millisecond, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFlight(8, time.Minute)
			f.unbegun, f.begun, f.talk = c.unbegun, c.begun, c.talk
			if got := f.gathers(c.ended); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestSettlerMore_WaitsForEmailsThatAreBeingSent: of three emails that are being
// sent, one ends at once, one in time, and one too late.
func TestSettlerMore_WaitsForEmailsThatAreBeingSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlight(8, time.Minute)
		f.begun = 3
		s := &settler{flight: f, results: make(chan result, 8)}
		for _, after := range []time.Duration{gather / 2, gather * 2} {
			time.AfterFunc(after, func() { s.results <- result{} })
		}
		start := time.Now()
		if got := len(s.more(result{})); got != 2 {
			t.Errorf("got %d outcomes together, want 2", got)
		}
		if waited := time.Since(start); waited != gather {
			t.Errorf("waited %v, want %v", waited, gather)
		}
		f.ended(2)
		last := <-s.results
		start = time.Now()
		if got := len(s.more(last)); got != 1 || time.Since(start) != 0 {
			t.Errorf("the last one: got %d outcomes after %v, want 1 at once", got, time.Since(start))
		}
	})
}
