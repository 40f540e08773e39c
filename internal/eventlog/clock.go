package eventlog

import (
	"sync"
	"time"
)

// clock keeps the log's time. The servers' clocks give the timestamps of the
// entries, so the log's time comes from them. This machine's clock only
// measures the time since their last answer.
type clock struct {
	mu     sync.Mutex
	newest time.Time // the largest timestamp of an entry
	base   time.Time // the log's time at the instant at; zero while unknown
	at     time.Time // used only for its monotonic part
	said   time.Time // what the server's clock said between the instants asked and heard; zero while unknown
	asked  time.Time // read for its monotonic part only
	heard  time.Time // the same
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.carried()
}

func (c *clock) carried() time.Time {
	if c.base.IsZero() {
		return time.Time{}
	}
	return c.base.Add(time.Since(c.at))
}

// entry updates the clock from an entry's timestamp. An old entry changes
// nothing.
func (c *clock) entry(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.newest) {
		c.newest = t
	}
	if t.After(c.carried()) {
		c.base, c.at = t, time.Now()
	}
}

// server updates the clock from the time in a server's answer to a question
// that was asked at an instant. This may set the log's time back, but not
// before the newest entry: a server's clock may have been wrong and then been
// corrected.
func (c *clock) server(t, asked time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said, c.asked, c.heard = t, asked, time.Now()
	if t.Before(c.newest) {
		t = c.newest
	}
	c.base, c.at = t, time.Now()
}

// stamp returns the present time of the server's clock, whatever the newest
// entry's timestamp is.
func (c *clock) stamp() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.said.IsZero() {
		return time.Time{}
	}
	return c.said.Add(time.Since(c.heard))
}

// offset returns how far wall is ahead of the server's clock; negative if it is
// behind. It is 0 if the difference is within the time between the question and
// the answer, because the server may have read its clock at any instant between
// them.
func (c *clock) offset(wall time.Time) (ahead time.Duration, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.said.IsZero() {
		return 0, false
	}
	wall = wall.Round(0) // a monotonic part would hide that the clock was set
	earliest, latest := c.said.Add(time.Since(c.heard)), c.said.Add(time.Since(c.asked))
	switch {
	case wall.Before(earliest):
		return wall.Sub(earliest), true
	case wall.After(latest):
		return wall.Sub(latest), true
	}
	return 0, true
}
