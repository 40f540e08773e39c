package httpd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"countersign/internal/private"
)

// FromFiles is TLS with a certificate and its key in PEM files. They are read again
// within a second after a change, without a restart. If they cannot be read then, the
// old certificate stays in use and the error is logged. FromFiles fails if they cannot
// be read now, and if other users can read the key or change it (private.Check).
// reload reads them at once, without waiting for a connection, and fails if they
// cannot be used.
func FromFiles(certFile, keyFile string, logger *slog.Logger) (c *tls.Config, reload func() error, err error) {
	served := false
	read := func() (*tls.Certificate, error) {
		cert, err := readPair(certFile, keyFile)
		if err != nil {
			return nil, err
		}
		if served {
			logger.Info("a new TLS certificate is in use", "expires", cert.Leaf.NotAfter)
		}
		served = true
		return &cert, nil
	}
	failed := func(err error) {
		if served {
			logger.Error("the new TLS certificate cannot be used; the old one stays in use", "err", err)
		}
	}
	pair := private.Watch(time.Now, read, failed, certFile, keyFile)
	if _, err := pair.Reload(); err != nil {
		return nil, nil, err
	}
	reload = func() error {
		_, err := pair.Reload()
		return err
	}
	get := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.Get(), nil }
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: get}, reload, nil
}

func readPair(certFile, keyFile string) (tls.Certificate, error) {
	if err := private.CheckFile(keyFile); errors.Is(err, private.ErrOpen) {
		return tls.Certificate{}, fmt.Errorf("read the TLS key %s: %w", keyFile, err)
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return cert, fmt.Errorf("read the TLS certificate: %w", err)
	}
	return cert, nil
}

// FromACME is TLS with certificates for one host name that are fetched from a
// certificate authority by ACME (RFC 8555), kept in dir, and renewed before they
// expire. The authority proves the name by connecting to its port 443 (TLS-ALPN-01,
// RFC 8737), which must lead to this server. The caller agrees to the authority's
// terms.
func FromACME(host, dir, directoryURL string) (*tls.Config, error) {
	if host == "" {
		return nil, errors.New("fetch TLS certificates: the host name must not be empty")
	}
	m := &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(dir), HostPolicy: autocert.HostWhitelist(host),
		Client: &acme.Client{DirectoryURL: directoryURL, UserAgent: "countersign"},
	}
	c := m.TLSConfig()
	c.MinVersion = tls.VersionTLS12
	return c, nil
}
