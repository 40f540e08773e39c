package letter

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Sealed is what Check has found in a seal.
type Sealed struct {
	Certificate *x509.Certificate
	Stamped     time.Time // when a time-stamp authority confirmed the signature; zero if there is no time stamp
}

// covers is the signature in a PDF as Apply writes it.
var covers = regexp.MustCompile(`/ByteRange \[0 (\d{10}) (\d{10}) (\d{10})\]\n/Contents <`)

// Check checks the seal on a letter: that it is the seal of the whole file, and
// that no byte has changed since. The caller must decide whether to trust the
// certificate in it. It fails with ErrOtherContent or
// ErrNoSignature.
func Check(pdf []byte) (Sealed, error) {
	all := covers.FindAllSubmatchIndex(pdf, -1)
	if len(all) == 0 {
		return Sealed{}, fmt.Errorf("%w: the letter has no seal of Countersign", ErrNoSignature)
	}
	at := all[len(all)-1]
	number := func(i int) int {
		n, _ := strconv.Atoi(string(pdf[at[2*i]:at[2*i+1]])) // ten digits
		return n
	}
	from, to := at[1]-1, number(2)
	if number(1) != from || to < from+2 || to > len(pdf) || number(3) != len(pdf)-to || pdf[to-1] != '>' {
		return Sealed{}, fmt.Errorf("%w: the seal must cover the whole letter", ErrOtherContent)
	}
	der, err := contents(pdf[from+1 : to-1])
	if err != nil {
		return Sealed{}, fmt.Errorf("%w: %w", ErrNoSignature, err)
	}
	covered := append(bytes.Clone(pdf[:from]), pdf[to:]...)
	p, certificate, err := parseSignature(covered, der)
	if err != nil {
		return Sealed{}, err
	}
	stamped, err := stampOf(p)
	return Sealed{certificate, stamped}, err
}

// contents returns the signature from its place in the PDF: hexadecimal digits,
// followed by zeros.
func contents(digits []byte) ([]byte, error) {
	raw := make([]byte, hex.DecodedLen(len(digits)))
	if _, err := hex.Decode(raw, digits); err != nil {
		return nil, err
	}
	// The first bytes of a DER value say its length.
	if len(raw) < 4 || raw[0] != 0x30 || raw[1] != 0x82 {
		return nil, errors.New("the seal holds no signature")
	}
	length := 4 + int(raw[2])<<8 + int(raw[3])
	if length > len(raw) || len(bytes.Trim(raw[length:], "\x00")) > 0 {
		return nil, errors.New("the seal must hold nothing behind the signature")
	}
	return raw[:length], nil
}
