package eventlog

import (
	"sync"
	"time"
)

// clock keeps the log's time. The servers' clocks stamp the entries, so only
// they say how late it is; this machine's clock merely measures how long ago
// they said so.
type clock struct {
	mu     sync.Mutex
	newest time.Time // the largest timestamp of an entry
	base   time.Time // the log's time at the instant at; zero while unknown
	at     time.Time // read for its monotonic part only
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

// entry takes in an entry's timestamp. An old entry changes nothing.
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

// server takes in what the server's clock says, in an answer to what was asked
// at an instant. It may set the time back, to the newest entry at the furthest: a
// server's clock that was wrong and has been put right is believed.
func (c *clock) server(t, asked time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said, c.asked, c.heard = t, asked, time.Now()
	if t.Before(c.newest) {
		t = c.newest
	}
	c.base, c.at = t, time.Now()
}

// stamp is what the server's clock says by now, wherever the newest entry's is.
func (c *clock) stamp() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.said.IsZero() {
		return time.Time{}
	}
	return c.said.Add(time.Since(c.heard))
}

// offset is how far wall is ahead of the server's clock, or behind it if it is
// negative, and 0 if it may be neither: the server read its clock at some instant
// between the question and the answer, and nobody knows when.
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
