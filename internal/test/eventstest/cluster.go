package eventstest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
)

// electionWait covers an election with room to spare: it takes 4 to 9 s.
const electionWait = 60 * time.Second

// Servers is a cluster of NATS servers with JetStream.
type Servers struct {
	t       testing.TB
	options []*server.Options
	servers []*server.Server
}

// Cluster starts n servers and waits until they have a leader; they are shut
// down when the test ends.
func Cluster(t testing.TB, n int) *Servers {
	t.Helper()
	c := &Servers{t: t, servers: make([]*server.Server, n)}
	ports := freePorts(t, 2*n)
	var routes []*url.URL
	for _, port := range ports[n:] {
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	for i := range n {
		c.options = append(c.options, &server.Options{
			ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", Port: ports[i],
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[n+i], NoAdvertise: true},
			Routes:  routes, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		})
		c.Restart(i)
	}
	t.Cleanup(func() {
		for i := range n {
			c.Kill(i)
		}
	})
	WaitFor(t, electionWait, "a cluster with a leader", func() bool {
		return slices.ContainsFunc(c.servers, (*server.Server).JetStreamIsLeader)
	})
	return c
}

// URL names all the servers.
func (c *Servers) URL() string {
	var urls []string
	for _, o := range c.options {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", o.Port))
	}
	return strings.Join(urls, ",")
}

// Kill takes a server away. It may be away already.
func (c *Servers) Kill(i int) {
	if c.servers[i] != nil {
		c.servers[i].Shutdown()
		c.servers[i].WaitForShutdown()
	}
	c.servers[i] = nil
}

// Restart brings a server back, at its address and on its store.
func (c *Servers) Restart(i int) {
	c.t.Helper()
	c.Kill(i)
	s, err := server.NewServer(c.options[i].Clone())
	if err != nil {
		c.t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(electionWait) {
		s.Shutdown()
		c.t.Fatalf("server %d does not answer", i)
	}
	c.servers[i] = s
}

// Leader is the index of the server that leads the log's stream; it waits for
// one to be elected.
func (c *Servers) Leader(nc *nats.Conn) int {
	c.t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		c.t.Fatal(err)
	}
	leader := -1
	WaitFor(c.t, electionWait, "a leader of the log", func() bool {
		ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
		defer cancel()
		stream, err := js.Stream(ctx, events.StreamName)
		if err != nil || stream.CachedInfo().Cluster == nil {
			return false
		}
		leader = slices.IndexFunc(c.options, func(o *server.Options) bool {
			return o.ServerName == stream.CachedInfo().Cluster.Leader
		})
		return leader >= 0
	})
	return leader
}

// freePorts finds ports of the loopback that are free. The servers need to
// know each other's before they start.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}
