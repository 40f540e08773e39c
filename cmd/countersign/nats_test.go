package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// natsProcess says how a NATS server in a process of its own runs.
type natsProcess struct {
	Name, Dir, Cluster string   // Cluster is the address for the other servers, "" for one that is alone
	Port               int      // for clients
	Routes             []string // of the whole cluster
	Unsynced           bool     // as NATS is by default: synced every two minutes
}

// serveNATS is the program where AS_NATS is set. It does not return.
func serveNATS(options string) {
	var o natsProcess
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		panic(err)
	}
	so := &server.Options{
		ServerName: o.Name, Host: "127.0.0.1", Port: o.Port, JetStream: true, StoreDir: o.Dir, SyncAlways: !o.Unsynced, NoSigs: true,
	}
	if o.Cluster != "" {
		so.Cluster = server.ClusterOpts{Name: "storm", Host: "127.0.0.1", NoAdvertise: true}
		if _, err := fmt.Sscanf(o.Cluster, "127.0.0.1:%d", &so.Cluster.Port); err != nil {
			panic(err)
		}
		for _, r := range o.Routes {
			so.Routes = append(so.Routes, &url.URL{Scheme: "nats", Host: r})
		}
	}
	s, err := server.NewServer(so)
	if err != nil {
		panic(err)
	}
	s.Start()
	s.WaitForShutdown()
	os.Exit(0)
}

// natsServers are NATS servers in processes of their own: one, or a cluster.
type natsServers struct {
	t       *testing.T
	options []natsProcess
	up      []*killable
}

func startServers(t *testing.T, n int) *natsServers {
	t.Helper()
	s := &natsServers{t: t, up: make([]*killable, n)}
	ports := ports(t, 2*n)
	var routes []string
	for i := range n {
		routes = append(routes, fmt.Sprintf("127.0.0.1:%d", ports[n+i]))
	}
	for i := range n {
		o := natsProcess{Name: fmt.Sprintf("n%d", i), Dir: t.TempDir(), Port: ports[i]}
		if n > 1 {
			o.Cluster, o.Routes = routes[i], routes
		}
		s.options = append(s.options, o)
		s.start(i)
	}
	return s
}

// start starts a server that is not running, at its address and on its store.
func (s *natsServers) start(i int) {
	s.t.Helper()
	raw, err := json.Marshal(s.options[i])
	if err != nil {
		s.t.Fatal(err)
	}
	s.up[i] = launch(s.t, []string{"AS_NATS=" + string(raw)})
}

// URL names all the servers.
func (s *natsServers) URL() string {
	var urls []string
	for _, o := range s.options {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", o.Port))
	}
	return strings.Join(urls, ",")
}

// ports finds ports of the loopback that are free.
func ports(t *testing.T, n int) (found []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		found = append(found, l.Addr().(*net.TCPAddr).Port)
	}
	return found
}
