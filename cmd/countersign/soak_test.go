//go:build soak && failpoints

package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/test/eventstest"
)

func init() {
	takeover = 10 * time.Second
	load.stall, load.documents, load.failing, load.memory = 10*time.Minute, 5000, 10_000, 256<<20
	load.deadline, load.window = "10s", 1000
}

// TestServe_SoakStorm is the storm of the closing note: 1,000 documents, two workers
// killed and frozen at least 50 times, three NATS servers with six faults.
func TestServe_SoakStorm(t *testing.T) {
	cluster := startServers(t, 3)
	x := townAt(t, cluster)
	seed := newSeed(t)
	storm{
		documents: 1000, faults: 27, pause: 5 * time.Second, freeze: 30 * time.Second, every: 300 * time.Millisecond,
		env: []string{"COUNTERSIGN_REPLICAS=3"}, seed: seed,
	}.rage(x, func(c *counts) {
		r := rand.New(rand.NewPCG(seed, 99))
		for _, strike := range []func(*town, *counts){
			cluster.killLeader, cluster.freezeLeader, cluster.restartAll, cluster.killAll, cluster.freezeFollower, cluster.killLeader,
		} {
			lull(x.t, 10*time.Second+time.Duration(r.Int64N(int64(20*time.Second))))
			strike(x, c)
		}
	})
}

// leader is the index of the server that leads the log; it waits for one.
func (s *natsServers) leader(x *town) (leader int) {
	x.t.Helper()
	js, err := jetstream.New(x.nc)
	if err != nil {
		x.t.Fatal(err)
	}
	eventstest.WaitFor(x.t, 3*time.Minute, "a leader of the log", func() bool {
		stream, err := js.Stream(x.t.Context(), events.StreamName)
		if err != nil || stream.CachedInfo().Cluster == nil {
			return false
		}
		for i, o := range s.options {
			if o.Name == stream.CachedInfo().Cluster.Leader {
				leader = i
				return true
			}
		}
		return false
	})
	return leader
}

// killLeader kills the log's leader and starts it again after its succession.
func (s *natsServers) killLeader(x *town, c *counts) {
	c.add("broker leader killed")
	i := s.leader(x)
	s.up[i].kill()
	s.leader(x)
	s.start(i)
}

// freezeLeader stops the log's leader for longer than an election takes.
func (s *natsServers) freezeLeader(x *town, c *counts) {
	c.add("broker leader frozen")
	s.freeze(x, s.leader(x))
}

func (s *natsServers) freezeFollower(x *town, c *counts) {
	c.add("broker follower frozen")
	s.freeze(x, (s.leader(x)+1)%len(s.up))
}

func (s *natsServers) freeze(x *town, i int) {
	s.up[i].freeze()
	lull(x.t, 15*time.Second)
	s.up[i].thaw()
}

// restartAll restarts one server after the other.
func (s *natsServers) restartAll(x *town, c *counts) {
	c.add("brokers restarted one by one")
	for i := range s.up {
		s.up[i].kill()
		s.start(i)
		s.leader(x)
		lull(x.t, 5*time.Second)
	}
}

// killAll kills all servers at once.
func (s *natsServers) killAll(x *town, c *counts) {
	c.add("all brokers killed at once")
	for i := range s.up {
		s.up[i].kill()
	}
	lull(x.t, 5*time.Second)
	for i := range s.up {
		s.start(i)
	}
	s.leader(x)
}

// TestServe_SoakCrashes kills a worker at each step twenty times, each time when it
// has come to the step another, random number of times.
func TestServe_SoakCrashes(t *testing.T) {
	seed := newSeed(t)
	for _, points := range steps {
		for _, point := range points {
			if strings.Contains(point, ":") {
				continue
			}
			t.Run(point, func(t *testing.T) {
				x := newTown(t)
				w := newWork(x)
				one, faults := t.TempDir(), 20
				r := rand.New(rand.NewPCG(seed, uint64(len(point))))
				for range faults {
					a := x.launch(x.quick(one, at(fmt.Sprint(point, ":", 1+r.IntN(8)))))
					for began := time.Now(); !a.over(200 * time.Millisecond); w.publish(1) {
						if time.Since(began) > time.Minute {
							t.Fatal("it is not reached so often")
						}
					}
				}
				x.inherit(w, one, faults)
			})
		}
	}
}

// over reports whether it has ended, within a time.
func (k *killable) over(within time.Duration) bool {
	select {
	case <-k.dead:
		return true
	case <-time.After(within):
		return false
	}
}
