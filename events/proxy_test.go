package events_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"countersign/events/eventstest"
)

// proxy stands between a client and a broker.
type proxy struct{ listener net.Listener }

// newProxy carries what the client says as it is, and leaves to back what the
// broker says.
func newProxy(t *testing.T, broker *eventstest.Broker, back func(client io.Writer, broker io.Reader) error) proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", strings.TrimPrefix(broker.URL(), "nats://"))
			if err != nil {
				client.Close()
				continue
			}
			go func() { _, _ = io.Copy(server, client); server.Close() }()
			go func() { _ = back(client, server); client.Close() }()
		}
	}()
	return proxy{listener}
}

// URL is what clients connect to.
func (p proxy) URL() string { return "nats://" + p.listener.Addr().String() }

// silence keeps back what the broker says, while it is set.
type silence struct {
	mu sync.RWMutex
}

func (s *silence) set(on bool) {
	if on {
		s.mu.Lock()
	} else {
		s.mu.Unlock()
	}
}

func (s *silence) copy(client io.Writer, broker io.Reader) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := broker.Read(buf)
		if err != nil {
			return err
		}
		s.mu.RLock()
		_, err = client.Write(buf[:n])
		s.mu.RUnlock()
		if err != nil {
			return err
		}
	}
}

// losing loses the first message that satisfies lost, which is shown the line
// of the NATS protocol that comes before a message.
func losing(lost func(line string) bool) func(io.Writer, io.Reader) error {
	var once sync.Once
	return func(client io.Writer, broker io.Reader) error {
		in := bufio.NewReader(broker)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return err
			}
			var payload []byte
			if verb, _, _ := strings.Cut(line, " "); verb == "MSG" || verb == "HMSG" {
				fields := strings.Fields(line)
				var size int
				if _, err := fmt.Sscan(fields[len(fields)-1], &size); err != nil {
					return err
				}
				payload = make([]byte, size+len("\r\n"))
				if _, err := io.ReadFull(in, payload); err != nil {
					return err
				}
			}
			keep := true
			if lost(line) {
				once.Do(func() { keep = false })
			}
			if !keep {
				continue
			}
			if _, err := client.Write(append([]byte(line), payload...)); err != nil {
				return err
			}
		}
	}
}
