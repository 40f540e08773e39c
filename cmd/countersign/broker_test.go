package main

import (
	"testing"

	"countersign/internal/test/eventstest"
)

// TestServe_NATSKilledAndFrozenLosesNothing kills a NATS server that syncs always, and
// freezes it for longer than a client waits for a sign of life, while two
// workers work. What was acknowledged is there afterwards, and nothing stands
// twice.
func TestServe_NATSKilledAndFrozenLosesNothing(t *testing.T) {
	t.Parallel()
	broker := startServers(t, 1)
	x := townAt(t, broker)
	one, two := t.TempDir(), t.TempDir()
	a, b := x.process(x.quick(one)), x.process(x.quick(two))
	w := newWork(x)

	w.publish(10)
	broker.up[0].kill()
	broker.start(0)
	w.publish(10)

	before := x.nc.Stats().Reconnects
	broker.up[0].freeze()
	eventstest.WaitFor(t, patience, "a client to give the server up", func() bool {
		return !x.nc.IsConnected() || x.nc.Stats().Reconnects > before
	})
	broker.up[0].thaw()
	w.publish(10)
	w.settle(2*inFlight, one, two)
	a.kill()
	b.kill()
}
