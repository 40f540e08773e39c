package mail

import (
	"math"
	"sync"
	"time"

	"countersign/internal/ratelimit"
)

// Limits bounds how fast emails may be sent: in all, to one domain, and to one
// person who is asked to sign. Its methods may be called by several goroutines
// at once.
type Limits struct {
	mu              sync.Mutex // an email takes from all three limits or from none
	all             *ratelimit.Limiter
	domains, people *ratelimit.Limiter
}

// NewLimits makes limits in emails per second, and, for a person who is asked to
// sign, in emails per day; 0 is no limit. The burst is what one second allows,
// or one day, and at least one email.
func NewLimits(all, perDomain float64, perPersonDay int) *Limits {
	return &Limits{
		all:     ratelimit.New(all, math.Ceil(all)),
		domains: ratelimit.New(perDomain, math.Ceil(perDomain)),
		people:  ratelimit.New(float64(perPersonDay)/(24*time.Hour).Seconds(), float64(perPersonDay)),
	}
}

// Allow asks to send one email to a domain now. asked names the person whom it
// asks to sign (db.Asked), and is empty if it asks nobody. Allow takes from all
// limits or from none. If the email may not be sent yet, wait says when to ask
// again, and full is asked if that person has to wait, else domain.
func (l *Limits) Allow(domain, asked string, now time.Time) (full string, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait = max(l.all.Wait("", now), l.domains.Wait(domain, now)); wait > 0 {
		return domain, wait
	}
	if asked != "" {
		if wait = l.people.Take(asked, now, 0); wait > 0 {
			return asked, wait
		}
	}
	l.all.Take("", now, 0)
	l.domains.Take(domain, now, 0)
	return "", 0
}
