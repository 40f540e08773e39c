package ticket_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/ticket"
)

// withKeys makes a keys file, and the keys in it.
func withKeys(t *testing.T) (string, *ticket.Keys) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	keys, err := ticket.LoadKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, keys
}

// sealed makes a seal, and loads it.
func sealed(path, name string) (*x509.Certificate, crypto.Signer, error) {
	if err := ticket.MakeSeal(path, name); err != nil {
		return nil, nil, err
	}
	return ticket.LoadSeal(path)
}

func TestMakeSeal_MakesOneForAll(t *testing.T) {
	path, keys := withKeys(t)
	if _, _, err := ticket.LoadSeal(path); !errors.Is(err, ticket.ErrNoSeal) || !strings.Contains(err.Error(), path) {
		t.Errorf("without a seal: %v", err)
	}
	certificates := make([][]byte, 16)
	var wg sync.WaitGroup
	for i := range certificates {
		wg.Go(func() {
			certificate, key, err := sealed(path, "Example Messaging")
			if err != nil {
				t.Error(err)
				return
			}
			if certificate.Subject.CommonName != "Example Messaging" || key == nil || time.Since(certificate.NotBefore) < 300*24*time.Hour {
				t.Errorf("the seal is %s's, valid from %s", certificate.Subject, certificate.NotBefore)
			}
			certificates[i] = certificate.Raw
		})
	}
	wg.Wait()
	for i := range certificates {
		if !bytes.Equal(certificates[i], certificates[0]) {
			t.Errorf("start %d has another seal than start 0", i)
		}
	}
	again, err := ticket.LoadKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	if issue(t, keys, claims) != issue(t, again, claims) {
		t.Error("the links' keys changed")
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 2 {
		t.Errorf("%d files in the directory, want the keys file and its lock", len(left))
	}
}

func TestLoadSeal_DamagedSealNamesTheFix(t *testing.T) {
	path, _ := withKeys(t)
	other, _ := withKeys(t)
	for _, p := range []string{path, other} {
		if _, _, err := sealed(p, "x"); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"another's key": strings.Replace(string(data), member(t, data, "certificate"), member(t, theirs, "certificate"), 1),
		"no key":        strings.Replace(string(data), `"certificate": `, `"certificat": `, 1),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := ticket.LoadSeal(path); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "remove \"seal\"") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// member is the text of a member of a JSON object.
func member(t *testing.T, data []byte, name string) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(data), `"`+name+`": "`)
	if !ok {
		t.Fatalf("no %s", name)
	}
	text, _, _ := strings.Cut(rest, `"`)
	return text
}
