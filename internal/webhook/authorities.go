package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// Authorities returns settings that trust the authorities in a PEM file; nil, which
// trusts those of the system, if there is no file.
func Authorities(file string) (*tls.Config, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s must hold at least one certificate (PEM)", file)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}
