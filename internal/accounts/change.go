package accounts

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"countersign/internal/private"
	"countersign/workflow"
)

// Add adds an account and returns its token, which nothing will show again.
// Add makes the token if token is empty. It fails with workflow.ErrConflict if the
// account exists, and with workflow.ErrInvalid if the sid or the token is invalid.
func (f *File) Add(sid workflow.SID, token string) (string, error) {
	if err := checkSID(sid); err != nil {
		return "", err
	}
	if token == "" {
		token = newSecret()
	}
	if err := checkSecret(token); err != nil {
		return "", fmt.Errorf("%w: %w", workflow.ErrInvalid, err)
	}
	if !f.DryRun {
		if err := private.MakeDir(filepath.Dir(f.path)); err != nil {
			return "", fmt.Errorf("make the directory of the accounts file: %w", err)
		}
	}
	err := f.change(func(all *file) error {
		if _, err := all.find(sid); err == nil {
			return fmt.Errorf("%w: account %s exists: countersign accounts rotate gives it a new token", workflow.ErrConflict, sid)
		}
		h, err := f.newToken(sid, token)
		all.Accounts = append(all.Accounts, &account{SID: sid, Created: f.now().UTC(), Tokens: []hashed{h}})
		return err
	})
	return token, err
}

// newToken is a token as it is kept.
func (f *File) newToken(sid workflow.SID, token string) (h hashed, err error) {
	h = newHashed(token, f.now())
	if f.seal != nil && !f.DryRun {
		h.Sealed, err = f.seal(sid, token)
	}
	return h, err
}

// Rotate gives an account a new token and returns it. The token before it
// stays valid until the next Rotate. Rotating twice therefore shuts out whoever has
// learned a token. It fails with workflow.ErrNotFound if there is no such account.
func (f *File) Rotate(sid workflow.SID) (token string, err error) {
	token = newSecret()
	err = f.change(func(all *file) error {
		a, err := all.find(sid)
		if err != nil {
			return err
		}
		h, err := f.newToken(sid, token)
		a.Tokens = append([]hashed{h}, a.Tokens...)
		a.Tokens = a.Tokens[:min(len(a.Tokens), maxTokens)]
		return err
	})
	return token, err
}

// Disable closes the REST API to an account and its API keys, or opens it again.
// The account's documents go on. It fails with workflow.ErrNotFound if there is no
// such account.
func (f *File) Disable(sid workflow.SID, disabled bool) error {
	return f.change(func(all *file) error {
		a, err := all.find(sid)
		if err != nil {
			return err
		}
		a.Disabled = disabled
		return nil
	})
}

// AddKey gives an account an API key and returns its sid and its secret, which
// nothing will show again. It fails with workflow.ErrNotFound if there is no
// such account.
func (f *File) AddKey(sid workflow.SID) (key workflow.SID, secret string, err error) {
	var b [16]byte
	rand.Read(b[:]) // never fails
	key, secret = workflow.SID("SK"+hex.EncodeToString(b[:])), newSecret()
	err = f.change(func(all *file) error {
		a, err := all.find(sid)
		if err != nil {
			return err
		}
		a.Keys = append(a.Keys, apiKey{key, newHashed(secret, f.now())})
		return nil
	})
	return key, secret, err
}

// RemoveKey ends an API key. It fails with workflow.ErrNotFound if there is
// no such key.
func (f *File) RemoveKey(key workflow.SID) error {
	return f.change(func(all *file) error {
		for _, a := range all.Accounts {
			n := len(a.Keys)
			a.Keys = slices.DeleteFunc(a.Keys, func(k apiKey) bool { return k.SID == key })
			if len(a.Keys) < n {
				return nil
			}
		}
		return fmt.Errorf("%w: API key %s: countersign accounts list shows all keys", workflow.ErrNotFound, key)
	})
}

// change reads the file, changes it and writes it, while no other process does.
// Afterwards the file is either completely new or completely old.
func (f *File) change(edit func(*file) error) (err error) {
	if f.DryRun {
		all, err := read(f.path)
		if err != nil {
			return err
		}
		return edit(&all)
	}
	unlock, err := private.Lock(f.path + ".lock") // a file of its own, because the accounts file is replaced
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: the directory of the accounts file %s does not exist: check that --data-dir or --accounts-file is the worker's; countersign accounts add creates it", workflow.ErrNotFound, f.path)
	}
	if err != nil {
		return fmt.Errorf("lock the accounts file %s: %w", f.path, err)
	}
	defer unlock()
	all, err := read(f.path)
	if err != nil {
		return err
	}
	if err := edit(&all); err != nil {
		return err
	}
	data, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = private.Replace(f.path, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write the accounts file %s: %w: check the owner, the permissions and the free space of its directory", f.path, err)
	}
	_, err = f.users.Reload()
	return err
}
