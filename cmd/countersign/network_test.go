package main

import (
	"strings"
	"testing"
	"time"

	"countersign/internal/test/eventstest"
	"countersign/internal/test/proxytest"
)

// says counts how often its log holds a text.
func (k *killable) times(text string) int { return strings.Count(k.log.String(), text) }

// until waits until its log holds a text more often than before.
func (k *killable) until(text string, before int) {
	k.t.Helper()
	eventstest.WaitFor(k.t, patience, "the process to say again: "+text, func() bool { return k.times(text) > before })
}

// TestServe_NetworkFaultsToNATSLoseNothing has every fault of a network befall the
// worker that is at work, on its way to the broker; another one has a good
// network.
func TestServe_NetworkFaultsToNATSLoseNothing(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	w := newWork(x)
	p := proxytest.Start(t, x.at.URL())
	one, two := t.TempDir(), t.TempDir()
	a := x.process(x.quick(one, "COUNTERSIGN_NATS_URL="+p.URL()))
	w.publish(3)
	w.comesToRest(one)
	b := x.process(x.quick(two))
	const lost = "lost the connection to NATS"
	for _, fault := range []struct {
		name  string
		begin func()
		cuts  bool // the worker must notice
	}{
		{"latency", func() { p.Set(proxytest.Up, proxytest.Fault{Latency: 100 * time.Millisecond}) }, false},
		{"slow drain", func() { p.Set(proxytest.Down, proxytest.Fault{PerSecond: 50_000}) }, false},
		{"reset of what the broker says", func() { p.Set(proxytest.Down, proxytest.Fault{ResetAfter: 1500}) }, true},
		{"reset of what the worker says", func() { p.Set(proxytest.Up, proxytest.Fault{ResetAfter: 100}) }, true},
		{"the broker is not heard", func() { p.Set(proxytest.Down, proxytest.Fault{Silent: true}) }, true},
		{"the worker is not heard", func() { p.Set(proxytest.Up, proxytest.Fault{Silent: true}) }, true},
		{"cut", p.Cut, true},
	} {
		before := a.times(lost)
		t.Log(fault.name)
		fault.begin()
		w.publish(4)
		if fault.cuts {
			a.until(lost, before)
		}
		w.comesToRest(two)
		p.Heal()
		eventstest.WaitFor(t, patience, "the connection", func() bool { return a.times("connected to NATS again") >= a.times(lost) })
		w.comesToRest(one)
	}
	w.settle(7*inFlight, one, two)
	a.kill()
	b.kill()
}

// TestServe_NetworkFaultsToMailServerLoseNothing does the same between the worker and the
// mail server, where a message cut at the wrong moment is in doubt.
func TestServe_NetworkFaultsToMailServerLoseNothing(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	w := newWork(x)
	p := proxytest.Start(t, x.box.Addr())
	one := t.TempDir()
	a := x.process(x.quick(one, "COUNTERSIGN_SMTP_URL=smtp://"+p.Addr()+"?tls=none"))
	const away = "the mail server cannot be used"
	for _, fault := range []struct {
		name  string
		begin func()
		cuts  bool
	}{
		{"latency", func() { p.Set(proxytest.Down, proxytest.Fault{Latency: 20 * time.Millisecond}) }, false},
		{"slow drain", func() { p.Set(proxytest.Up, proxytest.Fault{PerSecond: 200_000}) }, false},
		{"reset in mid-message", func() { p.Set(proxytest.Up, proxytest.Fault{ResetAfter: 4000}) }, false},
		{"reset of a reply", func() { p.Set(proxytest.Down, proxytest.Fault{ResetAfter: 300}) }, false},
		{"the server is not heard", func() { p.Set(proxytest.Down, proxytest.Fault{Silent: true}) }, true},
		{"the worker is not heard", func() { p.Set(proxytest.Up, proxytest.Fault{Silent: true}) }, true},
		{"cut", p.Cut, true},
	} {
		before := a.times(away)
		t.Log(fault.name)
		fault.begin()
		w.publish(4)
		if fault.cuts {
			a.until(away, before)
			p.Heal()
		}
		w.comesToRest(one)
		p.Heal()
	}
	w.settle(7*inFlight, one)
	a.kill()
}
