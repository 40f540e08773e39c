// Package eventstest gives tests the log on a real NATS server, in the process
// and in the test's own directory: one server that can be stopped and started,
// or a cluster.
package eventstest

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"countersign/internal/eventlog"
	"countersign/internal/natsd"
)

// Broker is a NATS server with JetStream. It keeps its address and its store
// over a restart.
type Broker struct {
	t       testing.TB
	options natsd.Options
	server  *natsd.Server
}

// Option changes how a Broker runs.
type Option func(*natsd.Options)

// SyncAlways has each message synced to disk before it is acknowledged, as in
// production. Without it tests are quicker, and lose nothing either: their
// machine does not lose power.
func SyncAlways() Option { return func(o *natsd.Options) { o.SyncAlways = true } }

// Listen has the server listen on a given "host:port".
func Listen(addr string) Option { return func(o *natsd.Options) { o.Listen = addr } }

// Server starts a server on a free port of the loopback; it is shut down when
// the test ends.
func Server(t testing.TB, opts ...Option) *Broker {
	t.Helper()
	b := &Broker{t: t, options: natsd.Options{Listen: "127.0.0.1:0", Name: "test", Logger: Logger()}}
	for _, opt := range opts {
		opt(&b.options)
	}
	if b.options.StoreDir == "" {
		b.options.StoreDir = t.TempDir()
	}
	b.Start()
	t.Cleanup(b.Stop)
	return b
}

// Start starts the server again after Stop.
func (b *Broker) Start() {
	b.t.Helper()
	server, err := natsd.Start(b.options)
	if err != nil {
		b.t.Fatal(err)
	}
	b.server, b.options.Listen = server, server.Addr().String()
}

// Stop shuts the server down. Its store may then be copied or replaced.
func (b *Broker) Stop() { b.server.Shutdown() }

// Restart stops the server and starts it again.
func (b *Broker) Restart() {
	b.t.Helper()
	b.Stop()
	b.Start()
}

// URL is what clients connect to.
func (b *Broker) URL() string { return "nats://" + b.options.Listen }

// StoreDir is where the server keeps its streams.
func (b *Broker) StoreDir() string { return b.options.StoreDir }

// Connect connects to a Broker or a Cluster as the program does, until the
// test ends.
func Connect(t testing.TB, to interface{ URL() string }) *nats.Conn {
	t.Helper()
	nc, err := eventlog.Connect(t.Context(), eventlog.ConnectOptions{URL: to.URL(), Name: t.Name(), Logger: Logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// Open opens the log on a connection, and makes it where it is missing.
func Open(t testing.TB, nc *nats.Conn, replicas int) *eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(t.Context(), nc, replicas, Logger())
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// Log is an empty log on a server of the test's own.
func Log(t testing.TB) *eventlog.Log {
	t.Helper()
	return Open(t, Connect(t, Server(t)), 1)
}

// Logger writes to standard error under go test -v, and nowhere else: what
// servers and connections say may come after the test has ended, where t.Log
// would panic.
func Logger() *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}

// Wait waits until cond holds, looking often, and fails the test if that takes
// longer than 10 s.
func Wait(t testing.TB, what string, cond func() bool) {
	t.Helper()
	WaitFor(t, 10*time.Second, what, cond)
}

// WaitFor is Wait with another deadline, for what has to wait for elections.
func WaitFor(t testing.TB, d time.Duration, what string, cond func() bool) {
	t.Helper()
	WaitEvery(t, 5*time.Millisecond, d, what, cond)
}

// WaitEvery is WaitFor that looks only once in each interval, for a condition
// that costs the program something to tell.
func WaitEvery(t testing.TB, interval, d time.Duration, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(d)
	look := time.NewTicker(interval)
	defer look.Stop()
	for !cond() {
		select {
		case <-deadline:
			t.Fatalf("waited %s in vain: %s", d, what)
		case <-look.C:
		}
	}
}
