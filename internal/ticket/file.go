package ticket

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"countersign/internal/private"
)

// lookEvery is how often the file is looked at for changes, while it is asked.
const lookEvery = time.Second

// File is the keys file of a running worker, which notices within a second what
// another process has changed in it. It is safe for use by several goroutines.
type File struct {
	path   string
	now    func() time.Time
	logger *slog.Logger

	mu     sync.Mutex
	looked time.Time
	info   fs.FileInfo // of what was read last
	failed string      // why the file could not be read when it was looked at last
	keys   *Keys
	absent bool // there was no file; keys are not those of any link
}

// ErrAbsent means that there is no keys file yet.
var ErrAbsent = errors.New("the keys file is missing")

// Open reads the keys file as LoadKeys does, and makes it where there is none.
func Open(path string, now func() time.Time, logger *slog.Logger) (*File, error) {
	f := &File{path: path, now: now, logger: logger, looked: now()}
	if _, err := LoadKeys(path); err != nil { // makes it
		return nil, err
	}
	var err error
	if f.info, err = os.Stat(path); err != nil {
		return nil, err
	}
	if f.keys, err = LoadKeys(path); err != nil { // what comes after the look shows at the next one
		return nil, err
	}
	f.keys.now = now
	return f, nil
}

// OpenAbsent is Open for a file that is not there, and must not be made unless it
// turns out that nobody needs the one that was. Until Make has made it, or somebody
// has put it there, Issue and Verify fail with ErrAbsent.
func OpenAbsent(path string, now func() time.Time, logger *slog.Logger) *File {
	f := &File{path: path, now: now, logger: logger, absent: true}
	f.keys = &Keys{now: now, keys: []key{newKey(newSecret())}} // for codes that need not last
	return f
}

// Absent reports whether there is no keys file yet.
func (f *File) Absent() bool {
	_, absent := f.current()
	return absent
}

// Make makes the keys file unless it is there, and reads it.
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

// Verify reads a token as Keys.Verify does, with the keys as they are now: one
// that no key has made may be of a key that another worker has just been given.
func (f *File) Verify(token string, p Purpose, now time.Time) (Claims, error) {
	before, absent := f.current()
	if absent {
		return Claims{}, fmt.Errorf("verify a link: %w", ErrAbsent)
	}
	claims, err := before.Verify(token, p, now)
	if errors.Is(err, ErrInvalid) {
		f.mu.Lock()
		f.look()
		keys := f.keys
		f.mu.Unlock()
		if keys != before {
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

// current is the keys as they stand in the file or, where that cannot be read,
// as they were read last.
func (f *File) current() (keys *Keys, absent bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now(); now.Sub(f.looked) >= lookEvery || now.Before(f.looked) {
		f.looked = now
		f.look()
	}
	return f.keys, f.absent
}

// Reload looks at the file now, instead of when it is asked next. It fails if the
// file cannot be read; the keys that it had then count.
func (f *File) Reload() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.look()
	switch {
	case f.absent && f.failed == "":
		return fmt.Errorf("%w: %s", ErrAbsent, f.path)
	case f.failed != "":
		return errors.New(f.failed)
	}
	return nil
}

// look reads the file if it is another one than before.
func (f *File) look() {
	info, err := os.Stat(f.path)
	if f.absent && errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil && f.info != nil && f.failed == "" && private.Same(info, f.info) {
		return
	}
	var keys *Keys
	if err == nil { // one that is gone is not made anew: links are out
		keys, err = LoadKeys(f.path)
	}
	if err != nil {
		if f.failed != err.Error() {
			f.failed = err.Error()
			f.logger.Error("the keys file cannot be read; the keys that it had count", "err", err)
		}
		return
	}
	keys.now = f.now
	f.info, f.keys, f.failed, f.absent = info, keys, "", false
}
