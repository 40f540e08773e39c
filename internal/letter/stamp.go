package letter

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/smallstep/pkcs7"
)

// idTimeStampToken is the unsigned attribute that says when a signature was
// there (RFC 3161, appendix A).
var idTimeStampToken = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14}

// ErrNotStamped means that the authority gave no time stamp.
var ErrNotStamped = errors.New("no time stamp")

// Authority is a time-stamp authority (RFC 3161), which confirms that a
// signature existed at a time of its clock. Readers of the letter decide
// whether they trust it.
type Authority struct {
	URL     string        // http or https
	Try     time.Duration // for one request
	Between time.Duration // two requests
}

// mostStamp is the maximum size of a reply in bytes. A letter has room for
// that.
const mostStamp = 16 << 10

// Stamp asks for a time stamp on a signature until it gets one or ctx ends, and
// returns its token. It fails with ErrNotStamped, and the error has the cause
// of the last attempt.
func (a Authority) Stamp(ctx context.Context, signature []byte) (token []byte, err error) {
	for {
		token, e := a.ask(ctx, signature)
		if e == nil {
			return token, nil
		}
		if err == nil || ctx.Err() == nil {
			err = e
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrNotStamped, err)
		case <-time.After(a.Between):
		}
	}
}

// ask asks once.
func (a Authority) ask(ctx context.Context, signature []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, a.Try)
	defer cancel()
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, err
	}
	query, err := timestamp.CreateRequest(bytes.NewReader(signature), &timestamp.RequestOptions{Hash: crypto.SHA256, Certificates: true, Nonce: nonce})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/timestamp-query")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(resp.Body, mostStamp+1))
	switch {
	case err != nil:
		return nil, err
	case len(reply) > mostStamp:
		return nil, fmt.Errorf("the answer of the authority has more than %d bytes, which is all that fits into the PDF", mostStamp)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the authority answers %s", resp.Status)
	}
	said, err := timestamp.ParseResponse(reply) // verifies the authority's signature
	switch {
	case err != nil:
		return nil, fmt.Errorf("the authority's answer: %w", err)
	case said.Nonce == nil || said.Nonce.Cmp(nonce) != 0:
		return nil, errors.New("the answer of the authority is for another request")
	}
	_, err = parseStamp(said.RawToken, signature)
	return said.RawToken, err
}

// parseStamp reads a time stamp on a signature.
func parseStamp(token, signature []byte) (*timestamp.Timestamp, error) {
	said, err := timestamp.Parse(token)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(signature)
	switch {
	case said.HashAlgorithm != crypto.SHA256 || !bytes.Equal(said.HashedMessage, digest[:]):
		return nil, errors.New("the time stamp is of other content")
	case len(said.Certificates) == 0:
		return nil, errors.New("the time stamp holds no certificate")
	}
	return said, nil
}

// stampOf returns the time of the time stamp on a signature, zero if there is
// none.
func stampOf(p *pkcs7.PKCS7) (time.Time, error) {
	for _, a := range p.Signers[0].UnauthenticatedAttributes {
		if !a.Type.Equal(idTimeStampToken) {
			continue
		}
		said, err := parseStamp(a.Value.Bytes, p.Signers[0].EncryptedDigest)
		if err != nil {
			return time.Time{}, fmt.Errorf("%w: its time stamp: %w", ErrNoSignature, err)
		}
		return said.Time.UTC(), nil
	}
	return time.Time{}, nil
}
