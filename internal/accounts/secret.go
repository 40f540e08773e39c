package accounts

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"regexp"
	"time"
)

// alphabet is what secrets are made of: letters and digits only, because
// twilio-go refuses to send any other.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

const (
	secretLen    = 32  // characters: 190 bits
	maxSecretLen = 128 // maximum number of characters
	saltLen      = 16  // bytes
)

// hashed is a secret as it is kept: HMAC-SHA-256 under a salt of its own.
//
// A slow hash (argon2, bcrypt) protects passwords that can be guessed. A secret
// of 190 random bits cannot be guessed, so a slow hash would only make each
// request slow.
type hashed struct {
	Salt    []byte    `json:"salt"` // base64, as is the hash (RFC 4648, section 4)
	Hash    []byte    `json:"hash"`
	Sealed  []byte    `json:"sealed,omitempty"` // of a token: encrypted, see File.Sealing
	Created time.Time `json:"created"`
}

func newHashed(secret string, now time.Time) hashed {
	salt := make([]byte, saltLen)
	rand.Read(salt) // never fails
	return hashed{Salt: salt, Hash: sum(salt, secret), Created: now.UTC().Truncate(time.Second)}
}

func sum(salt []byte, secret string) []byte {
	mac := hmac.New(sha256.New, salt)
	mac.Write([]byte(secret))
	return mac.Sum(nil)
}

// nobody's hash fills the place of a missing token. It matches no secret, because no
// secret has this hash.
var nobody = hashed{Salt: make([]byte, saltLen), Hash: make([]byte, sha256.Size)}

// matches reports whether the secret is one of those hashed. It does the same
// work for none, one or two of them, and whichever matches.
func matches(secrets []hashed, secret string) bool {
	if len(secret) > maxSecretLen {
		return false
	}
	good := false
	for i := range maxTokens {
		h := nobody
		if i < len(secrets) {
			h = secrets[i]
		}
		if hmac.Equal(sum(h.Salt, secret), h.Hash) {
			good = true
		}
	}
	return good
}

// newSecret makes a secret.
func newSecret() string {
	out := make([]byte, 0, secretLen)
	var b [2 * secretLen]byte
	for len(out) < secretLen {
		rand.Read(b[:]) // never fails
		for _, c := range b {
			// 248 is the largest multiple of 62 in a byte; beyond it some
			// characters would come more often than others.
			if c < 248 && len(out) < secretLen {
				out = append(out, alphabet[c%62])
			}
		}
	}
	return string(out)
}

var secretPattern = regexp.MustCompile(`^[A-Za-z0-9]{32,128}$`)

// checkSecret returns what is wrong with a token that an operator has chosen.
// It does not quote it.
func checkSecret(s string) error {
	if !secretPattern.MatchString(s) {
		return errors.New("a token must be 32 to 128 letters and digits, because clients send no others; without --token one is made")
	}
	return nil
}
