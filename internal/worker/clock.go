package worker

import (
	"errors"
	"fmt"
	"time"
)

// How far this machine's clock may be from the log's.
const (
	clockWarns = 2 * time.Second
	clockFails = time.Minute
)

// Now is the log's time. Until the log has been opened it is at least that of the
// last entry applied, so that no valid link counts as expired.
func (w *Worker) Now() time.Time {
	if log := w.log.Load(); log != nil {
		if now := log.Now(); !now.IsZero() {
			return now
		}
	}
	if w.store != nil {
		if last := w.store.Position().Time; !last.IsZero() {
			return last.Add(time.Since(w.began))
		}
	}
	return w.o.Clock()
}

// errClock means that the difference between this machine's clock and the log's is
// too large for signatures.
var errClock = errors.New("signatures are refused until they agree; set this machine's clock, or the NATS server's, with NTP")

// offset says how far this machine's clock is from the log's; unknown is true until
// the log has been heard.
func (w *Worker) offset() (ahead time.Duration, unknown bool) {
	log := w.log.Load()
	if log == nil {
		return 0, true
	}
	ahead, known := log.Offset(w.o.Clock())
	return ahead, !known
}

// signable fails if this machine's clock is too far from the log's for signatures:
// what else looks at the clock, such as a time-stamp authority's client, would
// contradict them.
func (w *Worker) signable() error {
	ahead, _ := w.offset()
	if ahead.Abs() < clockFails {
		return nil
	}
	return fmt.Errorf("this machine's clock is %s the log's: %w", aheadOf(ahead), errClock)
}

// aheadOf returns a difference of clocks in words.
func aheadOf(d time.Duration) string {
	if d < 0 {
		return (-d).Round(time.Millisecond).String() + " behind"
	}
	return d.Round(time.Millisecond).String() + " ahead of"
}
