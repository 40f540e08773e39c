package mail_test

import (
	"context"
	"fmt"
	"testing"

	inbox "countersign/internal/catcher"
	"countersign/internal/test/proxytest"
	"countersign/workflow"
)

// TestPoolSend_ConnectionCutAtEachByte resets the connection after each byte of the
// dialogue, in either direction, and of the message after some. An email that the
// server took is accepted or in doubt, and one that it did not is never accepted.
func TestPoolSend_ConnectionCutAtEachByte(t *testing.T) {
	for name, hidden := range map[string][]inbox.Extension{
		"one by one": {inbox.Pipelining, inbox.Chunking}, "grouped": {inbox.Chunking}, "in one write": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCutter(t, hidden)
			for at := 1; c.cut(t, proxytest.Down, at); at++ {
			}
			for at := 1; c.cut(t, proxytest.Up, at); at++ {
				if at > 400 { // within the message
					at += 396
				}
			}
			c.check(t)
		})
	}
}

// cutter sends emails over connections that are cut.
type cutter struct {
	box      *inbox.Catcher
	proxy    *proxytest.Proxy
	warm     bool // an email precedes the one that is cut, and is the other half of the emails
	outcomes []workflow.Outcome
}

func newCutter(t *testing.T, hidden []inbox.Extension) *cutter {
	t.Helper()
	box, err := inbox.Listen("127.0.0.1:0", hidden...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- box.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &cutter{box: box, proxy: proxytest.Start(t, box.Addr()), warm: len(hidden) == 0}
}

// cut has a connection reset after so many bytes of an email's dialogue. It reports
// whether the dialogue was that long.
func (c *cutter) cut(t *testing.T, way proxytest.Way, at int) bool {
	t.Helper()
	p := pool(t, settings(t, c.proxy.Addr()))
	defer p.Close()
	send := func() {
		c.outcomes = append(c.outcomes, sendTo(t, p, len(c.outcomes), "owner@example.com").Outcome)
	}
	if c.warm {
		send()
	}
	c.proxy.Set(way, proxytest.Fault{ResetAfter: at})
	send()
	met := !c.proxy.Armed(way)
	c.proxy.Heal()
	return met
}

// check compares what the server took with the outcomes.
func (c *cutter) check(t *testing.T) {
	t.Helper()
	taken, outcomes := map[string]int{}, map[workflow.Outcome]int{}
	for _, m := range c.box.Mails() {
		taken[m.MessageID]++
	}
	for n, outcome := range c.outcomes {
		id := fmt.Sprintf("<PX%032x.1.signature.0@countersign.example>", n)
		outcomes[outcome]++
		switch copies := taken[id]; {
		case copies > 1, outcome == workflow.Accepted && copies == 0, outcome == workflow.Deferred && copies > 0, outcome == workflow.Rejected:
			t.Errorf("email %d is %s, and the server took it %d times", n, outcome, copies)
		}
	}
	if outcomes[workflow.Accepted] == 0 || outcomes[workflow.Unknown] == 0 || !c.warm && outcomes[workflow.Deferred] == 0 || len(c.outcomes) < 500 {
		t.Errorf("outcomes of %d emails: %v, and the server took %d", len(c.outcomes), outcomes, len(taken))
	}
}
