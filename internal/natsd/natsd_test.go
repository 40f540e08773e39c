package natsd_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/internal/natsd"
	"countersign/internal/test/logtest"
)

func TestStart_StoreOutlivesARestart(t *testing.T) {
	options := natsd.Options{StoreDir: t.TempDir(), Listen: natsd.Off, Name: "test", SyncAlways: true}
	srv := start(t, options)
	publish(t, srv, 3)
	if srv.Addr() != nil || srv.ClientURL() != "" {
		t.Errorf("the server listens on %v, %q", srv.Addr(), srv.ClientURL())
	}
	srv.Shutdown()
	srv.Shutdown()

	info, err := stream(t, start(t, options)).Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.State.Msgs != 3 {
		t.Errorf("found %d messages after the restart, want 3", info.State.Msgs)
	}
}

func TestStart_ClientsConnectOverTheNetwork(t *testing.T) {
	srv := start(t, natsd.Options{StoreDir: t.TempDir(), Listen: "127.0.0.1:0"})
	nc, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if got, want := nc.ConnectedAddr(), srv.Addr().String(); got != want {
		t.Errorf("connected to %s, want %s", got, want)
	}
	if got, want := nc.MaxPayload(), int64(8<<20); got != want {
		t.Errorf("messages may have %d bytes, want %d", got, want)
	}
}

func TestStart_RefusesBadOptions(t *testing.T) {
	held, other := t.TempDir(), t.TempDir()
	running := start(t, natsd.Options{StoreDir: held, Listen: "127.0.0.1:0"})
	for name, test := range map[string]struct {
		options natsd.Options
		want    string
	}{
		"a store that another server holds": {natsd.Options{StoreDir: held}, "--data-dir"},
		"an address that is taken":          {natsd.Options{StoreDir: other, Listen: running.Addr().String()}, "--nats-listen"},
		"an address without a port":         {natsd.Options{StoreDir: other, Listen: "localhost"}, "--nats-listen"},
		"a port that is none":               {natsd.Options{StoreDir: other, Listen: "localhost:nats"}, "a port from 0 to 65535"},
		"a port out of range":               {natsd.Options{StoreDir: other, Listen: "localhost:70000"}, "a port from 0 to 65535"},
		"no store":                          {natsd.Options{}, "directory"},
		"a store that is a file":            {natsd.Options{StoreDir: file(t)}, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			srv, err := natsd.Start(test.options)
			if err == nil {
				srv.Shutdown()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error does not say %q: %v", test.want, err)
			}
		})
	}
	// What was refused has let go of its store.
	start(t, natsd.Options{StoreDir: other})
}

func TestStart_RefusesADamagedStore(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, dir string){
		"configuration overwritten": func(t *testing.T, dir string) { overwrite(t, filepath.Join(dir, "meta.inf")) },
		"configuration removed":     func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "meta.inf")) },
		"checksum removed":          func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "meta.sum")) },
	} {
		t.Run(name, func(t *testing.T) {
			var logged logtest.Buffer
			options := natsd.Options{StoreDir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&logged, nil))}
			srv := start(t, options)
			publish(t, srv, 10)
			srv.Shutdown()
			damage(t, filepath.Join(options.StoreDir, "jetstream", "$G", "streams", "TEST"))

			srv, err := natsd.Start(options)
			if err == nil {
				srv.Shutdown()
				t.Fatal("it started without the stream")
			}
			if !strings.Contains(err.Error(), "stream TEST") {
				t.Errorf("the error does not name the stream: %v", err)
			}
			if !strings.Contains(logged.String(), "level=WARN msg=\"NATS server: ") {
				t.Errorf("the server's own warning was not logged: %s", logged.String())
			}
		})
	}
}

// TestStart_RefusesDamagedStoreWhoseNameIsAPattern has a name that, read as a
// pattern of file names, matches another directory.
func TestStart_RefusesDamagedStoreWhoseNameIsAPattern(t *testing.T) {
	for _, name := range []string{"n[at]s", "n*?s", "n[ats"} {
		options := natsd.Options{StoreDir: filepath.Join(t.TempDir(), name)}
		srv := start(t, options)
		publish(t, srv, 10)
		srv.Shutdown()
		remove(t, filepath.Join(options.StoreDir, "jetstream", "$G", "streams", "TEST", "meta.inf"))
		if srv, err := natsd.Start(options); err == nil {
			srv.Shutdown()
			t.Errorf("%s: it started without the stream", name)
		} else if !strings.Contains(err.Error(), "stream TEST") {
			t.Errorf("%s: the error does not name the stream: %v", name, err)
		}
	}
}

func start(t *testing.T, options natsd.Options) *natsd.Server {
	t.Helper()
	srv, err := natsd.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	return srv
}

func stream(t *testing.T, srv *natsd.Server) jetstream.Stream {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "TEST", Subjects: []string{"test"}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func publish(t *testing.T, srv *natsd.Server, n int) {
	t.Helper()
	stream(t, srv)
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for range n {
		if _, err := nc.Request("test", []byte("{}"), nats.DefaultTimeout); err != nil {
			t.Fatal(err)
		}
	}
}

func file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	overwrite(t, path)
	return path
}

func overwrite(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("these are not the bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func TestStart_TokenIsWantedOfClients(t *testing.T) {
	srv := start(t, natsd.Options{StoreDir: t.TempDir(), Listen: "127.0.0.1:0", Token: "secret"})
	if nc, err := nats.Connect(srv.ClientURL()); err == nil {
		nc.Close()
		t.Error("it needs no token")
	}
	for name, way := range map[string]nats.Option{"over the network": nats.Name("test"), "inside the process": nats.InProcessServer(srv)} {
		nc, err := nats.Connect(srv.ClientURL(), way, nats.Token("secret"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		nc.Close()
	}
}
