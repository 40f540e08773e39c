package httpd_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"countersign/internal/httpd"
	"countersign/internal/test/certtest"
	"countersign/internal/test/logtest"
)

// serve runs a server until the test ends, and returns its address.
func serve(t *testing.T, s httpd.Server) string {
	t.Helper()
	addr, end := start(t, s)
	t.Cleanup(end)
	return addr
}

// start runs a server until end is called.
func start(t *testing.T, s httpd.Server) (addr string, end func()) {
	t.Helper()
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	return l.Addr().String(), func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// protocol answers with the version of HTTP that a request came by.
var protocol = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, r.Proto)
})

// client speaks one version of HTTP alone.
func client(set func(*http.Protocols, bool), roots *x509.CertPool) *http.Client {
	p := new(http.Protocols)
	set(p, true)
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{RootCAs: roots}}}
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestServerRun_BothVersionsInClearAndOverTLS(t *testing.T) {
	certFile, keyFile, roots := certtest.Files(t, t.TempDir(), 1)
	config, _, err := httpd.FromFiles(certFile, keyFile, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	clear := "http://" + serve(t, httpd.Server{Handler: protocol})
	secured := "https://" + serve(t, httpd.Server{Handler: protocol, TLS: config})
	for _, c := range []struct {
		url  string
		set  func(*http.Protocols, bool)
		want string
	}{
		{clear, (*http.Protocols).SetHTTP1, "HTTP/1.1"},
		{clear, (*http.Protocols).SetUnencryptedHTTP2, "HTTP/2.0"},
		{secured, (*http.Protocols).SetHTTP1, "HTTP/1.1"},
		{secured, (*http.Protocols).SetHTTP2, "HTTP/2.0"},
	} {
		if got := get(t, client(c.set, roots), c.url); got != c.want {
			t.Errorf("%s: %s, want %s", c.url, got, c.want)
		}
	}
	old := &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS11}
	if conn, err := tls.Dial("tcp", strings.TrimPrefix(secured, "https://"), old); err == nil {
		conn.Close()
		t.Error("TLS 1.1 is taken")
	}
}

// TestServerRun_SlowClientsAreCutOff has clients stop in the middle: each is left by the
// server, which a client that reads notices.
func TestServerRun_SlowClientsAreCutOff(t *testing.T) {
	const short = 50 * time.Millisecond
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
			return
		}
		block := make([]byte, 1<<20)
		for range 64 { // more than the buffers between take
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	for _, c := range []struct {
		name   string
		limits httpd.Limits
		send   string
	}{
		{"in the header", httpd.Limits{Header: short}, "GET / HTTP/1.1\r\nHost: x\r\n"},
		{"in the body", httpd.Limits{Read: short}, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"},
		{"between requests", httpd.Limits{Idle: short}, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"before the answer is read", httpd.Limits{Write: short}, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", serve(t, httpd.Server{Handler: handler, Limits: c.limits}))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, c.send); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			if c.limits.Write != 0 {
				// The server has to give up on its own: nothing is read until it has.
				waitClosed(t, conn)
				return
			}
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection is open still")
			}
		})
	}
}

// waitClosed waits until the peer has gone, without reading: writes fail then.
func waitClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	deadline, tick := time.After(time.Minute), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := io.WriteString(conn, "x"); err != nil {
			return
		}
		select {
		case <-deadline:
			t.Fatal("the connection is open still")
		case <-tick.C:
		}
	}
}

func TestServerRun_HeaderThatIsTooLarge(t *testing.T) {
	addr := serve(t, httpd.Server{Handler: protocol, Limits: httpd.Limits{HeaderBytes: 1 << 10}})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", 16<<10))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("answers %d", resp.StatusCode)
	}
}

func TestServerRun_EndFinishesRequestsThatHaveBegun(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	addr, end := start(t, httpd.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		_, _ = io.WriteString(w, "done")
	}), Limits: httpd.Limits{Grace: time.Minute}})
	got := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + addr)
		if err != nil {
			got <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		got <- string(body)
	}()
	<-begun
	ended := make(chan struct{})
	go func() { end(); close(ended) }()
	wait(t, "new connections to be refused", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	close(finish)
	<-ended
	if body := <-got; body != "done" {
		t.Errorf("the request in hand got %q", body)
	}
}

func TestFromFiles_NewCertificateIsUsed(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile, _ := certtest.Files(t, dir, 1)
	logged := &logtest.Buffer{}
	config, _, err := httpd.FromFiles(certFile, keyFile, slog.New(slog.NewTextHandler(logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	addr := serve(t, httpd.Server{Handler: protocol, TLS: config})
	serial := func() int64 {
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Fatalf("serves certificate %d", got)
	}
	certtest.Files(t, dir, 2)
	wait(t, "the new certificate", func() bool { return serial() == 2 })
	if err := os.WriteFile(keyFile, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	wait(t, "the broken key to be noticed", func() bool { return serial() != 2 || strings.Contains(logged.String(), "cannot be used") })
	if got := serial(); got != 2 {
		t.Errorf("with a broken key on disk it serves certificate %d", got)
	}
	certtest.Files(t, dir, 3)
	wait(t, "the mended certificate", func() bool { return serial() == 3 })
}

func TestFromFiles_UnreadableCertificates(t *testing.T) {
	certFile, keyFile, _ := certtest.Files(t, t.TempDir(), 1)
	_, otherKey, _ := certtest.Files(t, t.TempDir(), 2)
	logger := slog.New(slog.DiscardHandler)
	for _, files := range [][2]string{{certFile, otherKey}, {keyFile, certFile}, {certFile + ".none", keyFile}} {
		if _, _, err := httpd.FromFiles(files[0], files[1], logger); err == nil || !strings.Contains(err.Error(), "TLS certificate") {
			t.Errorf("%v: %v", files, err)
		}
	}
}

// wait waits until cond holds, looking often.
func wait(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline, look := time.After(time.Minute), time.NewTicker(20*time.Millisecond)
	defer look.Stop()
	for !cond() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-look.C:
		}
	}
}

func TestFromFiles_KeyThatOthersCanReadIsRefused(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile, _ := certtest.Files(t, dir, 1)
	logged := &logtest.Buffer{}
	config, _, err := httpd.FromFiles(certFile, keyFile, slog.New(slog.NewTextHandler(logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o644, 0o640, 0o666} {
		if err := os.Chmod(keyFile, mode); err != nil {
			t.Fatal(err)
		}
		_, _, err := httpd.FromFiles(certFile, keyFile, slog.New(slog.DiscardHandler))
		if open := mode != 0o640; open != (err != nil) || open && !strings.Contains(err.Error(), "chmod 600 "+keyFile) {
			t.Errorf("mode %#o: %v", mode, err)
		}
	}
	wait(t, "the open key to be noticed while it serves", func() bool {
		if _, err := config.GetCertificate(nil); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(logged.String(), "chmod 600")
	})
}
