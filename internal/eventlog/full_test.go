package eventlog_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/internal/test/eventstest"
)

// narrow is a server whose only account may keep so many bytes.
type narrow struct{ url string }

func (n narrow) URL() string { return n.url }

func narrowServer(t *testing.T, bytes int) narrow {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "server.conf")
	config := fmt.Sprintf(`
listen: "127.0.0.1:-1"
jetstream { store_dir: %q }
accounts { HOSTING { jetstream { max_file: %d }, users: [{ user: countersign, password: secret }] } }
`, dir, bytes)
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	options.NoSigs, options.NoLog = true, true
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	return narrow{fmt.Sprintf("nats://countersign:secret@127.0.0.1:%d", s.Addr().(*net.TCPAddr).Port)}
}

// TestLogAppend_WaitsWhileAccountIsFull fills the account on the server: a worker
// retries its event until there is room. If it gave up, the outcome of an email that
// was sent would be lost, and the email would be sent again.
func TestLogAppend_WaitsWhileAccountIsFull(t *testing.T) {
	nc := eventstest.Connect(t, narrowServer(t, 1<<20))
	log := eventstest.Open(t, nc, 1)
	js := manager(t, nc)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}}); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{100 << 10, 1 << 10, 1} { // to the last byte
		for {
			if _, err := js.Publish(t.Context(), "other", make([]byte, size)); err != nil {
				break
			}
		}
	}
	appends := map[string]func(context.Context) error{
		"one":     func(ctx context.Context) error { _, err := log.Append(ctx, createdEvent(0)); return err },
		"many":    func(ctx context.Context) error { _, err := log.AppendOnce(ctx, dueEvents(0, 20)); return err },
		"a claim": func(ctx context.Context) error { _, err := log.Claim(ctx, claimEvent("a", 1), 0); return err },
	}
	type result struct {
		name string
		err  error
	}
	results := make(chan result, len(appends))
	for name, f := range appends {
		heard := nc.Stats().InMsgs
		go func() { results <- result{name, f(t.Context())} }()
		eventstest.Wait(t, name+" to be turned down", func() bool { return nc.Stats().InMsgs > heard })
	}
	if err := js.DeleteStream(t.Context(), "OTHER"); err != nil {
		t.Fatal(err)
	}
	for range appends {
		if r := <-results; r.err != nil {
			t.Errorf("%s: %v", r.name, r.err)
		}
	}
}
