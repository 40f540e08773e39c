package ticket

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"countersign/internal/private"
)

// minKeyLen is the length of a fresh key and the least that is accepted, in
// bytes: the output of SHA-256, as RFC 2104 section 3 advises.
const minKeyLen = 32

// maxFileLen bounds the bytes that are read, in case the path names another
// file by mistake.
const maxFileLen = 1 << 20

// Keys holds the keys of the links. The first key whose time has come signs;
// all keys verify. It is safe for use by several goroutines.
type Keys struct {
	keys []key
	now  func() time.Time
}

type key struct {
	id     [keyIDLen]byte // follows from the secret, so files of two workers can be merged
	secret []byte
	from   time.Time // it signs from then on; zero: at once
}

// file is the keys file. It also has other kinds of keys.
type file struct {
	Links []fileKey `json:"links"` // newest first
}

type fileKey struct {
	Key     []byte    `json:"key"`              // base64 (RFC 4648 section 4)
	Created time.Time `json:"created,omitzero"` // to find out when an old key can be removed
	From    time.Time `json:"from,omitzero"`    // it signs from then on; left out: at once
}

// LoadKeys reads the keys file. If it does not exist, LoadKeys creates one with one
// fresh key that only its owner can read. If several processes do so at once, one
// creates the file and all of them read it. The directory must exist.
//
// The file is JSON, {"links": [{"key": "…", "created": "…"}]}. The first key
// signs links, from its time "from" on if it has one. The others verify older
// links: Rotate puts a new key in front, and Prune removes an old one when its
// last link has expired. Workers on the same log need the same keys.
//
// A file that other users can read or that its group can change is refused, as
// is one without a key, with a key that is too short or twice in it, or with
// anything but JSON. The error names the file and the fix; it never quotes a key.
func LoadKeys(path string) (*Keys, error) {
	data, err := private.Read(path, maxFileLen)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("make the keys file %s: %w", path, err)
		}
		data, err = private.Read(path, maxFileLen)
	}
	if err != nil {
		return nil, fmt.Errorf("read the keys file %s: %w", path, err)
	}
	keys, err := parseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("read the keys file %s: %w", path, err)
	}
	return keys, nil
}

func parseKeys(data []byte) (*Keys, error) {
	const fix = "restore it from a backup, or remove it and start once with --new-keys (links that were sent stop working then)"
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("the file is damaged: %w; %s", err, fix)
	}
	if len(f.Links) == 0 {
		return nil, fmt.Errorf(`the file has no key under "links"; %s`, fix)
	}
	keys := &Keys{now: time.Now}
	for i, l := range f.Links {
		if len(l.Key) < minKeyLen {
			return nil, fmt.Errorf("key %d under \"links\" has %d bytes and must have at least %d: replace it, for instance by the output of: openssl rand -base64 %d",
				i+1, len(l.Key), minKeyLen, minKeyLen)
		}
		k := newKey(l.Key)
		k.from = l.From
		if _, twice := keys.byID(k.id); twice {
			return nil, fmt.Errorf("key %d under \"links\" is in the file twice: remove one of the two", i+1)
		}
		keys.keys = append(keys.keys, k)
	}
	return keys, nil
}

// create writes the keys file with one fresh key, completely and synced to
// disk. If another process has just created the file, create keeps that one.
func create(path string) error {
	data, err := json.MarshalIndent(file{Links: []fileKey{{Key: newSecret(), Created: time.Now().UTC().Truncate(time.Second)}}}, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".keys-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(data, '\n'))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	// A link, because a rename would replace the keys of a process that was
	// faster.
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return private.SyncDir(dir)
}

func newSecret() []byte {
	secret := make([]byte, minKeyLen)
	rand.Read(secret) // never fails
	return secret
}

func newKey(secret []byte) key {
	sum := sha256.Sum256(append([]byte("countersign key id\x00"), secret...))
	return key{id: [keyIDLen]byte(sum[:]), secret: secret}
}

// newest returns the key that signs. If the time of no key has come, because
// the clock is wrong or the file was written by hand, it is the oldest key.
func (k *Keys) newest() key {
	now := k.now()
	for _, key := range k.keys {
		if !now.Before(key.from) {
			return key
		}
	}
	return k.keys[len(k.keys)-1]
}

func (k *Keys) byID(id [keyIDLen]byte) (key, bool) {
	for _, key := range k.keys {
		if key.id == id {
			return key, true
		}
	}
	return key{}, false
}
