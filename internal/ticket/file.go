package ticket

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"countersign/internal/private"
)

// File is the keys file of a running worker. It notices within a second if
// another process has changed the file. It is safe for use by several
// goroutines.
type File struct {
	path  string
	keys  *private.Watched[*Keys] // nil until there is a file
	spare *Keys                   // a key for codes that need not last, until there is a file; never for links
}

// newFile is a File that has read nothing yet.
func newFile(path string, now func() time.Time, logger *slog.Logger) *File {
	there := false
	load := func() (*Keys, error) {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) { // LoadKeys would create a file, and there may be valid links of the missing one
			return nil, fmt.Errorf("%w: %w", ErrAbsent, err)
		}
		keys, err := LoadKeys(path)
		if err != nil {
			return nil, err
		}
		keys.now, there = now, true
		return keys, nil
	}
	failed := func(err error) {
		if there || !errors.Is(err, ErrAbsent) {
			logger.Error("the keys file cannot be read; the keys read last stay in use", "err", err)
		}
	}
	spare := &Keys{now: now, keys: []key{newKey(newSecret())}}
	return &File{path: path, keys: private.Watch(now, load, failed, path), spare: spare}
}

// ErrAbsent means that there is no keys file yet.
var ErrAbsent = errors.New("the keys file is missing")

// Open reads the keys file as LoadKeys does, and creates it if it is missing.
func Open(path string, now func() time.Time, logger *slog.Logger) (*File, error) {
	if _, err := LoadKeys(path); err != nil { // makes it
		return nil, err
	}
	f := newFile(path, now, logger)
	return f, f.Reload()
}

// OpenAbsent is Open for a file that is missing and must not be created before it is
// known that no link needs the old one. Issue and Verify fail with ErrAbsent until
// Make has created the file or somebody has restored it.
func OpenAbsent(path string, now func() time.Time, logger *slog.Logger) *File {
	return newFile(path, now, logger)
}

// Absent reports whether there is no keys file yet.
func (f *File) Absent() bool {
	_, absent := f.current()
	return absent
}

// Make creates the keys file unless it exists, and reads it.
func (f *File) Make() error {
	if _, err := LoadKeys(f.path); err != nil {
		return err
	}
	return f.Reload()
}

// Issue makes a token as Keys.Issue does, with the keys as they are now.
func (f *File) Issue(c Claims) (string, error) {
	keys, absent := f.current()
	if absent {
		return "", fmt.Errorf("issue a link: %w", ErrAbsent)
	}
	return keys.Issue(c)
}

// Verify reads a token as Keys.Verify does, with the keys as they are now: if
// no key fits, it reads the file again, which may have a new key from another
// worker.
func (f *File) Verify(token string, p Purpose, now time.Time) (Claims, error) {
	before, absent := f.current()
	if absent {
		return Claims{}, fmt.Errorf("verify a link: %w", ErrAbsent)
	}
	claims, err := before.Verify(token, p, now)
	if errors.Is(err, ErrInvalid) {
		if keys, _ := f.keys.Reload(); keys != before {
			return keys.Verify(token, p, now)
		}
	}
	return claims, err
}

// MACs returns codes of the data as Keys.MACs does, with the keys as they are now.
func (f *File) MACs(data []byte) [][]byte {
	keys, _ := f.current()
	return keys.MACs(data)
}

// current returns the keys in the file or, if it cannot be read, those that were
// read last.
func (f *File) current() (keys *Keys, absent bool) {
	if keys := f.keys.Get(); keys != nil {
		return keys, false
	}
	return f.spare, true
}

// Reload reads the file now instead of at the next use. It fails if the file
// cannot be read, with ErrAbsent if it is missing; then the old keys stay in
// use.
func (f *File) Reload() error {
	_, err := f.keys.Reload()
	return err
}
