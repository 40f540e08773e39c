package letter

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/smallstep/pkcs7"
)

// idSigningCertificateV2 is the attribute that ties a signature to its
// certificate (RFC 5035, section 3), which PAdES demands.
var idSigningCertificateV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}

// Both mean SHA-256 if they leave the algorithm out.
type (
	signingCertificateV2 struct{ Certs []essCertIDv2 }
	essCertIDv2          struct{ CertHash []byte }
)

// Sign makes a detached CMS signature (RFC 5652) over the content, in DER. The
// same content gives the same signature. It holds the certificate and its
// chain, and no time.
func (s Seal) Sign(content []byte) ([]byte, error) {
	return signature(content, s.certificates(), s.sign, nil)
}

// certificates is the seal's, and its chain.
func (s Seal) certificates() []*x509.Certificate {
	return append([]*x509.Certificate{s.Certificate}, s.Chain...)
}

// sign signs the signed attributes. Without a source of randomness ECDSA is
// deterministic (RFC 6979); PKCS #1 always is.
func (s Seal) sign(attributes []byte) ([]byte, error) {
	digest := sha256.Sum256(attributes)
	return s.Key.Sign(nil, digest[:], crypto.SHA256)
}

// signature assembles a detached CMS signature of one signer, whose certificate
// is the first. sign signs the signed attributes; stamp, which may be nil, may
// return unsigned ones.
func signature(content []byte, certificates []*x509.Certificate, sign func(attributes []byte) ([]byte, error), stamp func(signature []byte) ([]pkcs7.Attribute, error)) ([]byte, error) {
	data, err := pkcs7.NewSignedData(content)
	if err != nil {
		return nil, err
	}
	data.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	certificate := certificates[0]
	digest := sha256.Sum256(certificate.Raw)
	tie := pkcs7.Attribute{Type: idSigningCertificateV2, Value: signingCertificateV2{[]essCertIDv2{{digest[:]}}}}
	config := pkcs7.SignerInfoConfig{ExtraSignedAttributes: []pkcs7.Attribute{tie}}
	if err := data.AddSigner(certificate, unsigned{certificate.PublicKey}, config); err != nil {
		return nil, err
	}
	for _, c := range certificates[1:] {
		data.AddCertificate(c)
	}
	// The library adds its own signing time; PAdES allows the time only in the
	// PDF (ETSI EN 319 142-1, section 5.3).
	signer := &data.GetSignedData().SignerInfos[0]
	for i, a := range signer.AuthenticatedAttributes {
		if a.Type.Equal(pkcs7.OIDAttributeSigningTime) {
			signer.AuthenticatedAttributes = slices.Delete(signer.AuthenticatedAttributes, i, i+1)
			break
		}
	}
	attributes, err := asn1.MarshalWithParams(signer.AuthenticatedAttributes, "set")
	if err != nil {
		return nil, err
	}
	if signer.EncryptedDigest, err = sign(attributes); err != nil {
		return nil, err
	}
	if stamp != nil {
		more, err := stamp(signer.EncryptedDigest)
		if err != nil {
			return nil, err
		}
		if err := signer.SetUnauthenticatedAttributes(more); err != nil {
			return nil, err
		}
	}
	data.Detach()
	return data.Finish()
}

// unsigned takes the place of a key; the signature is put in later.
type unsigned struct{ public crypto.PublicKey }

// Public implements crypto.Signer.
func (u unsigned) Public() crypto.PublicKey { return u.public }

// Sign implements crypto.Signer.
func (unsigned) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return []byte{}, nil
}

// The errors of Check and CheckSignature.
var (
	ErrOtherContent = errors.New("the signature is of other content")
	ErrNoSignature  = errors.New("the signature is broken")
)

// CheckSignature checks a signature of Sign over the whole content, and returns
// the signer's certificate. The caller must decide whether to trust that
// certificate: anybody can sign with another one. It fails with ErrOtherContent
// or ErrNoSignature.
func CheckSignature(content, der []byte) (*x509.Certificate, error) {
	p, certificate, err := parseSignature(content, der)
	if err != nil {
		return nil, err
	}
	again, err := signature(content, p.Certificates, func([]byte) ([]byte, error) { return p.Signers[0].EncryptedDigest, nil }, nil)
	if err != nil || !bytes.Equal(again, der) {
		return nil, fmt.Errorf("%w: its bytes are not those that Sign writes", ErrNoSignature)
	}
	return certificate, nil
}

// parseSignature verifies a detached signature of one signer, except its
// unsigned attributes.
func parseSignature(content, der []byte) (*pkcs7.PKCS7, *x509.Certificate, error) {
	p, err := pkcs7.Parse(der)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrNoSignature, err)
	}
	certificate := p.GetOnlySigner()
	if certificate == nil {
		return nil, nil, fmt.Errorf("%w: it must have exactly one signer with a certificate", ErrNoSignature)
	}
	p.Content = content
	var other *pkcs7.MessageDigestMismatchError
	if err := p.Verify(); errors.As(err, &other) {
		return nil, nil, ErrOtherContent
	} else if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrNoSignature, err)
	}
	var tie signingCertificateV2
	digest := sha256.Sum256(certificate.Raw)
	if err := p.UnmarshalSignedAttribute(idSigningCertificateV2, &tie); err != nil || len(tie.Certs) != 1 || !bytes.Equal(tie.Certs[0].CertHash, digest[:]) {
		return nil, nil, fmt.Errorf("%w: it does not belong to its certificate", ErrNoSignature)
	}
	return p, certificate, nil
}
