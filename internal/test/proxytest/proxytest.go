// Package proxytest is a TCP proxy for tests. It stands between a client and a
// server and does to their dialogue what networks do: it cuts it, in both ways
// or in one, delays it, slows it down, and resets it in the middle of a message.
package proxytest

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Way is a direction.
type Way int

// The directions.
const (
	Up   Way = iota // what the client says
	Down            // what the server says
)

// Fault is what happens to what is said in one direction. The zero Fault is
// none.
type Fault struct {
	Silent     bool          // nothing arrives until the fault ends; then all of it does
	Latency    time.Duration // each piece arrives so much later
	PerSecond  int           // bytes a second at most
	ResetAfter int           // once so many bytes have arrived the connection is reset, and the fault ends
}

// Proxy is a running proxy.
type Proxy struct {
	listener net.Listener
	target   string
	filter   func(client io.Writer, server io.Reader) error
	ctx      context.Context // of the test

	mu      sync.Mutex
	faults  [2]Fault
	changed chan struct{} // closed when faults change
	cut     bool
	open    map[*pair]bool
}

// pair is a client's connection and the one to the server that answers it.
type pair struct{ client, server net.Conn }

// Start starts a proxy to the TCP address target, until the test ends.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	return start(t, target, nil)
}

// Filter is Start with a function of the test's own that carries what the
// server says, on each connection, until it fails.
func Filter(t testing.TB, target string, filter func(client io.Writer, server io.Reader) error) *Proxy {
	t.Helper()
	return start(t, target, filter)
}

func start(t testing.TB, target string, filter func(io.Writer, io.Reader) error) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		listener: l, target: strings.TrimPrefix(target, "nats://"), filter: filter, ctx: t.Context(),
		changed: make(chan struct{}), open: map[*pair]bool{},
	}
	t.Cleanup(func() {
		l.Close()
		p.Cut()
	})
	go p.accept()
	return p
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL is Addr for NATS clients.
func (p *Proxy) URL() string { return "nats://" + p.Addr() }

// Set puts a fault on one direction of every connection, open and to come.
func (p *Proxy) Set(way Way, f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults[way] = f
	close(p.changed)
	p.changed = make(chan struct{})
}

// Armed reports whether a reset in a direction is still to come.
func (p *Proxy) Armed(way Way) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults[way].ResetAfter > 0
}

// Cut closes every connection, and every new one at once, until Heal.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for c := range p.open {
		c.close()
	}
}

// Heal ends every fault.
func (p *Proxy) Heal() {
	p.Set(Up, Fault{})
	p.Set(Down, Fault{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		c := &pair{client, server}
		p.mu.Lock()
		p.open[c] = true
		if p.cut {
			c.close()
		}
		p.mu.Unlock()
		go p.carry(c)
	}
}

// carry carries both directions until one of them ends.
func (p *Proxy) carry(c *pair) {
	ended := make(chan bool, 2)
	go func() { p.pump(Up, c, c.server, c.client); ended <- true }()
	go func() {
		if p.filter != nil {
			_ = p.filter(c.client, c.server)
		} else {
			p.pump(Down, c, c.client, c.server)
		}
		ended <- true
	}()
	<-ended
	c.close()
	p.mu.Lock()
	delete(p.open, c)
	p.mu.Unlock()
}

// pump carries one direction.
func (p *Proxy) pump(way Way, c *pair, to io.Writer, from io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		for piece := buf[:n]; len(piece) > 0; {
			size, reset := p.pass(way, len(piece))
			if _, err := to.Write(piece[:size]); err != nil {
				return
			}
			if reset {
				c.reset()
				return
			}
			piece = piece[size:]
		}
		if err != nil {
			return
		}
	}
}

// pass waits until something may arrive, and says how much of n bytes, and
// whether the connection is reset after them.
func (p *Proxy) pass(way Way, n int) (size int, reset bool) {
	for {
		p.mu.Lock()
		f, changed := &p.faults[way], p.changed
		wait := f.Latency
		if size = n; f.PerSecond > 0 {
			size = min(n, max(1, f.PerSecond/20))
			wait += time.Second * time.Duration(size) / time.Duration(f.PerSecond)
		}
		if f.ResetAfter > 0 {
			size = min(size, f.ResetAfter)
			if f.ResetAfter -= size; f.ResetAfter == 0 {
				reset = true
			}
		}
		silent := f.Silent
		p.mu.Unlock()
		if silent {
			select {
			case <-changed:
				continue
			case <-p.ctx.Done():
				return size, true
			}
		}
		if wait > 0 {
			select {
			case <-time.After(wait):
			case <-changed:
			}
		}
		return size, reset
	}
}

func (c *pair) close() {
	c.client.Close()
	c.server.Close()
}

// reset closes both connections as a machine does that has forgotten them.
func (c *pair) reset() {
	for _, conn := range []net.Conn{c.client, c.server} {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	}
	c.close()
}
