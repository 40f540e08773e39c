// Package accounts keeps the users of the REST API: accounts with their tokens
// and API keys, in one file that only its owner can read.
//
// Secrets are shown once, when they are made; the file holds their hashes, and
// tokens sealed with the webhook key, because they sign callbacks. In a running worker, File notices within a second if another process has changed
// the file.
package accounts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"countersign/internal/private"
	"countersign/workflow"
)

// maxTokens is how many tokens of an account are valid at a time: the new one, and
// the one that it replaces.
const maxTokens = 2

// maxFileLen bounds the bytes that are read, in case the path names another
// file by mistake.
const maxFileLen = 64 << 20

// Account is an account as an operator sees it. It holds no secret.
type Account struct {
	SID      workflow.SID `json:"sid"`
	Disabled bool         `json:"disabled"`
	Created  time.Time    `json:"date_created"`
	Tokens   []time.Time  `json:"tokens"` // when each valid token was made, the newest first
	Keys     []Key        `json:"api_keys"`
}

// Key is an API key as an operator sees it.
type Key struct {
	SID     workflow.SID `json:"sid"` // the user name, SK and 32 hex digits
	Created time.Time    `json:"date_created"`
}

// file is the content of the file.
type file struct {
	Accounts []*account `json:"accounts"`
}

type account struct {
	SID      workflow.SID `json:"sid"`
	Disabled bool         `json:"disabled,omitempty"`
	Created  time.Time    `json:"created"`
	Tokens   []hashed     `json:"tokens"` // the newest first
	Keys     []apiKey     `json:"keys,omitempty"`
}

type apiKey struct {
	SID workflow.SID `json:"sid"`
	hashed
}

// File is the accounts file. Its methods may be called by several goroutines
// at once, and by several processes.
type File struct {
	DryRun bool // changes are checked and not written

	path  string
	seal  func(workflow.SID, string) ([]byte, error) // see Sealing; may be nil
	now   func() time.Time
	users *private.Watched[map[string]user] // by user name
}

// user is the account of a user name, with the secrets that are valid for it.
type user struct {
	account workflow.SID
	secrets []hashed
}

// Open returns the accounts file at a path. It need not exist: without it there
// are no accounts. now gives the dates in the file, and the times at which it
// is checked for changes.
func Open(path string, now func() time.Time, logger *slog.Logger) *File {
	load := func() (map[string]user, error) {
		all, err := read(path)
		if err != nil {
			return nil, err
		}
		return all.users(), nil
	}
	failed := func(err error) {
		logger.Error("the accounts file cannot be read; the accounts read last stay in use", "err", err)
	}
	return &File{path: path, now: now, users: private.Watch(now, load, failed, path)}
}

// Sealing lets the file encrypt new tokens by seal, so that they can sign callbacks
// (SealedToken), and returns the file. Without it they cannot.
func (f *File) Sealing(seal func(account workflow.SID, token string) ([]byte, error)) *File {
	f.seal = seal
	return f
}

// Authenticate returns the account that a user name and a secret belong to: an
// account's sid with one of its tokens, or an API key's sid with its secret. It
// fails with workflow.ErrNotFound if they belong to none, or to an account
// that is disabled. It takes the same time in all cases.
//
// If the file cannot be read, it uses what it read last, and logs the error.
func (f *File) Authenticate(name, secret string) (workflow.SID, error) {
	u, ok := f.users.Get()[name]
	if good := matches(u.secrets, secret); !ok || !good {
		return "", fmt.Errorf("%w: no account has these credentials", workflow.ErrNotFound)
	}
	return u.account, nil
}

// SealedToken returns the newest token of an account as it was sealed. It
// fails with workflow.ErrNotFound if the account is unknown or disabled, or if its
// token was made without Sealing.
func (f *File) SealedToken(sid workflow.SID) ([]byte, error) {
	u, ok := f.users.Get()[string(sid)]
	if !ok || len(u.secrets) == 0 {
		return nil, fmt.Errorf("%w: account %s is unknown or disabled", workflow.ErrNotFound, sid)
	}
	if len(u.secrets[0].Sealed) == 0 {
		return nil, fmt.Errorf("%w: the token of account %s is only kept as a hash and cannot sign: countersign accounts rotate gives it one that can", workflow.ErrNotFound, sid)
	}
	return u.secrets[0].Sealed, nil
}

// Reload reads the file now instead of at the next use. It fails if the file
// cannot be read; then the old content stays in use.
func (f *File) Reload() error {
	_, err := f.users.Reload()
	return err
}

func (all file) users() map[string]user {
	users := make(map[string]user)
	for _, a := range all.Accounts {
		if a.Disabled {
			continue
		}
		users[string(a.SID)] = user{a.SID, a.Tokens}
		for _, k := range a.Keys {
			users[string(k.SID)] = user{a.SID, []hashed{k.hashed}}
		}
	}
	return users
}

// List lists the accounts in the order in which they were added.
func (f *File) List() ([]Account, error) {
	all, err := read(f.path)
	if err != nil {
		return nil, err
	}
	list := make([]Account, len(all.Accounts))
	for i, a := range all.Accounts {
		list[i] = Account{SID: a.SID, Disabled: a.Disabled, Created: a.Created, Tokens: []time.Time{}, Keys: []Key{}}
		for _, t := range a.Tokens {
			list[i].Tokens = append(list[i].Tokens, t.Created)
		}
		for _, k := range a.Keys {
			list[i].Keys = append(list[i].Keys, Key{k.SID, k.Created})
		}
	}
	return list, nil
}

var (
	accountPattern = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
	keyPattern     = regexp.MustCompile(`^SK[0-9a-fA-F]{32}$`)
)

// read reads the file; a missing file is empty. Its errors quote nothing of it.
func read(path string) (all file, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read the accounts file %s: %w", path, err)
		}
	}()
	data, err := private.Read(path, maxFileLen)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return file{}, nil
	case err != nil:
		return file{}, err
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return file{}, errors.New("the file is damaged, or is no accounts file: restore a copy, or move it away and add the accounts again")
	}
	return all, all.check()
}

func (all file) check() error {
	names := map[workflow.SID]bool{}
	for _, a := range all.Accounts {
		if a == nil || !accountPattern.MatchString(string(a.SID)) || names[a.SID] || len(a.Tokens) > maxTokens {
			return errors.New("an account has an invalid sid, is in the file twice, or has more than two tokens: correct the file, or restore a copy")
		}
		names[a.SID] = true
		for _, k := range a.Keys {
			if !keyPattern.MatchString(string(k.SID)) || names[k.SID] {
				return fmt.Errorf("an API key of account %s has an invalid sid or is in the file twice: correct the file, or restore a copy", a.SID)
			}
			names[k.SID] = true
		}
	}
	return nil
}

func (all file) find(sid workflow.SID) (*account, error) {
	i := slices.IndexFunc(all.Accounts, func(a *account) bool { return a.SID == sid })
	if i < 0 {
		return nil, fmt.Errorf("%w: account %s: countersign accounts list shows all accounts", workflow.ErrNotFound, sid)
	}
	return all.Accounts[i], nil
}

// checkSID checks the sid of a new account.
func checkSID(sid workflow.SID) error {
	if accountPattern.MatchString(string(sid)) {
		return nil
	}
	if strings.HasPrefix(string(sid), "AC") {
		return fmt.Errorf("%w: the sid of an account must be AC and 32 hex digits, and this one has %d characters", workflow.ErrInvalid, len(sid))
	}
	return fmt.Errorf("%w: the sid of an account must be AC and 32 hex digits", workflow.ErrInvalid)
}
