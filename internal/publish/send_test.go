package publish

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"countersign/events"
	"countersign/internal/test/eventstest"
	"countersign/internal/test/proxytest"
)

// TestSend_LineWaitsOverALostAnswer breaks the connection between a question and
// its answer: the log is asked again for what a line comes after.
func TestSend_LineWaitsOverALostAnswer(t *testing.T) {
	server := eventstest.Server(t)
	direct := eventstest.Connect(t, server)
	eventstest.Open(t, direct, 1)
	p := proxytest.Start(t, server.URL())
	nc, err := nats.Connect(p.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	const before = events.Prefix + "test.before"
	sent := make(chan error, 1)
	go func() {
		_, err := Send(t.Context(), nc, []Line{{Number: 1, Msg: nats.NewMsg(events.Prefix + "test.behind"), After: before}}, Options{Wait: time.Minute})
		sent <- err
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
	if _, err := direct.Request(before, nil, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
