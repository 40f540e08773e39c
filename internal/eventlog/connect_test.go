package eventlog_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"countersign/internal/eventlog"
	"countersign/internal/natsd"
	"countersign/internal/test/eventstest"
	"countersign/internal/test/logtest"
)

func TestConnect_RefusesBadOptions(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		options eventlog.ConnectOptions
		want    string
	}{
		"a URL that is none":              {eventlog.ConnectOptions{URL: "nats://a:4222, nats://me:s3cret#@b:4222"}, "URL 2 of 2"},
		"a URL with a bad host":           {eventlog.ConnectOptions{URL: "nats://me:s3cret@b c"}, "URL 1 of 1"},
		"an unknown context":              {eventlog.ConnectOptions{Context: "nowhere"}, "nowhere"},
		"a context and a URL":             {eventlog.ConnectOptions{Context: "nowhere", URL: "nats://a"}, "exclude each other"},
		"credentials that are not there":  {eventlog.ConnectOptions{Creds: file + "s"}, "no such file"},
		"a CA that is not there":          {eventlog.ConnectOptions{TLSCA: file + "s"}, "no such file"},
		"a certificate without a key":     {eventlog.ConnectOptions{TLSCert: file}, "needs its key"},
		"a certificate that is none":      {eventlog.ConnectOptions{TLSCert: file, TLSKey: file}, "PEM"},
		"a context in a JetStream domain": {eventlog.ConnectOptions{Context: contextFile(t, `{"jetstream_domain":"hub","url":"nats://127.0.0.1:1"}`)}, "jetstream_domain"},
		"a context with a bad URL":        {eventlog.ConnectOptions{Context: contextFile(t, `{"url":"nats://me:s3cret#@b"}`)}, "the URL must be like"},
	} {
		t.Run(name, func(t *testing.T) {
			nc, err := eventlog.Connect(t.Context(), test.options)
			if err == nil {
				nc.Close()
				t.Fatal("it connected")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error does not say %q: %v", test.want, err)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error gives the password away: %v", err)
			}
		})
	}
}

func TestConnect(t *testing.T) {
	broker := eventstest.Server(t)
	inside, err := natsd.Start(natsd.Options{StoreDir: t.TempDir(), Listen: natsd.Off})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(inside.Shutdown)
	guarded, files := tlsServer(t)
	for name, options := range map[string]eventlog.ConnectOptions{
		"to a URL":                 {URL: broker.URL()},
		"to the first that is up":  {URL: "nats://127.0.0.1:1," + broker.URL()},
		"with a context":           {Context: contextFile(t, fmt.Sprintf(`{"url":%q}`, broker.URL()))},
		"inside the process":       {InProcess: inside},
		"with TLS and certificate": {URL: guarded, TLSCA: files.TLSCA, TLSCert: files.TLSCert, TLSKey: files.TLSKey},
	} {
		t.Run(name, func(t *testing.T) {
			nc, err := eventlog.Connect(t.Context(), options)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			eventstest.Wait(t, "a connection", nc.IsConnected)
		})
	}
}

// TestConnect_InboxPrefix: no connection gets its answers on _INBOX, which other
// clients may be permitted to listen to.
func TestConnect_InboxPrefix(t *testing.T) {
	broker := eventstest.Server(t)
	prefixed := func() string {
		return contextFile(t, fmt.Sprintf(`{"url":%q,"inbox_prefix":"_INBOX_context"}`, broker.URL()))
	}
	for name, test := range map[string]struct {
		options eventlog.ConnectOptions
		want    string
	}{
		"nothing given":           {eventlog.ConnectOptions{URL: broker.URL()}, "_INBOX_countersign."},
		"given":                   {eventlog.ConnectOptions{URL: broker.URL(), InboxPrefix: "_INBOX_loa.one"}, "_INBOX_loa.one."},
		"a context without":       {eventlog.ConnectOptions{Context: contextFile(t, fmt.Sprintf(`{"url":%q}`, broker.URL()))}, "_INBOX_countersign."},
		"a context with":          {eventlog.ConnectOptions{Context: prefixed()}, "_INBOX_context."},
		"a context with, another": {eventlog.ConnectOptions{Context: prefixed(), InboxPrefix: "_INBOX_loa"}, "_INBOX_loa."},
	} {
		t.Run(name, func(t *testing.T) {
			nc, err := eventlog.Connect(t.Context(), test.options)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			if inbox := nc.NewInbox(); !strings.HasPrefix(inbox, test.want) {
				t.Errorf("the inbox is %s, want %s", inbox, test.want)
			}
		})
	}
	if _, err := eventlog.Connect(t.Context(), eventlog.ConnectOptions{URL: broker.URL(), InboxPrefix: "_INBOX.*"}); err == nil || !strings.Contains(err.Error(), "prefix") {
		t.Errorf("a wildcard: %v", err)
	}
}

func TestConnect_KeepsPasswordsOutOfLog(t *testing.T) {
	broker := eventstest.Server(t)
	var log logtest.Buffer
	nc, err := eventlog.Connect(t.Context(), eventlog.ConnectOptions{
		URL:    strings.Replace(broker.URL(), "nats://", "nats://me:s3cret@", 1),
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	eventstest.Wait(t, "a connection", nc.IsConnected)
	broker.Restart()
	eventstest.Wait(t, "the loss and the find in the log", func() bool {
		return strings.Contains(log.String(), "lost the connection") && strings.Contains(log.String(), "connected to NATS again")
	})
	if strings.Contains(log.String(), "s3cret") {
		t.Errorf("the log gives the password away: %s", log.String())
	}
}

// contextFile is a context of the nats CLI, by its absolute path.
func contextFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tlsServer is a server that speaks TLS and wants a certificate of its
// clients, and the files that satisfy it.
func tlsServer(t *testing.T) (url string, files eventlog.ConnectOptions) {
	t.Helper()
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	pair := web.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files = eventlog.ConnectOptions{TLSCA: dir + "/ca.pem", TLSCert: dir + "/cert.pem", TLSKey: dir + "/key.pem"}
	for path, block := range map[string]*pem.Block{
		files.TLSCA: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, files.TLSCert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]},
		files.TLSKey: {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the TLS server does not answer")
	}
	return "nats://" + srv.Addr().String(), files
}

// TestConnect_CredentialsThatOthersCanReadAreRefused at the start, and at the
// next connection if they become open later.
func TestConnect_CredentialsThatOthersCanReadAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "user.creds")
	seed := "-----BEGIN NATS USER JWT-----\ne30.e30.e30\n------END NATS USER JWT------\n"
	if err := os.WriteFile(file, []byte(seed), 0o600); err != nil {
		t.Fatal(err)
	}
	var log logtest.Buffer
	broker := eventstest.Server(t)
	nc, err := eventlog.Connect(t.Context(), eventlog.ConnectOptions{URL: broker.URL(), Creds: file, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, mode := range []os.FileMode{0o644, 0o620, 0o666} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		_, err := eventlog.Connect(t.Context(), eventlog.ConnectOptions{URL: broker.URL(), Creds: file})
		if err == nil || !strings.Contains(err.Error(), "chmod 600 "+file) {
			t.Errorf("mode %#o: %v", mode, err)
		}
		if _, err := nc.Opts.UserJWT(); err == nil || !strings.Contains(err.Error(), "chmod 600 "+file) {
			t.Errorf("mode %#o, when they are read again: %v", mode, err)
		}
	}
}
