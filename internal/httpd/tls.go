package httpd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"countersign/internal/private"
)

// FromFiles is TLS with a certificate and its key in PEM files. They are read
// again when they change, within a second, without a restart: where what is
// there then cannot be read the old certificate goes on, and the log says so.
// It fails if they cannot be read now, and if other users can read the key or
// change it (private.Check). reload reads them at once, without waiting for a
// connection, and fails if they cannot be used.
func FromFiles(certFile, keyFile string, logger *slog.Logger) (c *tls.Config, reload func() error, err error) {
	p := &pair{certFile: certFile, keyFile: keyFile, logger: logger}
	if err := p.read(); err != nil {
		return nil, nil, err
	}
	reload = func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.infos = [2]fs.FileInfo{}
		return p.read()
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: p.get}, reload, nil
}

// lookEvery is how often the files are looked at, while somebody connects.
const lookEvery = time.Second

// pair is a certificate and its key on disk.
type pair struct {
	certFile, keyFile string
	logger            *slog.Logger

	mu     sync.Mutex
	looked time.Time
	infos  [2]fs.FileInfo // of what was read or tried last
	cert   *tls.Certificate
}

func (p *pair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.looked) >= lookEvery {
		if err := p.read(); err != nil {
			p.logger.Error("the new TLS certificate cannot be used; the old one goes on", "err", err)
		}
	}
	return p.cert, nil
}

// read reads the files if they are others than before.
func (p *pair) read() error {
	p.looked = time.Now()
	var infos [2]fs.FileInfo
	changed := false
	for i, name := range []string{p.certFile, p.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("read the TLS certificate: %w", err)
		}
		old := p.infos[i]
		changed = changed || old == nil || !private.Same(old, info)
		infos[i] = info
	}
	if !changed {
		return nil
	}
	p.infos = infos
	if err := private.Check(p.keyFile, infos[1]); err != nil {
		return fmt.Errorf("read the TLS key %s: %w", p.keyFile, err)
	}
	cert, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	if err != nil {
		return fmt.Errorf("read the TLS certificate: %w", err)
	}
	if p.cert != nil {
		p.logger.Info("a new TLS certificate is in use", "expires", cert.Leaf.NotAfter)
	}
	p.cert = &cert
	return nil
}

// FromACME is TLS with certificates for one host name that are fetched from a
// certificate authority by ACME (RFC 8555), kept in dir, and fetched anew
// before they expire. The authority proves the name by connecting to its port
// 443 (TLS-ALPN-01, RFC 8737), which has to lead to this server. Whoever calls
// it agrees to the authority's terms.
func FromACME(host, dir, directoryURL string) (*tls.Config, error) {
	if host == "" {
		return nil, errors.New("fetch TLS certificates: no host name to fetch them for")
	}
	m := &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(dir), HostPolicy: autocert.HostWhitelist(host),
		Client: &acme.Client{DirectoryURL: directoryURL, UserAgent: "countersign"},
	}
	c := m.TLSConfig()
	c.MinVersion = tls.VersionTLS12
	return c, nil
}
