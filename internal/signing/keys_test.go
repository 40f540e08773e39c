package signing_test

import (
	"bytes"
	"encoding/pem"
	"os"
	"testing"

	"countersign/internal/config"
	"countersign/internal/signing"
	"countersign/internal/test/certtest"
)

// TestLoadSeal_ReadsTheChain reads a certificate with the one that it was issued by
// behind it, as authorities hand them out.
func TestLoadSeal_ReadsTheChain(t *testing.T) {
	dir := t.TempDir()
	certs, key, _ := certtest.Files(t, dir, 1)
	leaf, err := os.ReadFile(certs)
	if err != nil {
		t.Fatal(err)
	}
	other, _, _ := certtest.Files(t, t.TempDir(), 2)
	issuer, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(certs, append(leaf, issuer...), 0o600); err != nil {
		t.Fatal(err)
	}
	seal, err := signing.LoadSeal(config.Config{SealCert: certs, SealKey: key})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(issuer)
	if len(seal.Chain) != 1 || !bytes.Equal(seal.Chain[0].Raw, block.Bytes) {
		t.Errorf("%d certificates are behind the seal's", len(seal.Chain))
	}
}
