package api

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"countersign/workflow"
)

// isSID reports whether s is two letters and 32 hex digits.
func isSID(s, letters string) bool {
	if len(s) != 34 || s[:2] != letters {
		return false
	}
	_, err := hex.DecodeString(s[2:])
	return err == nil
}

// newSID makes a sid: two letters and a UUID of version 7 (RFC 9562, section 5.7)
// in hex, so that documents made one after the other are next to each other in
// the database.
func newSID(letters string, now time.Time, random io.Reader) (workflow.SID, error) {
	var u [16]byte
	if _, err := io.ReadFull(random, u[6:]); err != nil {
		return "", fmt.Errorf("make a sid: %w", err)
	}
	ms := uint64(now.UnixMilli())
	binary.BigEndian.PutUint16(u[:], uint16(ms>>32))
	binary.BigEndian.PutUint32(u[2:], uint32(ms))
	return uuid(letters, u, 7), nil
}

func uuid(letters string, u [16]byte, version byte) workflow.SID {
	u[6] = u[6]&0x0f | version<<4
	u[8] = u[8]&0x3f | 0x80
	return workflow.SID(letters + hex.EncodeToString(u[:]))
}

const maxKey = 255 // characters of an Idempotency-Key

// identity is the sid, which begins with letters, and the event id of something
// new. Under an Idempotency-Key both follow from it: the same request again is the
// same event, and another request under the same key is another event about the
// same sid, which the rules refuse. find fails with workflow.ErrNotFound if the
// account has nothing with a sid.
func (h *handler) identity(r *request, letters string, b workflow.Body, find func(workflow.SID) error) (sid workflow.SID, id string, err error) {
	keys := r.http.Header.Values("Idempotency-Key")
	if len(keys) == 0 {
		sid, err := newSID(letters, h.Now(), h.Random)
		return sid, "create." + string(sid), err
	}
	if len(keys) > 1 || !isKey(keys[0]) {
		return "", "", bad(codeRequest, "Idempotency-Key is not valid: it must be one key of 1 to %d visible ASCII characters", maxKey)
	}
	body, err := json.Marshal(b)
	if err != nil {
		return "", "", fmt.Errorf("write the content: %w", err)
	}
	if sid, err = h.sidOf(r, letters, keys[0], find); err != nil {
		return "", "", err
	}
	content := sha256.Sum256(body)
	return sid, "create." + string(sid) + "." + hex.EncodeToString(content[:16]), nil
}

// sidOf is the sid of what the account makes under an Idempotency-Key. It follows
// from the keys file, so that nobody can predict it and use that sid first. After
// a change of keys, the sid that an older key gave is the one that find finds.
func (h *handler) sidOf(r *request, letters, key string, find func(workflow.SID) error) (workflow.SID, error) {
	var newest workflow.SID
	for i, mac := range h.Keys.MACs([]byte("idempotency-key\x00" + letters + string(r.account) + "\x00" + key)) {
		sid := uuid(letters, [16]byte(mac), 8)
		if i == 0 {
			newest = sid
		}
		switch err := find(sid); {
		case err == nil:
			return sid, nil
		case !errors.Is(err, workflow.ErrNotFound):
			return "", err
		}
	}
	return newest, nil
}

// keyUsed returns the fault of a request that was sent before under its
// Idempotency-Key, if what it made cannot be found; any other error as it is.
func keyUsed(err error) error {
	if errors.Is(err, workflow.ErrNotFound) {
		return bad(codeRequest, "The request with this Idempotency-Key was refused before, or what it made has been deleted; use a new key to try again")
	}
	return err
}

func isKey(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= maxKey
}

// requestID names a request in answers and in the log.
func requestID(random io.Reader) string {
	var b [16]byte
	_, _ = io.ReadFull(random, b[:]) // an id of zeros is acceptable
	return "RQ" + hex.EncodeToString(b[:])
}

// Our own headers, in canonical form.
const (
	headerRequestID   = "X-Request-Id"
	headerSequence    = "X-Log-Sequence"
	headerMinSequence = "X-Min-Log-Sequence"
)
