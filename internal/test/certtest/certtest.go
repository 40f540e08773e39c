// Package certtest makes certificates for tests.
package certtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// New makes a certificate, good for an hour, for 127.0.0.1 and localhost, and
// what trusts it. Each edit changes it before it signs itself.
func New(t testing.TB, edits ...func(*x509.Certificate)) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	for _, edit := range edits {
		edit(template)
	}
	leaf := Sign(t, template, key, template, key)
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}, roots
}

// Sign makes the certificate of a key from a template, in the name of a parent,
// which has a key of its own. One that signs itself is its own parent.
func Sign(t testing.TB, template *x509.Certificate, key crypto.Signer, parent *x509.Certificate, by crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// Files writes cert.pem and key.pem of a new certificate with this serial
// number into dir, in place of those that are there. It returns their paths and
// what trusts the certificate.
func Files(t testing.TB, dir string, serial int64) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	cert, roots := New(t, func(c *x509.Certificate) { c.SerialNumber = big.NewInt(serial) })
	private, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	replace(t, certFile, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
	replace(t, keyFile, &pem.Block{Type: "PRIVATE KEY", Bytes: private})
	return certFile, keyFile, roots
}

// replace puts a whole new file in the place of an old one, as tools that
// renew certificates do.
func replace(t testing.TB, name string, block *pem.Block) {
	t.Helper()
	if err := os.WriteFile(name+".new", pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}
