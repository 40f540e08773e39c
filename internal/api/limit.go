package api

import (
	"context"
	"net/http"
	"time"

	"countersign/internal/ratelimit"
)

const (
	failureRate = 2               // failed authentications of an address a second
	longestSlow = 2 * time.Second // the longest delay of an answer
	maxSlowed   = 256             // delayed answers at a time
)

// slow delays the answer to a failed authentication, the more often the address
// fails the longer. If the delay would be too long, it reports false and the
// time to wait. Requests with valid credentials are never delayed: secrets are
// too long to be guessed, and this only limits the load.
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

// address returns the key of the limits for the address of a request.
func (h *handler) address(r *http.Request) string {
	if at := ratelimit.Address(r, h.Proxies); at.IsValid() {
		return ratelimit.Key(at)
	}
	return r.RemoteAddr
}
