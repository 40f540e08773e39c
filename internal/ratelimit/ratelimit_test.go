package ratelimit_test

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"countersign/internal/ratelimit"
)

func TestEachKeyHasItsOwnLimit(t *testing.T) {
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

func TestOnlyAProxysWordCounts(t *testing.T) {
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
