package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"countersign/db"
	"countersign/internal/test/logtest"
)

// probed is a check whose outcome the test sets, with its log.
type probed struct {
	t      *testing.T
	checks *Checks
	log    logtest.Buffer

	mu  sync.Mutex
	err error
}

// probe runs a check "log" and one "other" that is always ok, in a bubble.
func probe(t *testing.T, look func(context.Context) error) *probed {
	p := &probed{t: t}
	if look == nil {
		look = func(context.Context) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.err
		}
	}
	p.checks = NewChecks(time.Now, slog.New(slog.NewTextHandler(&p.log, nil)),
		Check{Name: "log", Look: look, Every: 2 * time.Second, Within: 5 * time.Second},
		Check{Name: "other", Look: func(context.Context) error { return nil }, Every: time.Second, Within: time.Second})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan bool)
	t.Cleanup(func() { stop(); <-done })
	go func() { p.checks.Run(ctx); close(done) }()
	return p
}

func (p *probed) becomes(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// said counts what is in the log.
func (p *probed) said(text string) int { return strings.Count(p.log.String(), text) }

// want checks how "log" stands after some time.
func (p *probed) want(after time.Duration, outcome Outcome, why string) {
	p.t.Helper()
	<-time.After(after)
	synctest.Wait()
	if s := p.checks.States()[0]; s.Outcome != outcome || s.Why != why || time.Since(s.Since).Round(time.Second) != s.For.Round(time.Second) {
		p.t.Errorf("%s (%s), want %s: %s", s, s.For, outcome, why)
	}
}

// TestChecks_AreToldOnceAnHourWhileTheyLast has one trouble that lasts, gets
// worse, and ends, and one that is over at once.
func TestChecks_AreToldOnceAnHourWhileTheyLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := probe(t, nil)
		p.want(time.Second, OK, "")
		p.becomes(Warning(errors.New("a little\nslow")))
		p.want(2*time.Second, Warns, "a little slow")
		if !ready(p.checks.States()) {
			t.Error("a warning makes the worker unready")
		}
		p.becomes(nil)
		p.want(2*time.Second, OK, "")
		p.want(time.Minute, OK, "")
		if p.log.String() != "" {
			t.Errorf("a trouble of two seconds is told: %s", &p.log)
		}

		p.becomes(Warning(errors.New("slow")))
		p.want(2*time.Minute, Warns, "slow")
		p.becomes(errors.New("gone"))
		p.want(30*time.Second, Failing, "gone")
		if s := p.checks.States(); ready(s) || s[0].For < 25*time.Second || s[0].For > 30*time.Second {
			t.Errorf("ready: %t; it has failed for %s", ready(s), s[0].For)
		}
		if p.said("check=log state=warning") != 1 || p.said("check=log state=failing") != 1 || p.said("why=gone") != 1 {
			t.Errorf("not told once each: %s", &p.log)
		}
		p.want(2*time.Hour+time.Minute, Failing, "gone")
		if n := p.said("why=gone"); n != 3 {
			t.Errorf("told %d times in two hours: %s", n, &p.log)
		}
		p.becomes(nil)
		p.want(4*time.Second, OK, "")
		if p.said("a check is ok again") != 1 || p.said("for=2h3m") != 1 {
			t.Errorf("its end is not told: %s", &p.log)
		}
	})
}

// TestChecks_OneThatDoesNotReturnFails has a look that ignores the end of its time.
func TestChecks_OneThatDoesNotReturnFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan bool)
		p := probe(t, func(context.Context) error { <-release; return nil })
		p.want(time.Second, Failing, "not looked at yet")
		p.want(10*time.Second, Failing, "no answer for 11s")
		if s := p.checks.States()[1]; s.Outcome != OK {
			t.Errorf("the other check waits: %s", s)
		}
		if p.want(time.Second, Failing, "no answer for 12s"); p.said("check=log") != 1 {
			t.Errorf("the log: %s", &p.log)
		}
		close(release)
		p.want(2*time.Second, OK, "")
	})
}

// none is a store without anything.
type none struct{}

func (none) Counts(context.Context, time.Time) (db.Counts, error) { return db.Counts{}, nil }

func (none) CountDeliveries(context.Context) (map[string]db.DeliveryCount, error) { return nil, nil }

// TestHandler_ReadyzListsEachCheck asks for text and JSON of a worker that is
// ready with a warning, and of one that is not.
func TestHandler_ReadyzListsEachCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := probe(t, nil)
		h := Handler(none{}, func() LogState { return LogState{Offset: -3 * time.Second, OffsetKnown: true} }, p.checks, slog.New(slog.DiscardHandler), Extra{})
		ask := func(path, accept string) (int, string) {
			r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
			r.Header.Set("Accept", accept)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code, w.Body.String()
		}
		for _, c := range []struct {
			err       error
			code      int
			line      string
			ok, lasts string
		}{
			{nil, 200, "ready\nlog: ok since 2000-01-01T00:00:00Z\nother: ok since 2000-01-01T00:00:00Z\n", "1", "0"},
			{Warning(errors.New("slow")), 200, "ready\nlog: warning since 2000-01-01T00:00:12Z: slow\nother: ok since 2000-01-01T00:00:00Z\n", "0", "8"},
			{errors.New("gone"), 503, "not ready\nlog: failing since 2000-01-01T00:00:21Z: gone\nother: ok since 2000-01-01T00:00:00Z\n", "0", "9"},
		} {
			p.becomes(c.err)
			<-time.After(10 * time.Second)
			synctest.Wait()
			if code, body := ask("/readyz", "*/*"); code != c.code || body != c.line {
				t.Errorf("/readyz: %d %s, want %d %s", code, body, c.code, c.line)
			}
			for _, request := range [][2]string{{"/readyz?format=json", ""}, {"/readyz", "application/json"}} {
				code, body := ask(request[0], request[1])
				var got struct {
					Ready  bool
					Checks []State
				}
				if err := json.Unmarshal([]byte(body), &got); err != nil || code != c.code || got.Ready != (code == 200) || len(got.Checks) != 2 || got.Checks[0].Name != "log" {
					t.Errorf("%v: %d %s (%v)", request, code, body, err)
				}
			}
			_, metrics := ask("/metrics", "")
			for _, line := range []string{
				`countersign_check_ok{check="log"} ` + c.ok, `countersign_check_ok{check="other"} 1`, "countersign_clock_offset_seconds -3",
				`countersign_check_failing_seconds{check="log"} ` + c.lasts, `countersign_check_failing_seconds{check="other"} 0`,
			} {
				if !strings.Contains(metrics, line+"\n") {
					t.Errorf("no %s in the metrics", line)
				}
			}
		}
	})
}
