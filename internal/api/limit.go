package api

import (
	"context"
	"net/http"
	"time"

	"countersign/internal/ratelimit"
)

const (
	failureRate = 2               // failed authentications of an address a second
	longestSlow = 2 * time.Second // that an answer is held back
	maxSlowed   = 256             // answers held back at a time
)

// slow holds the answer to a failed authentication back, longer the more often
// the address fails. It reports false with the time to wait if that is too long.
// Valid credentials are never held back: secrets are too long to be guessed, and
// this only limits the noise.
func (h *handler) slow(ctx context.Context, address string) (time.Duration, bool) {
	wait := h.failures.Take(address, h.Now(), longestSlow)
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

// address is where a request comes from, as far as limits go.
func (h *handler) address(r *http.Request) string {
	if at := ratelimit.Address(r, h.Proxies); at.IsValid() {
		return ratelimit.Key(at)
	}
	return r.RemoteAddr
}
