package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/digitorus/timestamp"

	"countersign/events"
	"countersign/internal/signing"
	"countersign/internal/test/certtest"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// TestServe_LetterDeliveryByLink has the signed letter fetched by a link in the mails that
// say so; the person in cc never gets a link that signs.
func TestServe_LetterDeliveryByLink(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir, "COUNTERSIGN_LETTER_DELIVERY=link"))
	w.says("read to its end")
	x.say(events.Created("/test", "c", testAccount, testPX(1), workflow.Created{
		AddressSID: "AD00000000000000000000000000000001", Email: "olivia@example.com", CCEmails: []string{"ops@example.com"}, HostedNumberOrders: numbered(testHR(1)),
	}))
	s := x.signer(w.address("public"), testPX(1), 1)
	s.must("POST", "", s.form("sign"), 200)
	x.rest(dir)
	doc := x.document(dir, testPX(1))
	download := regexp.MustCompile(`https?://[^/\s]+(/letter/(\S+))`)
	told := 0
	for _, m := range x.box.Mails() {
		if m.To[0] == "ops@example.com" && strings.Contains(string(m.Raw), "/sign/") {
			t.Error("a person in cc has a link to sign")
		}
		link := download.FindStringSubmatch(m.Text)
		if !strings.Contains(m.MessageID, ".signed.") {
			if link != nil {
				t.Errorf("%s has a link to the letter", m.MessageID)
			}
			continue
		}
		if link == nil || len(attached(t, m)) != 0 {
			t.Fatalf("the mail to %s has no link to the letter, or has the letter:\n%s", m.To[0], m.Text)
		}
		told++
		get := func(path string) (int, string) { return get(t, "http://"+w.address("public")+path) }
		if code, body := get(link[1]); code != 200 || signing.Digest([]byte(body)) != doc.LetterDigest {
			t.Errorf("the link brings %d and %d bytes", code, len(body))
		}
		if code, _ := get("/sign/" + link[2]); code != 404 {
			t.Errorf("the signing page takes it: %d", code)
		}
	}
	if told != 2 {
		t.Errorf("%d mails say that it is signed", told)
	}
	w.end()
	if strings.Contains(w.log.String(), "/letter/") {
		t.Error("a link is in the log")
	}
}

// timeStamps is a time-stamp authority on a loopback address; it is away while
// the returned flag is set.
func timeStamps(t *testing.T) (url string, away *atomic.Bool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "Example Time"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
	}
	certificate := certtest.Sign(t, template, key, template, key)
	away = new(atomic.Bool)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := io.ReadAll(r.Body)
		if err != nil || away.Load() {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		asked, err := timestamp.ParseRequest(query)
		if err != nil {
			t.Error(err)
			return
		}
		stamp := timestamp.Timestamp{
			HashAlgorithm: asked.HashAlgorithm, HashedMessage: asked.HashedMessage, Nonce: asked.Nonce, Time: time.Now(),
			Policy: asn1.ObjectIdentifier{1, 2, 3, 4}, AddTSACertificate: asked.Certificates,
		}
		reply, err := stamp.CreateResponseWithOpts(certificate, key, crypto.SHA256)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(reply)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, away
}

// TestServe_SignsWhileTimeStampAuthorityIsAway has one letter sealed with a time stamp, and another one
// without it, because the authority is away: it is signed all the same.
func TestServe_SignsWhileTimeStampAuthorityIsAway(t *testing.T) {
	x, dir, out := newTown(t), t.TempDir(), t.TempDir()
	url, away := timeStamps(t)
	w := start(t, x.env(dir, "COUNTERSIGN_TSA_URL="+url))
	w.says("read to its end")
	x.create(1, 2, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 2)
	for n, want := range []bool{true, false} {
		away.Store(!want)
		s := x.signer(w.address("public"), testPX(n+1), 1)
		if page := s.must("POST", "", s.form("sign"), 200); !strings.Contains(page, "Thank you") {
			t.Errorf("the answer:\n%s", page)
		}
		x.rest(dir)
		if seal := said(t, []byte(s.must("GET", "/letter.pdf", nil, 200)), "pdfsig"); !strings.Contains(seal, "Signature is Valid") || !strings.Contains(seal, "Total document signed") {
			t.Errorf("pdfsig says:\n%s", seal)
		}
		told := x.must(dir, "evidence", string(testPX(n+1)), "-o", filepath.Join(out, string(testPX(n+1))))
		if strings.Contains(told, "by a time-stamp authority") != want {
			t.Errorf("with a time stamp: want %t\n%s", want, told)
		}
		if strings.Contains(w.log.String(), "sealed without a time stamp") == want {
			t.Errorf("with a time stamp: want %t, and the log says\n%s", want, w.log)
		}
	}
	w.end()
}

// TestServe_LostLetterIsReported removes a letter from the store: the log says so, and
// the page does not say that there never was one.
func TestServe_LostLetterIsReported(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(1, 1, "signer-%d@example.com")
	s := x.signer(w.address("public"), testPX(1), 1)
	s.must("POST", "", s.form("sign"), 200)
	x.rest(dir)
	if err := eventstest.Open(t, x.nc, 1).RemoveLetters(t.Context(), testPX(1)); err != nil {
		t.Fatal(err)
	}
	if page := s.must("GET", "/letter.pdf", nil, 503); !strings.Contains(page, "cannot be shown just now") {
		t.Errorf("the page says\n%s", page)
	}
	w.says("is gone from the object store")
	w.end()
}

// TestServe_SignsWithExpiredSealAndSaysSo has the letter signed all the same, and says so.
func TestServe_SignsWithExpiredSealAndSaysSo(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	old, _ := certtest.New(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	key, err := x509.MarshalPKCS8PrivateKey(old.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	w := start(t, x.env(dir, "COUNTERSIGN_SEAL_CERT="+write("seal.pem", "CERTIFICATE", old.Certificate[0]), "COUNTERSIGN_SEAL_KEY="+write("seal.key", "PRIVATE KEY", key)))
	w.says("read to its end")
	x.create(1, 1, "signer-%d@example.com")
	s := x.signer(w.address("public"), testPX(1), 1)
	if page := s.must("POST", "", s.form("sign"), 200); !strings.Contains(page, "Thank you") {
		t.Errorf("the answer:\n%s", page)
	}
	w.says("a certificate that is not valid now")
	x.rest(dir)
	w.end()
}
