package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"countersign/internal/trouble"
)

// Check is something that a worker needs for its work.
type Check struct {
	Name string // in /readyz and in the metrics: letters

	// Look checks it now. An error says what is wrong; an error made by Warning
	// does not make the worker unready. Look is called every Every while the
	// check is ok, else every second if that is more often, and never twice at
	// a time.
	Look  func(ctx context.Context) error
	Every time.Duration

	// Within is how long one Look may take. Its ctx ends after that, and if
	// Look does not return then, the check fails.
	Within time.Duration
}

// warning is a fault in spite of which the worker is ready.
type warning struct{ error }

// Unwrap returns what is wrong.
func (w warning) Unwrap() error { return w.error }

// Warning marks the error of a Check as one in spite of which the worker is ready.
func Warning(err error) error { return warning{err} }

// Outcome is the result of a check.
type Outcome string

// The outcomes.
const (
	OK      Outcome = "ok"
	Warns   Outcome = "warning" // the worker is ready all the same
	Failing Outcome = "failing" // the worker is not ready
)

// State is the outcome of a check, and since when it has it.
type State struct {
	Name    string    `json:"check"`
	Outcome Outcome   `json:"state"`
	Since   time.Time `json:"since"` // by the log's time
	Why     string    `json:"why,omitempty"`

	For time.Duration `json:"-"` // since Since
}

// String is the check's line in /readyz.
func (s State) String() string {
	line := fmt.Sprintf("%s: %s since %s", s.Name, s.Outcome, s.Since.UTC().Format(time.RFC3339))
	if s.Why != "" {
		line += ": " + s.Why
	}
	return line
}

// Checks runs checks in the background and keeps their results, so that reading
// them is cheap and never waits. Its methods may be called by several
// goroutines at once.
type Checks struct {
	now    func() time.Time
	logger *slog.Logger
	list   []*checked
}

// checked is a check and its state.
type checked struct {
	Check

	mu      sync.Mutex
	outcome Outcome
	why     string
	since   time.Time // when it got this outcome; read for its monotonic part
	looking time.Time // when the Look that runs began; zero if none does
	trouble trouble.Log
}

// lookAgain is the time between two looks at a check that is not ok.
const lookAgain = time.Second

// rules say how often the log mentions a check that is not ok.
var rules = trouble.Rules{After: 5 * time.Second, Again: time.Hour}

// NewChecks makes checks, which are failing until Run has looked at them. now
// is the log's time, or the best guess at it.
func NewChecks(now func() time.Time, logger *slog.Logger, list ...Check) *Checks {
	c := &Checks{now: now, logger: logger}
	for _, check := range list {
		c.list = append(c.list, &checked{Check: check, outcome: Failing, why: "not looked at yet", since: time.Now()})
	}
	return c
}

// Run looks at each check until ctx ends. A check that does not return does not
// delay the others.
func (c *Checks) Run(ctx context.Context) {
	var group sync.WaitGroup
	for _, check := range c.list {
		group.Go(func() {
			for ctx.Err() == nil {
				wait := check.Every
				if !check.look(ctx) {
					wait = min(wait, lookAgain)
				}
				select {
				case <-time.After(wait):
				case <-ctx.Done():
				}
			}
		})
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
			c.tell()
		case <-ctx.Done():
		}
	}
	group.Wait()
}

// States returns the states of the checks, in the order in which they were given.
func (c *Checks) States() []State {
	now := c.now()
	states := make([]State, len(c.list))
	for i, check := range c.list {
		check.mu.Lock()
		check.hangs()
		lasted := time.Since(check.since)
		states[i] = State{check.Name, check.outcome, now.Add(-lasted), check.why, lasted}
		check.mu.Unlock()
	}
	return states
}

// ready reports whether no check fails.
func ready(states []State) bool {
	for _, s := range states {
		if s.Outcome == Failing {
			return false
		}
	}
	return true
}

// look reports whether the check is ok.
func (c *checked) look(ctx context.Context) bool {
	within, cancel := context.WithTimeout(ctx, c.Within)
	defer cancel()
	c.mu.Lock()
	c.looking = time.Now()
	c.mu.Unlock()
	err := c.Look(within)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looking = time.Time{}
	if ctx.Err() != nil {
		return false // the check failed because the worker is ending
	}
	var warns warning
	switch {
	case err == nil:
		c.stands(OK, "")
	case errors.As(err, &warns):
		c.stands(Warns, err.Error())
	default:
		c.stands(Failing, err.Error())
	}
	return err == nil
}

// hangs notes that a Look does not return.
func (c *checked) hangs() {
	if took := time.Since(c.looking); !c.looking.IsZero() && took > c.Within+time.Second {
		c.stands(Failing, fmt.Sprintf("no answer for %s", took.Round(time.Second)))
	}
}

// stands records the outcome of the check. The reason is cut to one line,
// because it may have text of servers.
func (c *checked) stands(as Outcome, why string) {
	if c.outcome != as {
		c.since = time.Now()
	}
	c.outcome, c.why = as, strings.Join(strings.Fields(why), " ")
}

// tell logs which checks are in trouble, and which are ok again.
func (c *Checks) tell() {
	for _, check := range c.list {
		check.mu.Lock()
		check.hangs()
		now := time.Now()
		if check.outcome == OK {
			if began, mention := check.trouble.Right(now); mention {
				c.logger.Info("a check is ok again", "check", check.Name, "for", now.Sub(began).Round(time.Second).String())
			}
		} else if check.trouble.Wrong(string(check.outcome), rules, now) {
			c.logger.Warn("a check is not ok; /readyz shows all of them", "check", check.Name, "state", string(check.outcome),
				"for", now.Sub(check.trouble.Began()).Round(time.Second).String(), "why", check.why)
		}
		check.mu.Unlock()
	}
}

var (
	checkOK      = desc("check_ok", "1 if a check of /readyz is ok, 0 if it warns or fails.", "check")
	checkFailing = desc("check_failing_seconds", "For how long a check of /readyz has warned or failed; 0 while it is ok.", "check")
)

// Describe implements prometheus.Collector.
func (c *Checks) Describe(ch chan<- *prometheus.Desc) {
	ch <- checkOK
	ch <- checkFailing
}

// Collect implements prometheus.Collector.
func (c *Checks) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.States() {
		failing := 0.0
		if s.Outcome != OK {
			failing = s.For.Seconds()
		}
		ch <- prometheus.MustNewConstMetric(checkOK, prometheus.GaugeValue, one(s.Outcome == OK), s.Name)
		ch <- prometheus.MustNewConstMetric(checkFailing, prometheus.GaugeValue, failing, s.Name)
	}
}
