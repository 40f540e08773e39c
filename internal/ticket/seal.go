package ticket

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"countersign/internal/private"
)

// sealYears is how long the certificate of a seal that MakeSeal made is valid.
const sealYears = 20

// seal is how the keys file holds the key that seals letters.
type seal struct {
	Key         []byte    `json:"key"`              // PKCS #8, base64
	Certificate []byte    `json:"certificate"`      // X.509, base64
	Created     time.Time `json:"created,omitzero"` // for people
}

// ErrNoSeal means that a keys file has no key that seals letters.
var ErrNoSeal = errors.New("the key that seals letters is missing")

// LoadSeal reads the key that seals letters, and its certificate, from the keys
// file, under "seal". It fails with ErrNoSeal if they are missing. The error names
// the file and says what to do.
func LoadSeal(path string) (*x509.Certificate, crypto.Signer, error) {
	s, err := readSeal(path)
	if err == nil && s == nil {
		err = ErrNoSeal
	}
	if err != nil {
		return nil, nil, fmt.Errorf("keys file %s: %w", path, err)
	}
	certificate, key, err := s.parse()
	if err != nil {
		return nil, nil, fmt.Errorf(`keys file %s: the value of "seal" is damaged: %w: restore the file from a backup, or remove "seal" and start once with --new-keys`, path, err)
	}
	return certificate, key, nil
}

// MakeSeal adds a key that seals letters to the keys file, which must be there,
// unless it has one. If several processes do so at once, one adds it. Its certificate
// holds the name.
func MakeSeal(path, name string) error {
	if err := addSeal(path, name); err != nil {
		return fmt.Errorf("keys file %s: add a key that seals letters: %w: make the file and its directory writable for one start, or set seal-cert and seal-key", path, err)
	}
	return nil
}

// readSeal returns nil if the file has no seal.
func readSeal(path string) (*seal, error) {
	data, err := private.Read(path, maxFileLen)
	if err != nil {
		return nil, err
	}
	var f struct {
		Seal *seal `json:"seal"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("the file is damaged: %w", err)
	}
	return f.Seal, nil
}

func (s *seal) parse() (*x509.Certificate, crypto.Signer, error) {
	certificate, err := x509.ParseCertificate(s.Certificate)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(s.Key)
	if err != nil {
		return nil, nil, err
	}
	key, ok := parsed.(crypto.Signer)
	public, comparable := certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !comparable || !public.Equal(key.Public()) {
		return nil, nil, errors.New("the key does not belong to the certificate")
	}
	return certificate, key, nil
}

// addSeal adds a fresh seal to the file, unless it has one.
func addSeal(path, name string) error {
	return rewrite(path, func(kinds map[string]json.RawMessage) error {
		if kinds["seal"] != nil {
			return nil
		}
		fresh, err := newSeal(name, time.Now().UTC().Truncate(time.Second))
		if err != nil {
			return err
		}
		kinds["seal"], err = json.Marshal(fresh)
		return err
	})
}

// newSeal makes a key and a certificate that it signs itself.
func newSeal(name string, now time.Time) (*seal, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial := make([]byte, 16)
	rand.Read(serial) // never fails
	serial[0] &= 0x7f // RFC 5280, section 4.1.2.2: positive
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: now.AddDate(-1, 0, 0), // this machine's clock may be ahead of the log's, by which letters are signed
		NotAfter:  now.AddDate(sealYears, 0, 0),
		KeyUsage:  x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
	}
	s := &seal{Created: now}
	if s.Certificate, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key); err != nil {
		return nil, err
	}
	s.Key, err = x509.MarshalPKCS8PrivateKey(key)
	return s, err
}
