package mail

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"countersign/internal/ratelimit"
)

// Limits says how fast mails may go out: in all, to one domain, and to one
// person who is asked to sign. It keeps a limiter for each domain that was
// written to lately, and no more than maxDomains.
type Limits struct {
	perDomain float64
	people    *ratelimit.Limiter

	mu      sync.Mutex
	global  *rate.Limiter // nil: no limit
	domains map[string]*rate.Limiter
	swept   time.Time // when domains was last cleared of what need not be kept
}

const (
	maxDomains = 10_000
	sweepEvery = time.Second
)

// NewLimits makes limits in mails per second, and, for a person who is asked to
// sign, in mails per day; 0 is no limit. As many mails as a second allows, or a
// day, may go at once.
func NewLimits(global, perDomain float64, perPersonDay int) *Limits {
	l := &Limits{
		perDomain: perDomain, domains: make(map[string]*rate.Limiter),
		people: ratelimit.New(float64(perPersonDay)/(24*time.Hour).Seconds(), float64(perPersonDay)),
	}
	if global > 0 {
		l.global = limiter(global)
	}
	return l
}

func limiter(perSecond float64) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(perSecond), int(min(math.Ceil(perSecond), math.MaxInt32)))
}

// Allow asks to send one mail to a domain now, which asks a person to
// sign; asked names that person (db.Asked), and is empty if it asks nobody. It takes from all limits
// or from none. If it may not be sent, wait says when to ask again, and full is
// asked if that person has to wait, else domain.
func (l *Limits) Allow(domain, asked string, now time.Time) (full string, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var local *rate.Limiter
	if l.perDomain > 0 {
		if local = l.domain(domain, now); local == nil {
			return domain, l.swept.Add(sweepEvery).Sub(now)
		}
	}
	if wait = max(lacks(l.global, now), lacks(local, now)); wait > 0 {
		return domain, wait
	}
	if asked != "" {
		if wait = l.people.Take(asked, now, 0); wait > 0 {
			return asked, wait
		}
	}
	for _, limit := range []*rate.Limiter{l.global, local} {
		if limit != nil {
			limit.AllowN(now, 1)
		}
	}
	return "", 0
}

// domain returns the limiter of a domain, or nil where no other can be kept at
// the moment. One that is full says no more than a new one would, and is
// forgotten when there are too many.
func (l *Limits) domain(name string, now time.Time) *rate.Limiter {
	if limit, ok := l.domains[name]; ok {
		return limit
	}
	if len(l.domains) >= maxDomains {
		if now.Sub(l.swept) < sweepEvery {
			return nil
		}
		l.swept = now
		for other, limit := range l.domains {
			if limit.TokensAt(now) >= float64(limit.Burst()) {
				delete(l.domains, other)
			}
		}
		if len(l.domains) >= maxDomains {
			return nil
		}
	}
	limit := limiter(l.perDomain)
	l.domains[name] = limit
	return limit
}

// lacks says how long a limit takes until it has a mail to give.
func lacks(limit *rate.Limiter, now time.Time) time.Duration {
	if limit == nil {
		return 0
	}
	missing := 1 - limit.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	// Rounded up, or who asks again on the minute is a rounding error early.
	wait := math.Ceil(missing / float64(limit.Limit()) * 1e3)
	return time.Duration(min(wait, float64(time.Hour/time.Millisecond))) * time.Millisecond
}
