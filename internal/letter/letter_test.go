package letter_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/letter"
	"countersign/internal/loa"
	"countersign/internal/test/certtest"
	"countersign/workflow"
)

var at = time.Date(2026, 11, 24, 15, 4, 5, 0, time.UTC)

// content is a signed letter with everything on it.
func content(language string, numbers int) letter.Content {
	c := letter.Content{
		Words: loa.Of("Example Messaging", language), Document: "PX000102030405060708090a0b0c0d0e0f", Created: at.Add(-time.Hour),
		Provider: "Example Messaging", Subscriber: "Zoë's Bäckerei & Söhne", Address: "12 Main Street\nSpringfield, IL 62701\nUSA",
		Email: "zoe@example.com", Title: "Owner", Phone: "+14155550100",
		Signed: &letter.Signature{Name: "Zoë Łukasz-Παπαδοπούλου", Title: "Owner", At: at, Zone: "America/Chicago"},
		Evidence: []letter.Step{
			{At: at.Add(-time.Hour), What: "sent to the signer", More: []string{"mail PX000102030405060708090a0b0c0d0e0f.1.signature.0", "250 2.0.0 queued as 4711"}},
			{At: at, What: "signed", More: []string{"192.0.2.7", "Mozilla/5.0 (X11; Linux x86_64) " + strings.Repeat("long agent ", 20), "sha256:" + strings.Repeat("ab", 32)}},
		},
	}
	for i := range numbers {
		o := workflow.Order{SID: workflow.SID(fmt.Sprintf("HR%032x", i)), PhoneNumber: fmt.Sprintf("+1415555%04d", i)}
		switch i % 7 {
		case 3:
			o.PhoneNumber = ""
		case 4:
			o.CurrentCarrier = "Prairie Telephone"
		case 5:
			o.CurrentCarrier = strings.Repeat("Long Distance Carrier 255 ", 9)
		}
		c.Numbers = append(c.Numbers, o)
	}
	return c
}

func write(t *testing.T, c letter.Content) []byte {
	t.Helper()
	pdf, err := letter.Write(c)
	if err != nil {
		t.Fatal(err)
	}
	return pdf
}

