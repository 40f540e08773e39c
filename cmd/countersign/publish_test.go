package main

import (
	"io"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"countersign/events"
	"countersign/internal/terminal"
	"countersign/internal/test/eventstest"
	"countersign/internal/test/proxytest"
)

// TestALineWaitsOverALostAnswer breaks the connection off between a question and
// its answer: whether that is there which a line comes after is asked again.
func TestALineWaitsOverALostAnswer(t *testing.T) {
	x := newTown(t)
	eventstest.Open(t, x.nc, 1)
	p := proxytest.Start(t, x.nats.URL())
	nc, err := nats.Connect(p.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	const before = events.Prefix + "test.before"
	sent := make(chan error, 1)
	go func() {
		a := &app{out: terminal.New(io.Discard), err: terminal.New(io.Discard)}
		sent <- a.send(t.Context(), nc, []line{{number: 1, msg: nats.NewMsg(events.Prefix + "test.behind"), after: before}}, 0, time.Minute)
	}()
	asked := func() { // a question that begins now
		n := nc.Stats().OutMsgs
		eventstest.Wait(t, "a question", func() bool { return nc.Stats().OutMsgs > n })
	}
	asked()
	p.Set(proxytest.Down, proxytest.Fault{Silent: true})
	asked()
	p.Cut()
	p.Heal()
	if _, err := x.nc.Request(before, nil, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
