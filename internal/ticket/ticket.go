// Package ticket makes and reads the tokens of links: to sign a letter, or to
// get the signed one.
//
// A token says which document, in which round, what for and until when, and
// carries an HMAC-SHA256 (RFC 2104) over that, cut to 160 bits. Nothing is
// stored: the same claims under the same key give the same token, so a mail
// that is sent again carries the same link. A new round of the document
// invalidates the links of older rounds; the caller must check that.
package ticket

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"countersign/workflow"
)

// Purpose is what a link is for. A token of one purpose is invalid for any
// other.
type Purpose byte

// The purposes.
const (
	Sign     Purpose = 's' // the page where a letter is signed
	Download Purpose = 'd' // the signed letter, for the recipients of the "signed" email
)

// Claims is what a token says.
type Claims struct {
	Purpose  Purpose
	Document workflow.SID // PX and 32 hex digits; the case of each digit is kept
	Round    int
	Expires  time.Time // whole seconds, UTC; the token is valid before it
}

// The errors of Verify and Issue. Neither quotes the token.
var (
	ErrInvalid = errors.New("invalid link")
	ErrExpired = errors.New("expired link")
)

// A token is the base64url form (RFC 4648, no padding) of
//
//	key id 4 | purpose 1 | sid 16 | letter case of the sid 4 | round 4 | expiry 4 | MAC 20
//
// bytes, numbers big-endian, the expiry in Unix seconds (until 2106).
const (
	keyIDLen = 4
	bodyLen  = keyIDLen + 1 + 16 + 4 + 4 + 4
	macLen   = 20
)

// Length is how many characters a token has.
const Length = ((bodyLen+macLen)*8 + 5) / 6

// Strict: otherwise the spare bits of the last character could be flipped
// without harm.
var encoding = base64.RawURLEncoding.Strict()

// Issue makes the token of the claims with the newest key. A fraction of a
// second in Expires is dropped. It fails with ErrInvalid if the document is not a
// PX sid, or if the round or the expiry is out of range.
func (k *Keys) Issue(c Claims) (string, error) {
	sid, letters, err := packSID(c.Document)
	if err != nil {
		return "", fmt.Errorf("issue a link: %w", err)
	}
	if c.Round < 0 || c.Round > math.MaxInt32 {
		return "", fmt.Errorf("issue a link: round %d: %w", c.Round, ErrInvalid)
	}
	expires := c.Expires.Unix()
	if expires < 0 || expires > math.MaxUint32 {
		return "", fmt.Errorf("issue a link: expiry %s: %w", c.Expires.Format(time.RFC3339), ErrInvalid)
	}
	newest := k.newest()
	token := make([]byte, 0, bodyLen+macLen)
	token = append(token, newest.id[:]...)
	token = append(token, byte(c.Purpose))
	token = append(token, sid[:]...)
	token = binary.BigEndian.AppendUint32(token, letters)
	token = binary.BigEndian.AppendUint32(token, uint32(c.Round))
	token = binary.BigEndian.AppendUint32(token, uint32(expires))
	return encoding.EncodeToString(append(token, newest.mac(token)...)), nil
}

// Verify reads a token that one of the keys issued for the purpose. The error
// is ErrInvalid for anything that Issue did not make, and ErrExpired if now is not
// before the expiry; with ErrExpired the claims are valid, too.
func (k *Keys) Verify(token string, p Purpose, now time.Time) (Claims, error) {
	// The length is checked before decoding because the decoder skips line ends.
	if len(token) != Length {
		return Claims{}, ErrInvalid
	}
	raw, err := encoding.DecodeString(token)
	if err != nil || len(raw) != bodyLen+macLen {
		return Claims{}, ErrInvalid
	}
	body, mac := raw[:bodyLen], raw[bodyLen:]
	key, ok := k.byID([keyIDLen]byte(body))
	if !ok || !hmac.Equal(mac, key.mac(body)) || Purpose(body[keyIDLen]) != p {
		return Claims{}, ErrInvalid
	}
	rest := body[keyIDLen+1:]
	c := Claims{
		Purpose:  p,
		Document: unpackSID([16]byte(rest), binary.BigEndian.Uint32(rest[16:])),
		Round:    int(binary.BigEndian.Uint32(rest[20:])),
		Expires:  time.Unix(int64(binary.BigEndian.Uint32(rest[24:])), 0).UTC(),
	}
	if !now.Before(c.Expires) {
		return c, ErrExpired
	}
	return c, nil
}

// mac starts with a name of its own, so that no other use of the key can make
// a token, and no other layout of a token can be taken for this one.
func (k key) mac(body []byte) []byte {
	h := hmac.New(sha256.New, k.secret)
	h.Write([]byte("countersign link v1\x00"))
	h.Write(body)
	return h.Sum(nil)[:macLen]
}

// MACs returns an HMAC-SHA256 of the data for each key, the newest key first.
// Their input begins with a name that tokens do not use, so that none of them
// can be part of a token.
func (k *Keys) MACs(data []byte) [][]byte {
	newest := k.newest()
	macs := [][]byte{newest.codeOf(data)}
	for _, key := range k.keys {
		if key.id != newest.id {
			macs = append(macs, key.codeOf(data))
		}
	}
	return macs
}

func (k key) codeOf(data []byte) []byte {
	h := hmac.New(sha256.New, k.secret)
	h.Write([]byte("countersign code v1\x00"))
	h.Write(data)
	return h.Sum(nil)
}

// packSID halves a sid. A set bit in letters is an upper-case digit, the
// lowest bit the first digit's.
func packSID(sid workflow.SID) (raw [16]byte, letters uint32, err error) {
	digits, ok := strings.CutPrefix(string(sid), "PX")
	if !ok || len(digits) != 32 {
		return raw, 0, fmt.Errorf("document %q: must be PX and 32 hex digits: %w", sid, ErrInvalid)
	}
	if _, err := hex.Decode(raw[:], []byte(digits)); err != nil {
		return raw, 0, fmt.Errorf("document %q: must be PX and 32 hex digits: %w", sid, ErrInvalid)
	}
	for i := range digits {
		if 'A' <= digits[i] && digits[i] <= 'F' {
			letters |= 1 << i
		}
	}
	return raw, letters, nil
}

func unpackSID(raw [16]byte, letters uint32) workflow.SID {
	digits := []byte(hex.EncodeToString(raw[:]))
	for i := range digits {
		if letters&(1<<i) != 0 {
			digits[i] -= 'a' - 'A'
		}
	}
	return workflow.SID("PX" + string(digits))
}
