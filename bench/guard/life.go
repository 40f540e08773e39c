package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/workflow"
)

const (
	stream  = "AUTHDOCS"
	account = workflow.SID("ACbe000000000000000000000000000000")
	emails  = 6 // of a document, in its whole life
	orders  = 3 // of a document
)

// lives leads documents through their lives: it creates them, signs each when the
// email that asks for it arrives, and counts what comes out.
type lives struct {
	js   jetstream.JetStream
	done chan struct{} // closed once every document is done
	fail context.CancelCauseFunc

	mu        sync.Mutex
	left      int // documents that are not done
	documents []progress

	emails, orders atomic.Int64 // that came, those that should not have come too
}

type progress struct{ emails, signer, orders int }

func sid(prefix string, n int) workflow.SID { return workflow.SID(fmt.Sprintf("%s%032x", prefix, n)) }

func created(i int) events.Event {
	b := workflow.Created{
		AddressSID: sid("AD", 1), Email: fmt.Sprintf("signer-%d@bench.test", i), ContactTitle: "Owner", ContactPhoneNumber: "+14155550100",
		CCEmails: []string{fmt.Sprintf("first-%d@bench.test", i), fmt.Sprintf("second-%d@bench.test", i)},
	}
	for n := orders * i; n < orders*(i+1); n++ {
		b.HostedNumberOrders = append(b.HostedNumberOrders, workflow.OrderRef{SID: sid("HR", n), PhoneNumber: fmt.Sprintf("+1415%07d", 2_000_000+n)})
	}
	return events.Created("/bench", fmt.Sprint("created-", i), account, sid("PX", i), b)
}

func signed(i int) events.Event {
	return events.StatusChanged("/bench", fmt.Sprint("signed-", i), account, sid("PX", i), workflow.StatusChanged{Status: workflow.Signed})
}

func (l *lives) publish(e events.Event) {
	m, err := e.Message()
	if err == nil {
		_, err = l.js.PublishMsgAsync(m, jetstream.WithStallWait(limit)) // the broker may be busy
	}
	if err != nil {
		l.fail(fmt.Errorf("publish: %w", err))
	}
}

// mailed counts an accepted email.
func (l *lives) mailed(recipient string) {
	l.emails.Add(1)
	who, _, _ := strings.Cut(recipient, "@")
	who, number, _ := strings.Cut(who, "-")
	i, err := strconv.Atoi(number)
	if err != nil || i >= len(l.documents) {
		l.fail(fmt.Errorf("an email came for a recipient of no document"))
		return
	}
	toSign := false
	l.step(i, func(p *progress) {
		p.emails++
		if who == "signer" {
			p.signer++
			toSign = p.signer == 1
		}
	})
	if toSign {
		go l.publish(signed(i)) // the reply does not wait for it
	}
}

// registered counts a register event.
func (l *lives) registered(m jetstream.Msg) {
	l.orders.Add(1)
	i, err := strconv.ParseInt(strings.Split(m.Subject(), ".")[3][len("PX"):], 16, 64)
	if err != nil || int(i) >= len(l.documents) {
		l.fail(fmt.Errorf("a register event came for no document: %s", m.Subject()))
		return
	}
	l.step(int(i), func(p *progress) { p.orders++ })
}

func (l *lives) step(i int, count func(*progress)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &l.documents[i]
	before := p.complete()
	count(p)
	if !before && p.complete() {
		if l.left--; l.left == 0 {
			close(l.done)
		}
	}
}

func (l *lives) unfinished() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.left
}

func (p progress) complete() bool { return p.emails >= emails && p.orders >= orders }

// exact fails if more or less came than the documents' lives have.
func (l *lives) exact() error {
	n := int64(len(l.documents))
	if e, o := l.emails.Load(), l.orders.Load(); e != emails*n || o != orders*n {
		return fmt.Errorf("%d documents got %d emails and %d register events; they must get %d and %d", n, e, o, emails*n, orders*n)
	}
	return nil
}

// connect connects lives to the server, which need not have the stream yet.
func (l *lives) connect(url string) (*nats.Conn, error) {
	nc, err := nats.Connect(url)
	if err != nil {
		return nil, err
	}
	l.js, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(256), jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) {
		l.fail(fmt.Errorf("publish: %w", err))
	}))
	return nc, err
}