// run runs one of poppler's programs on a PDF; make test installs them.
func run(t *testing.T, pdf []byte, program string, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "letter.pdf")
	if err := os.WriteFile(file, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, arg := range args {
		if arg == "PDF" {
			args[i] = file
		}
	}
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if err != nil && program != "pdfsig" { // which also fails if it does not know the signer
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}

// squeezed is text without line breaks, as a reader sees it.
func squeezed(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestWrite_SaysEverything(t *testing.T) {
	for _, language := range loa.Languages() {
		c := content(language, 8)
		text := squeezed(run(t, write(t, c), "pdftotext", "-layout", "PDF", "-"))
		flow := squeezed(run(t, write(t, c), "pdftotext", "PDF", "-"))
		w := c.Words
		want := []string{
			w.Title, w.Subtitle, w.Authority, w.Scope, w.NotAPort, w.Validity, w.Consent, w.WordsVersion + " " + loa.Version,
			c.Provider, c.Subscriber, "12 Main Street", "Springfield, IL 62701", "Prairie Telephone", "Long Distance Carrier 255 Long Distance", c.Signed.Name, c.Email, "(415) 555-0100",
			w.SignedBy, "2026-11-24 15:04:05 UTC", "2026-11-24 09:04:05 -06:00 America/Chicago", w.Evidence, "250 2.0.0 queued as 4711",
			"192.0.2.7", "sha256:" + strings.Repeat("ab", 32), string(c.Document), w.OrderUnknown,
		}
		for _, o := range c.Numbers {
			want = append(want, string(o.SID))
		}
		for _, s := range want {
			if !strings.Contains(text, squeezed(s)) && !strings.Contains(flow, squeezed(s)) {
				t.Errorf("%s: %q is not in the letter:\n%s", language, s, flow)
			}
		}
	}
}

func TestWrite_UnsignedLetterSaysSo(t *testing.T) {
	c := content("en", 1)
	c.Signed, c.Subscriber = nil, ""
	text := run(t, write(t, c), "pdftotext", "PDF", "-")
	for _, s := range []string{c.Words.NotSigned, c.Words.NotGiven} {
		if !strings.Contains(text, s) {
			t.Errorf("%q is not in it:\n%s", s, text)
		}
	}
	if strings.Contains(text, c.Words.Evidence) {
		t.Error("it has evidence of a signature")
	}
}

func TestWrite_SameContentIsTheSameBytes(t *testing.T) {
	c := content("es", 200)
	c.Signed.Drawn = drawn(t)
	a, b := write(t, c), write(t, c)
	if !bytes.Equal(a, b) {
		t.Error("two letters of the same content differ")
	}
	c.Signed.Name += "x"
	if bytes.Equal(a, write(t, c)) {
		t.Error("another name is the same letter")
	}
	if info := squeezed(run(t, a, "pdfinfo", "PDF")); !strings.Contains(info, "Pages: 12 ") {
		t.Errorf("200 orders make %s", info)
	}
}

func TestWrite_InvalidDrawingIsRefused(t *testing.T) {
	c := content("en", 1)
	c.Signed.Drawn = []byte("not a picture")
	if _, err := letter.Write(c); err == nil || !strings.Contains(err.Error(), string(c.Document)) {
		t.Errorf("got %v", err)
	}
}

// drawn is a small picture of a line.
func drawn(t *testing.T) []byte {
	t.Helper()
	picture := image.NewGray(image.Rect(0, 0, 120, 40))
	for x := range 120 {
		for y := range 40 {
			picture.SetGray(x, y, color.Gray{Y: 255})
		}
		picture.SetGray(x, 20+x%7, color.Gray{})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// seals makes a seal with a fresh key.
func seals(t *testing.T, key crypto.Signer) letter.Seal {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Müller (Test) Seal"}, NotBefore: at.Add(-time.Hour), NotAfter: at.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
	}
	cert := certtest.Sign(t, template, key, template, key)
	return letter.Seal{Certificate: cert, Key: key}
}

func TestCheck_SealIsValidAndBreaks(t *testing.T) {
	for name, key := range keys(t) {
		t.Run(name, func(t *testing.T) {
			pdf := write(t, content("en", 12))
			sealed, err := seals(t, key).Apply(pdf, at, nil)
			if err != nil {
				t.Fatal(err)
			}
			said := run(t, sealed, "pdfsig", "-nocert", "PDF")
			for _, s := range []string{"Signature is Valid", "Total document signed", "ETSI.CAdES.detached", "Müller (Test) Seal"} {
				if !strings.Contains(said, s) {
					t.Errorf("pdfsig does not say %q:\n%s", s, said)
				}
			}
			if !bytes.HasPrefix(sealed, pdf) {
				t.Error("the seal changed the letter itself")
			}
			// A byte of the text, of the letter's end, and of the update.
			for _, i := range []int{len(pdf) / 3, len(pdf) - 20, len(pdf) + 200} {
				broken := bytes.Clone(sealed)
				broken[i] ^= 1
				if said := run(t, broken, "pdfsig", "-nocert", "PDF"); strings.Contains(said, "Signature is Valid") {
					t.Errorf("byte %d flipped, and pdfsig says:\n%s", i, said)
				}
			}
		})
	}
}

func TestApply_RefusesWhatIsNoLetter(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, pdf := range []string{"", "no PDF", "trailer", "%PDF-1.3\ntrailer\n<<\n/Size 3\n/Root 1 0 R\n/Info 2 0 R\n>>\nstartxref\n9\n%%EOF\n"} {
		if _, err := seals(t, key).Apply([]byte(pdf), at, nil); err == nil {
			t.Errorf("%q is sealed", pdf)
		}
	}
}

// TestCheckSignature_EveryByteCounts flips each byte of a detached signature, and
// of what was signed.
func TestCheckSignature_EveryByteCounts(t *testing.T) {
	for name, key := range keys(t) {
		t.Run(name, func(t *testing.T) {
			s, content := seals(t, key), []byte("what is signed")
			signed, err := s.Sign(content)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := s.Sign(content); err != nil || !bytes.Equal(signed, again) {
				t.Errorf("signed again it is another signature, %v", err)
			}
			if by, err := letter.CheckSignature(content, signed); err != nil || !by.Equal(s.Certificate) {
				t.Fatalf("the signature itself: %v", err)
			}
			for i := range signed {
				broken := bytes.Clone(signed)
				broken[i] ^= 1
				if _, err := letter.CheckSignature(content, broken); err == nil {
					t.Errorf("byte %d of the signature flipped, and it is still good", i)
				}
			}
			if _, err := letter.CheckSignature([]byte("what is Signed"), signed); !errors.Is(err, letter.ErrOtherContent) {
				t.Errorf("other content: %v", err)
			}
			for _, junk := range [][]byte{nil, []byte("junk"), signed[:len(signed)-1], append(bytes.Clone(signed), 0)} {
				if _, err := letter.CheckSignature(content, junk); !errors.Is(err, letter.ErrNoSignature) {
					t.Errorf("%d bytes: %v", len(junk), err)
				}
			}
		})
	}
}

// TestCheck_EveryByteCounts flips bytes all over a letter.
func TestCheck_EveryByteCounts(t *testing.T) {
	for name, key := range keys(t) {
		t.Run(name, func(t *testing.T) {
			s, pdf := seals(t, key), write(t, content("en", 1))
			sealed, err := s.Apply(pdf, at, nil)
			if err != nil {
				t.Fatal(err)
			}
			if by, err := letter.Check(sealed); err != nil || !by.Certificate.Equal(s.Certificate) {
				t.Fatalf("the letter itself: %v", err)
			}
			contents := bytes.LastIndex(sealed, []byte("/Contents <")) + len("/Contents <")
			for i := 0; i < len(sealed); i += 97 {
				if i >= contents && i < contents+4<<10 {
					continue // not every byte around a signature is signed; the digest of the letter is on the log
				}
				broken := bytes.Clone(sealed)
				broken[i] ^= 1
				if _, err := letter.Check(broken); err == nil {
					t.Errorf("byte %d of %d flipped, and the seal is still good", i, len(sealed))
				}
			}
			for what, broken := range map[string][]byte{
				"no seal": pdf, "nothing": nil, "more behind it": append(bytes.Clone(sealed), "more"...), "cut off": sealed[:len(sealed)-9],
			} {
				if _, err := letter.Check(broken); err == nil {
					t.Errorf("%s: the seal is good", what)
				}
			}
		})
	}
}

func keys(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"ECDSA": elliptical, "RSA": rsaKey}
}
