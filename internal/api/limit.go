package api

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	maxKept     = 10_000          // keys in each half of a limiter
	failureRate = 2               // failed authentications of an address a second
	longestSlow = 2 * time.Second // that an answer is held back
	maxSlowed   = 256             // answers held back at a time
)

// limiter limits how often something happens for each of many keys; one with
// a rate of 0 limits nothing. It remembers at least the last maxKept keys and at most twice as many; a key
// that is forgotten begins anew.
type limiter struct {
	rate  rate.Limit
	burst int

	mu          sync.Mutex
	young, aged map[string]*rate.Limiter
}

func newLimiter(perSecond, burst float64) *limiter {
	return &limiter{rate: rate.Limit(perSecond), burst: max(1, int(burst)), young: map[string]*rate.Limiter{}}
}

// take takes one for the key, and says how long to wait before it counts. A
// wait longer than patience takes nothing.
func (l *limiter) take(key string, now time.Time, patience time.Duration) time.Duration {
	if l.rate == 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	of, ok := l.young[key]
	if !ok {
		if of, ok = l.aged[key]; !ok {
			of = rate.NewLimiter(l.rate, l.burst)
		}
		if len(l.young) >= maxKept {
			l.aged, l.young = l.young, make(map[string]*rate.Limiter)
		}
		l.young[key] = of
	}
	r := of.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > patience {
		r.CancelAt(now)
	}
	return wait
}

// seconds rounds a wait up, for Retry-After.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// slow holds the answer to a failed authentication back, longer the more often
// the address fails, and reports false with the time to wait where that is too
// long. Right credentials are never held back: secrets are too long to be
// guessed, this only keeps the noise down.
func (h *handler) slow(ctx context.Context, address string) (time.Duration, bool) {
	wait := h.failures.take(address, h.Now(), longestSlow)
	switch {
	case wait > longestSlow:
		return wait, false
	case wait == 0:
		return 0, true
	}
	select {
	case h.slowed <- struct{}{}:
		defer func() { <-h.slowed }()
	default:
		return wait, false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return 0, true
}

// address is where a request comes from, as far as limits go: an IPv4 address,
// or the /64 of an IPv6 address, which is what one customer has.
func (h *handler) address(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	at := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && h.proxy(at); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		at = hop.Unmap()
	}
	if at.Is6() {
		net, _ := at.Prefix(64) // cannot fail: 64 bits are fewer than 128
		return net.String()
	}
	return at.String()
}

func (h *handler) proxy(a netip.Addr) bool {
	for _, p := range h.Proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
