package letter_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"image"
	"image/png"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"countersign/internal/letter"
	"countersign/internal/test/certtest"
)

// TestWrite_NoNameIsTheNumberOfPages has names that PDF libraries replace by it.
func TestWrite_NoNameIsTheNumberOfPages(t *testing.T) {
	c := content("en", 1)
	c.Signed.Name = "Zoë {n} {nb} Owner"
	text := squeezed(run(t, write(t, c), "pdftotext", "PDF", "-"))
	for _, want := range []string{c.Signed.Name, "Page 1 / 3", "Page 3 / 3"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in it:\n%s", want, text)
		}
	}
}

// TestWrite_DrawingCannotChangeTheLetter has a signer draw something whose bytes
// look like the root of the PDF, with a script in it.
func TestWrite_DrawingCannotChangeTheLetter(t *testing.T) {
	c := content("en", 1)
	c.Signed.Drawn = drawn(t)
	root := regexp.MustCompile(`/Root (\d+) 0 R`).FindSubmatch(write(t, c))
	if root == nil {
		t.Fatal("no root")
	}
	forged := fmt.Sprintf("\n%s 0 obj\n<< /Type /Catalog /Pages 1 0 R /OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >> >>\nendobj\n", root[1])
	picture := image.NewGray(image.Rect(0, 0, len(forged), 2))
	copy(picture.Pix, forged)
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.NoCompression}).Encode(&b, picture); err != nil { // as it comes out where nothing can be compressed
		t.Fatal(err)
	}
	c.Signed.Drawn = b.Bytes()
	pdf := write(t, c)
	if !bytes.Contains(pdf, []byte(forged)) {
		t.Fatal("the drawing is not in the letter as it was drawn")
	}
	sealed, err := seals(t, keys(t)["ECDSA"]).Apply(pdf, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	if update := sealed[len(pdf):]; bytes.Contains(update, []byte("JavaScript")) || !bytes.Contains(update, []byte("/Type /Catalog")) {
		t.Errorf("the seal adds\n%.600s", update)
	}
	if said := run(t, sealed, "pdfsig", "-nocert", "PDF"); !strings.Contains(said, "Signature is Valid") {
		t.Errorf("pdfsig says\n%s", said)
	}
}

// TestApply_ChainIsInTheSeal has the seal's certificate from an authority under
// another one, of which a reader knows the upper one alone.
func TestApply_ChainIsInTheSeal(t *testing.T) {
	dir := t.TempDir()
	issue := func(name string, parent letter.Seal) letter.Seal {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(len(name))), Subject: pkix.Name{CommonName: name}, NotBefore: at.AddDate(-1, 0, 0), NotAfter: at.AddDate(10, 0, 0),
			KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: name != "Seal", BasicConstraintsValid: true,
		}
		if parent.Certificate == nil {
			parent = letter.Seal{Certificate: template, Key: key}
		}
		certificate := certtest.Sign(t, template, key, parent.Certificate, parent.Key)
		return letter.Seal{Certificate: certificate, Key: key}
	}
	root := issue("The root", letter.Seal{})
	between := issue("Between the two", root)
	seal := issue("Seal", between)
	seal.Chain = []*x509.Certificate{between.Certificate}

	file := func(name string, data []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	signed, err := seal.Sign([]byte("what is signed"))
	if err != nil {
		t.Fatal(err)
	}
	if by, err := letter.CheckSignature([]byte("what is signed"), signed); err != nil || !by.Equal(seal.Certificate) {
		t.Errorf("the signature itself: %v", err)
	}
	verify := exec.CommandContext(t.Context(), "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", file("signature", signed), "-content", file("content", []byte("what is signed")),
		"-CAfile", file("root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate.Raw})), "-purpose", "any", "-out", os.DevNull)
	if said, err := verify.CombinedOutput(); err != nil {
		t.Errorf("openssl knows the root alone: %v\n%s", err, said)
	}

	for len(seal.Chain) < 20 { // longer than any other room in the file
		seal.Chain = append(seal.Chain, root.Certificate)
	}
	sealed, err := seal.Apply(write(t, content("en", 1)), at, nil)
	if err != nil {
		t.Fatal(err)
	}
	if by, err := letter.Check(sealed); err != nil || !by.Certificate.Equal(seal.Certificate) {
		t.Errorf("the letter: %v", err)
	}
}
