// Package ratelimit bounds how often something happens for each of many keys, and
// how many bytes requests hold at once. Address is the key of a request: the client's
// address.
package ratelimit

import (
	"math"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxKept is how many keys there are in each half of a limiter.
const maxKept = 10_000

// Limiter limits how often something happens for each of many keys. A rate of 0
// is no limit. It remembers at least the last 10,000 keys and at most twice as
// many; a key that is forgotten starts with its full burst. Its methods may be
// called by several goroutines at once.
type Limiter struct {
	rate  rate.Limit
	burst int

	mu          sync.Mutex
	young, aged map[string]*rate.Limiter
}

// New makes a limiter that allows the given number per second, and burst at
// once. A burst below one counts as one.
func New(perSecond, burst float64) *Limiter {
	return &Limiter{
		rate: rate.Limit(perSecond), burst: int(min(max(1, burst), math.MaxInt32)), young: map[string]*rate.Limiter{},
	}
}

// Take takes one for the key, and returns how long to wait before it counts. If
// the wait is longer than patience, Take takes nothing.
func (l *Limiter) Take(key string, now time.Time, patience time.Duration) time.Duration {
	if l.rate == 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.of(key).ReserveN(now, 1)
	wait := roundUp(r.DelayFrom(now))
	if wait > patience {
		r.CancelAt(now)
	}
	return wait
}

// Wait returns how long to wait until Take has one for the key. It takes nothing.
func (l *Limiter) Wait(key string, now time.Time) time.Duration {
	if l.rate == 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.of(key).ReserveN(now, 1)
	defer r.CancelAt(now)
	return roundUp(r.DelayFrom(now))
}

// of returns the key's limiter.
func (l *Limiter) of(key string) *rate.Limiter {
	of, ok := l.young[key]
	if ok {
		return of
	}
	if of, ok = l.aged[key]; !ok {
		of = rate.NewLimiter(l.rate, l.burst)
	}
	if len(l.young) >= maxKept {
		l.aged, l.young = l.young, make(map[string]*rate.Limiter)
	}
	l.young[key] = of
	return of
}

// maxWait bounds a wait, so that a rate next to 0 does not overflow a time.
const maxWait = 24 * time.Hour

// roundUp makes a wait whole milliseconds, so that a caller who asks again at
// exactly this time is not refused because of a rounding error.
func roundUp(wait time.Duration) time.Duration {
	return min(maxWait, (min(wait, maxWait) + time.Millisecond - 1).Truncate(time.Millisecond))
}

// Seconds rounds a wait up, for Retry-After.
func Seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// Address is the address of the client: the peer's or, if the peer is one of the
// proxies, the one in X-Forwarded-For. It is not valid if the peer has no IP address.
func Address(r *http.Request, proxies []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	at := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && among(proxies, at); i-- {
		hop, ok := parse(strings.TrimSpace(hops[i]))
		if !ok {
			break
		}
		at = hop.Unmap()
	}
	return at
}

// parse reads an address as proxies write it: some add the port, and some put
// IPv6 into brackets.
func parse(s string) (netip.Addr, bool) {
	if at, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return at, true
	}
	with, err := netip.ParseAddrPort(s)
	return with.Addr(), err == nil
}

// Key is the key of a client for limits: its IPv4 address, or the /64 of its
// IPv6 address, because one customer has at least a /64.
func Key(at netip.Addr) string {
	if at.Is6() {
		net, _ := at.Prefix(64) // cannot fail: 64 bits are fewer than 128
		return net.String()
	}
	return at.String()
}

func among(proxies []netip.Prefix, a netip.Addr) bool {
	for _, p := range proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
