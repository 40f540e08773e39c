package mail_test

import (
	"testing"
	"time"

	"countersign/internal/mail"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestLimitsAllow_InAllAndEachDomain(t *testing.T) {
	type ask struct {
		at     time.Duration
		domain string
		ok     bool
		wait   time.Duration
	}
	for _, c := range []struct {
		name           string
		global, domain float64
		asks           []ask
	}{
		{"no limit", 0, 0, []ask{{0, "a", true, 0}, {0, "a", true, 0}, {0, "b", true, 0}}},
		{"in all", 2, 0, []ask{
			{0, "a", true, 0},
			{0, "b", true, 0},
			{0, "c", false, 500 * time.Millisecond},
			{400 * time.Millisecond, "c", false, 100 * time.Millisecond},
			{500 * time.Millisecond, "c", true, 0},
		}},
		{"each domain", 0, 1, []ask{
			{0, "a", true, 0}, {0, "a", false, time.Second}, {0, "b", true, 0}, {time.Second, "a", true, 0},
		}},
		{"slower than one a second", 0, 0.1, []ask{{0, "a", true, 0}, {0, "a", false, 10 * time.Second}, {10 * time.Second, "a", true, 0}}},
		{"a domain that has to wait takes nothing of all", 2, 1, []ask{
			{0, "a", true, 0}, {0, "a", false, time.Second}, {0, "a", false, time.Second}, {0, "b", true, 0},
		}},
		{"all that has to wait takes nothing of a domain", 1, 2, []ask{
			{0, "a", true, 0},
			{0, "b", false, time.Second},
			{0, "b", false, time.Second},
			{time.Second, "b", true, 0},
			{time.Second, "b", false, time.Second},
			{2 * time.Second, "b", true, 0},
		}},
		{"a clock that goes back", 1, 0, []ask{{time.Minute, "a", true, 0}, {0, "a", false, time.Second}}},
		{"next to never", 0, 1e-9, []ask{{0, "a", true, 0}, {0, "a", false, 24 * time.Hour}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			limits := mail.NewLimits(c.global, c.domain, 0)
			for i, a := range c.asks {
				full, wait := limits.Allow(a.domain, "", start.Add(a.at))
				ok := full == ""
				if ok != a.ok || wait != a.wait {
					t.Errorf("ask %d: %v, %s; want %v, %s", i+1, ok, wait, a.ok, a.wait)
				}
			}
		})
	}
}

// TestLimitsAllow_PersonIsAskedSoOftenADay has 500 emails ask one person, and one
// another; retries and notices, which name nobody, take nothing.
func TestLimitsAllow_PersonIsAskedSoOftenADay(t *testing.T) {
	limits := mail.NewLimits(0, 0, 24)
	sent := 0
	for range 500 {
		if full, wait := limits.Allow("example.com", "AC1 victim@example.com", start); full == "" {
			sent++
		} else if full != "AC1 victim@example.com" || wait <= 0 || wait > time.Hour {
			t.Fatalf("%q has to wait for %s", full, wait)
		}
	}
	if sent != 24 {
		t.Errorf("%d emails at once, want 24", sent)
	}
	for _, asked := range []string{"AC1 else@example.com", "AC2 victim@example.com", ""} {
		if full, _ := limits.Allow("example.com", asked, start); full != "" {
			t.Errorf("%q has to wait", asked)
		}
	}
	if full, _ := limits.Allow("example.com", "AC1 victim@example.com", start.Add(time.Hour)); full != "" {
		t.Error("an hour later there is no room for one more")
	}
}

// TestLimitsAllow_EmailThatWaitsTakesNothing has a domain wait, which takes nothing of
// the person's limit, and the other way round.
func TestLimitsAllow_EmailThatWaitsTakesNothing(t *testing.T) {
	limits := mail.NewLimits(0, 1, 2)
	for i, c := range []struct {
		at   time.Duration
		full string
	}{{0, ""}, {0, "d"}, {0, "d"}, {time.Second, ""}, {2 * time.Second, "a"}, {2 * time.Second, "a"}} {
		if full, _ := limits.Allow("d", "a", start.Add(c.at)); full != c.full {
			t.Errorf("ask %d: %q has to wait, want %q", i+1, full, c.full)
		}
	}
	if full, _ := limits.Allow("d", "", start.Add(2*time.Second)); full != "" {
		t.Errorf("%q has to wait", full)
	}
}
