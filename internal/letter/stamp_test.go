package letter_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/digitorus/timestamp"

	"countersign/internal/letter"
	"countersign/internal/test/certtest"
)

// authority is a time-stamp authority on a loopback address, by OpenSSL. Its
// first answers may be others.
type authority struct {
	url   string
	asked atomic.Int32
}

func newAuthority(t *testing.T, first ...http.HandlerFunc) *authority {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	openssl := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %s: %v\n%s", args[0], err, out)
		}
	}
	openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", at("key.pem"), "-out", at("cert.pem"), "-days", "30",
		"-subj", "/CN=Example Time", "-addext", "extendedKeyUsage=critical,timeStamping")
	settings := `[tsa]
default_tsa = one
[one]
serial = ` + at("serial") + `
signer_cert = ` + at("cert.pem") + `
signer_key = ` + at("key.pem") + `
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
`
	if err := errors.Join(os.WriteFile(at("tsa.cnf"), []byte(settings), 0o600), os.WriteFile(at("serial"), []byte("01\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	a := &authority{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := int(a.asked.Add(1)); n <= len(first) {
			first[n-1](w, r)
			return
		}
		query, err := io.ReadAll(r.Body)
		if err == nil {
			err = os.WriteFile(at("query"), query, 0o600)
		}
		if err != nil || r.Header.Get("Content-Type") != "application/timestamp-query" {
			t.Errorf("%v, %s", err, r.Header.Get("Content-Type"))
		}
		openssl("ts", "-reply", "-config", at("tsa.cnf"), "-section", "one", "-queryfile", at("query"), "-out", at("reply"))
		http.ServeFile(w, r, at("reply"))
	}))
	t.Cleanup(srv.Close)
	a.url = srv.URL
	return a
}

// stamps asks the authority for at most so long.
func stamps(t *testing.T, url string, most time.Duration) func([]byte) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	t.Cleanup(cancel)
	return func(signature []byte) ([]byte, error) {
		return letter.Authority{URL: url, Try: 10 * time.Second, Between: time.Millisecond}.Stamp(ctx, signature)
	}
}

// TestApply_SealWithATimeStamp has a letter stamped by an authority that fails at
// first in each way that there is.
func TestApply_SealWithATimeStamp(t *testing.T) {
	reply := newAuthority(t)
	var old []byte // a good answer to another question
	if _, err := seals(t, keys(t)["ECDSA"]).Apply(write(t, content("en", 1)), at, func(s []byte) ([]byte, error) {
		var err error
		old, err = stamps(t, reply.url, time.Minute)(s)
		return old, err
	}); err != nil {
		t.Fatal(err)
	}
	for name, key := range keys(t) {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t,
				func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
				func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "not a reply") },
				func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte{0x30}, 1<<20)) },
				func(w http.ResponseWriter, _ *http.Request) { // granted, and of another signature
					_, _ = w.Write(append([]byte{0x30, 0x82, byte((len(old) + 5) >> 8), byte(len(old) + 5), 0x30, 0x03, 0x02, 0x01, 0x00}, old...))
				},
			)
			s, pdf := seals(t, key), write(t, content("en", 12))
			sealed, err := s.Apply(pdf, at, stamps(t, a.url, time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			if n := a.asked.Load(); n != 5 {
				t.Errorf("it was asked %d times", n)
			}
			by, err := letter.Check(sealed)
			if err != nil || !by.Certificate.Equal(s.Certificate) || by.Stamped.IsZero() {
				t.Errorf("the seal: %+v, %v", by, err)
			}
			said := run(t, sealed, "pdfsig", "-nocert", "PDF")
			for _, s := range []string{"Signature is Valid", "Total document signed", "ETSI.CAdES.detached"} {
				if !strings.Contains(said, s) {
					t.Errorf("pdfsig does not say %q:\n%s", s, said)
				}
			}
			broken := bytes.Clone(sealed)
			broken[len(pdf)/2] ^= 1
			if _, err := letter.Check(broken); !errors.Is(err, letter.ErrOtherContent) {
				t.Errorf("a byte flipped: %v", err)
			}
		})
	}
}

// TestCheck_TimeStampOfOtherContentIsRefused puts a good time stamp on another signature.
func TestCheck_TimeStampOfOtherContentIsRefused(t *testing.T) {
	a, s := newAuthority(t), seals(t, keys(t)["ECDSA"])
	sealed, err := s.Apply(write(t, content("en", 1)), at, func([]byte) ([]byte, error) {
		return stamps(t, a.url, time.Minute)([]byte("another signature"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := letter.Check(sealed); !errors.Is(err, letter.ErrNoSignature) || !strings.Contains(err.Error(), "of other content") {
		t.Errorf("it is taken: %v", err)
	}
}

// TestStamp_AuthorityThatIsAway ends in time, with an error that says so.
func TestStamp_AuthorityThatIsAway(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server would not notice that the client leaves
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for name, url := range map[string]string{"silent": silent.URL, "gone": gone.URL} {
		pdf := write(t, content("en", 1))
		if _, err := seals(t, keys(t)["ECDSA"]).Apply(pdf, at, stamps(t, url, 200*time.Millisecond)); !errors.Is(err, letter.ErrNotStamped) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestStamp_TooLongIsRefused: the letter has no room for the stamp, so it must be
// sealed without one.
func TestStamp_TooLongIsRefused(t *testing.T) {
	key := keys(t)["ECDSA"]
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "Example Time"}, NotBefore: at.Add(-time.Hour), NotAfter: at.AddDate(10, 0, 0),
		ExtKeyUsage:     []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: bytes.Repeat([]byte{5}, 30<<10)}},
	}
	certificate := certtest.Sign(t, template, key, template, key)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	asks := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asks++; asks > 1 { // the first answer has been read
			stop()
		}
		query, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked, err := timestamp.ParseRequest(query)
		if err != nil {
			t.Error(err)
			return
		}
		reply, err := (&timestamp.Timestamp{
			HashAlgorithm: asked.HashAlgorithm, HashedMessage: asked.HashedMessage, Nonce: asked.Nonce, Time: at,
			Policy: asn1.ObjectIdentifier{1, 2, 3, 4}, AddTSACertificate: true,
		}).CreateResponseWithOpts(certificate, key, crypto.SHA256)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(reply)
	}))
	t.Cleanup(srv.Close)
	authority := letter.Authority{URL: srv.URL, Try: 10 * time.Second, Between: time.Millisecond}
	_, err := seals(t, key).Apply(write(t, content("en", 1)), at, func(signature []byte) ([]byte, error) { return authority.Stamp(ctx, signature) })
	if !errors.Is(err, letter.ErrNotStamped) || !strings.Contains(err.Error(), "more than 16384 bytes") {
		t.Errorf("%v", err)
	}
}
