package ratelimit_test

import (
	"net/http"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"countersign/internal/ratelimit"
)

func TestLimiterTake_EachKeyHasItsOwnLimit(t *testing.T) {
	l, now := ratelimit.New(1, 2), time.Date(2026, 11, 24, 15, 0, 0, 0, time.UTC)
	for i, want := range []time.Duration{0, 0, time.Second, time.Second} {
		if got := l.Take("a", now, 0); got != want {
			t.Errorf("take %d: wait %s, want %s", i, got, want)
		}
	}
	if got := l.Take("b", now, 0); got != 0 {
		t.Errorf("another key waits %s", got)
	}
	if got := l.Take("a", now.Add(time.Second), 0); got != 0 {
		t.Errorf("a second later it waits %s", got)
	}
	if got := ratelimit.New(0, 1).Take("a", now, 0); got != 0 {
		t.Errorf("without a rate it waits %s", got)
	}
	if got := ratelimit.Seconds(1001 * time.Millisecond); got != 2 {
		t.Errorf("1001 ms are %d s", got)
	}
}

// TestLimiter_ForgetsTheOldestKeys has 10,000 keys that are used up, and more
// behind them: the last 10,000 are known, and of the first no trace is kept.
func TestLimiter_ForgetsTheOldestKeys(t *testing.T) {
	const most = 10_000
	l, now := ratelimit.New(1, 1), time.Date(2026, 11, 24, 15, 0, 0, 0, time.UTC)
	for i := range 2*most + 1 {
		if wait := l.Take(strconv.Itoa(i), now, 0); wait != 0 {
			t.Fatalf("key %d has to wait for %s", i, wait)
		}
	}
	for i := most + 1; i <= 2*most; i++ {
		if l.Wait(strconv.Itoa(i), now) == 0 {
			t.Fatalf("key %d of the last 10,000 is forgotten", i)
		}
	}
	if wait := l.Wait("0", now); wait != 0 {
		t.Errorf("the oldest key is still known, and waits for %s", wait)
	}
}

func TestLimiterWait_TakesNothing(t *testing.T) {
	l, now := ratelimit.New(3, 1), time.Date(2026, 11, 24, 15, 0, 0, 0, time.UTC)
	for range 3 {
		if got := l.Wait("a", now); got != 0 {
			t.Fatalf("a key that took nothing waits for %s", got)
		}
	}
	l.Take("a", now, 0)
	if got := l.Wait("a", now); got != 334*time.Millisecond {
		t.Errorf("the wait is %s, want a third of a second, rounded up", got)
	}
	if got := l.Take("a", now.Add(334*time.Millisecond), 0); got != 0 {
		t.Errorf("after the wait it still waits for %s", got)
	}
}

func TestAddress_OnlyAProxyIsBelieved(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct{ peer, forwarded, address, key string }{
		{"192.0.2.1:99", "198.51.100.7", "192.0.2.1", "192.0.2.1"},
		{"10.0.0.1:99", "198.51.100.7", "198.51.100.7", "198.51.100.7"},
		{"10.0.0.1:99", "203.0.113.5, 198.51.100.7, 10.9.9.9", "198.51.100.7", "198.51.100.7"},
		{"10.0.0.1:99", "203.0.113.5, 198.51.100.7:5678, 10.9.9.9:443", "198.51.100.7", "198.51.100.7"},
		{"10.0.0.1:99", "[2001:db8:1:2:3::4]:5678, [::ffff:10.9.9.9]", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"},
		{"10.0.0.1:99", "nonsense", "10.0.0.1", "10.0.0.1"},
		{"[::ffff:10.0.0.1]:99", "2001:db8:1:2:3::4", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": {c.forwarded}}}
		at := ratelimit.Address(r, proxies)
		if at.String() != c.address || ratelimit.Key(at) != c.key {
			t.Errorf("%s for %s: %s, %s", c.peer, c.forwarded, at, ratelimit.Key(at))
		}
	}
	if ratelimit.Address(&http.Request{RemoteAddr: "@"}, proxies).IsValid() {
		t.Error("no address is one")
	}
}
