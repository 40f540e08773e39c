package relay

import (
	"sync"
	"time"
)

// flight counts the emails in flight: those that this run has claimed and that
// have no outcome yet. The claimer, the senders and the settler share it.
type flight struct {
	size     int           // of the pool
	deadline time.Duration // of a claim
	freed    chan struct{} // an email is no longer in flight

	mu      sync.Mutex
	open    map[uint64]int // emails without an outcome, by claim
	unbegun int
	begun   int           // emails that senders have taken and whose outcomes the settler has not
	late    bool          // emails were not begun in time, and are released
	pace    time.Duration // how long an email takes its connection, averaged
	talk    time.Duration // how long it takes the mail server, averaged
}

func newFlight(size int, deadline time.Duration) *flight {
	return &flight{size: size, deadline: deadline, freed: make(chan struct{}, 1), open: map[uint64]int{}, pace: 20 * time.Millisecond, talk: 20 * time.Millisecond}
}

// claimMost is the maximum number of emails of one claim.
const claimMost = 500

// room is how many emails may be claimed: no more than the pool can begin within
// a quarter of the deadline. If it is none, wait says when to ask again. released
// says that emails which this run has released are not pending again yet: later
// emails would be sent before them.
func (f *flight) room(released bool) (n int, wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.late && released {
		return 0, idle
	}
	f.late = false
	begin := f.size * int(f.deadline/4/max(f.pace, time.Microsecond))
	room := max(1, min(begin, claimMost))
	if f.unbegun > room/2 {
		return 0, idle
	}
	return room - f.unbegun, 0
}

// behind reports whether emails were released because they were not begun in time.
func (f *flight) behind() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.late
}

// idle is how long to wait if nothing is known to come.
const idle = time.Second

// hold sets how many emails of a claim have no outcome yet.
func (f *flight) hold(seq uint64, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unbegun += n - f.open[seq]
	f.open[seq] = n
	if n == 0 {
		delete(f.open, seq)
	}
}

// begin notes that a sender has taken an email.
func (f *flight) begin(late bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unbegun--
	f.begun++
	f.late = f.late || late
}

// said averages how long an email takes the mail server.
func (f *flight) said(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.talk = (f.talk*15 + min(d, f.deadline)) / 16
}

// ended notes that the outcomes of n emails are on their way to the log.
func (f *flight) ended(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun -= n
}

// gather bounds how long an outcome waits for those of other emails, to be on the
// log in one entry with them.
const gather = time.Millisecond

// gathers reports whether n outcomes should wait for others: while no email waits
// for a connection, which costs nothing, or if at least two more will probably come
// in time. A mail server far away answers too rarely for that, and its
// connections are better used for the next email.
func (f *flight) gathers(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	others := f.begun - n
	return others > 0 && (f.unbegun <= 0 || time.Duration(others)*gather >= 2*f.talk)
}

// waiting reports whether claimed emails wait for a sender.
func (f *flight) waiting() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.unbegun > 0
}

// has reports whether emails of a claim are in flight.
func (f *flight) has(seq uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.open[seq]
	return ok
}

// landed notes that n emails of a claim have their outcome.
func (f *flight) landed(seq uint64, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[seq] -= n; f.open[seq] <= 0 {
		delete(f.open, seq)
	}
}

// took averages how long an email takes its connection, to the end of the wait
// for the outcome's entry.
func (f *flight) took(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pace = (f.pace*15 + min(d, f.deadline)) / 16
}

// wake lets the claimer look again.
func (f *flight) wake() {
	select {
	case f.freed <- struct{}{}:
	default:
	}
}
