package webhook

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strconv"
	"time"

	"countersign/internal/private"
	"countersign/workflow"
)

// keyLen is the length of the webhook key in bytes.
const keyLen = 32

// maxKeyFile bounds the bytes that are read, in case the path names another file
// by mistake.
const maxKeyFile = 4096

// Key is the webhook key of an installation. The secrets of webhooks follow from
// it, so that none is on the log or in a database, and the account tokens that
// sign callbacks are sealed with it. Workers on one log need the same key.
type Key struct {
	path string
	file *private.Watched[[]byte]
}

// OpenKey returns the key in the file at path, which need not exist yet. now gives
// the times at which the file is checked for changes.
func OpenKey(path string, now func() time.Time, logger *slog.Logger) *Key {
	there := false
	load := func() ([]byte, error) {
		key, err := readKey(path)
		there = there || err == nil
		return key, err
	}
	failed := func(err error) {
		if there {
			logger.Error("the webhook key cannot be read; the key read last stays in use", "err", err)
		}
	}
	return &Key{path: path, file: private.Watch(now, load, failed, path)}
}

// readKey reads the key. Its errors quote nothing of the file.
func readKey(path string) ([]byte, error) {
	data, err := private.Read(path, maxKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the webhook key %s is missing: countersign webhooks add and countersign accounts add create it; if it was lost, restore it, because receivers have secrets that follow from it", workflow.ErrUnavailable, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the webhook key %s: %w", path, err)
	}
	key, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(data)))
	if err != nil || len(key) != keyLen {
		return nil, fmt.Errorf("%w: the webhook key %s must be %d bytes in base64: restore it from a backup", workflow.ErrInvalid, path, keyLen)
	}
	return key, nil
}

// Make creates the file with a fresh key unless it exists. Only its owner can
// read it.
func (k *Key) Make() error {
	if err := private.MakeDir(filepath.Dir(k.path)); err != nil {
		return fmt.Errorf("make the directory of the webhook key: %w", err)
	}
	unlock, err := private.Lock(k.path + ".lock") // a file of its own, because the key file is replaced
	if err != nil {
		return fmt.Errorf("make the webhook key %s: %w", k.path, err)
	}
	defer unlock()
	if !private.Exists(k.path) {
		fresh := make([]byte, keyLen)
		rand.Read(fresh) // never fails
		if err := private.Replace(k.path, []byte(base64.StdEncoding.EncodeToString(fresh)+"\n")); err != nil {
			return fmt.Errorf("make the webhook key %s: %w", k.path, err)
		}
	}
	_, err = k.file.Reload()
	return err
}

// Ready fails with the reason if the key cannot be read, and never could.
func (k *Key) Ready() error {
	_, err := k.get()
	return err
}

func (k *Key) get() ([]byte, error) {
	if key := k.file.Get(); key != nil {
		return key, nil
	}
	return k.file.Reload()
}

// Secret returns a version of a webhook's secret in the form of Standard Webhooks:
// whsec_ and 32 bytes in base64. It fails if there is no key.
func (k *Key) Secret(webhook workflow.SID, version int) (string, error) {
	secret, err := k.derive("webhook secret", string(webhook), strconv.Itoa(version))
	if err != nil {
		return "", err
	}
	return secretPrefix + base64.StdEncoding.EncodeToString(secret), nil
}

// derive returns 32 bytes that follow from the key and the words.
func (k *Key) derive(words ...string) ([]byte, error) {
	key, err := k.get()
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	for _, w := range append([]string{"countersign"}, words...) {
		mac.Write([]byte(w))
		mac.Write([]byte{0})
	}
	return mac.Sum(nil), nil
}

// Seal encrypts an account's token (AES-256-GCM), so that the accounts file alone
// does not give it away. It makes the key if there is none.
func (k *Key) Seal(account workflow.SID, token string) ([]byte, error) {
	if err := k.Make(); err != nil {
		return nil, err
	}
	aead, err := k.aead()
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce) // never fails
	return aead.Seal(nonce, nonce, []byte(token), []byte(account)), nil
}

// Open returns the token that Seal encrypted for the account. It fails if there is
// no key or another one, and if the token was sealed for another account.
func (k *Key) Open(account workflow.SID, sealed []byte) (string, error) {
	aead, err := k.aead()
	if err != nil {
		return "", err
	}
	if n := aead.NonceSize(); len(sealed) > n {
		if token, err := aead.Open(nil, sealed[:n], sealed[n:], []byte(account)); err == nil {
			return string(token), nil
		}
	}
	return "", fmt.Errorf("%w: the token of account %s was sealed with another webhook key: restore that key, or give the account a new token with countersign accounts rotate", workflow.ErrInvalid, account)
}

func (k *Key) aead() (cipher.AEAD, error) {
	key, err := k.derive("account token")
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
