package httpd_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"countersign/internal/httpd"
	"countersign/internal/test/certtest"
	"countersign/internal/test/logtest"
)

// TestFromACME_CertificatesAreFetched fetches one from a certificate authority on this
// machine, Pebble, which looks the name up and connects to prove it.
func TestFromACME_CertificatesAreFetched(t *testing.T) {
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-modfile=../../tools/go.mod", "-o", dir+string(filepath.Separator),
		"github.com/letsencrypt/pebble/v2/cmd/pebble", "github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build Pebble: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	directory := pebble(t, dir, l.Addr().(*net.TCPAddr).Port)
	config, err := httpd.FromACME("sign.example.test", filepath.Join(dir, "certificates"), directory)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- httpd.Server{Handler: protocol, TLS: config, Logger: slog.New(slog.DiscardHandler)}.Run(ctx, l)
	}()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	asked := &tls.Config{ServerName: "sign.example.test", InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}
	wait(t, "a certificate", func() bool {
		conn, err := tls.Dial("tcp", l.Addr().String(), asked)
		if err != nil {
			return false
		}
		defer conn.Close()
		leaf := conn.ConnectionState().PeerCertificates[0]
		return leaf.VerifyHostname("sign.example.test") == nil && leaf.Issuer.CommonName != ""
	})
	asked.ServerName = "other.example.test"
	if conn, err := tls.Dial("tcp", l.Addr().String(), asked); err == nil {
		conn.Close()
		t.Error("another name gets a certificate")
	}
	kept, err := os.ReadDir(filepath.Join(dir, "certificates"))
	if err != nil || len(kept) < 2 {
		t.Errorf("%d files are kept (account and certificate): %v", len(kept), err)
	}
}

// pebble runs Pebble and a name server that says that every name is this
// machine's, and returns the address of its directory. Names are proved on
// tlsPort.
func pebble(t *testing.T, dir string, tlsPort int) string {
	t.Helper()
	certFile, keyFile, roots := certtest.Files(t, dir, 1)
	transport := http.DefaultTransport.(*http.Transport)
	was := transport.TLSClientConfig
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	t.Cleanup(func() { transport.TLSClientConfig = was })
	dns, api, management, names := freePort(t), freePort(t), freePort(t), freePort(t)
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": api, "managementListenAddress": management, "certificate": certFile, "privateKey": keyFile,
		"httpPort": 1, "tlsPort": tlsPort, "retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles": map[string]any{"default": map[string]any{"description": "the only one", "validityPeriod": 7776000}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	process(t, filepath.Join(dir, "pebble-challtestsrv"), "-dnsserver", dns, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
		"-doh", "", "-http01", "", "-https01", "", "-tlsalpn01", "", "-management", names)
	process(t, filepath.Join(dir, "pebble"), "-config", file, "-dnsserver", dns)
	directory := "https://" + api + "/dir"
	wait(t, "Pebble to answer", func() bool {
		resp, err := http.Get(directory)
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	return directory
}

// process runs a program until the test ends.
func process(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0")
	said := &logtest.Buffer{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(program), said)
		}
	})
}

// freePort is an address of the loopback that nobody listens on, by TCP or UDP.
func freePort(t *testing.T) string {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		packets, err := net.ListenPacket("udp", addr)
		l.Close()
		if err == nil {
			packets.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}
