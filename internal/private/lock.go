package private

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrLocked means that another process holds a lock.
var ErrLocked = errors.New("another process holds the lock")

// Lock locks the file at path, and waits until no other process holds the lock.
// The lock ends with unlock, or with this process. The file must not be
// replaced: a file that is replaced needs a separate lock file.
//
// A missing file is created. It belongs to the owner of its directory, so that
// a command that root runs does not lock out the user that a worker runs as.
// That user may have put anything at the path: a symbolic link is refused, and
// only a file that was made here is given away, or root would hand over files
// of its own.
func Lock(path string) (unlock func(), err error) { return lock(path, syscall.LOCK_EX) }

// TryLock is Lock, but fails with ErrLocked instead of waiting.
func TryLock(path string) (unlock func(), err error) {
	return lock(path, syscall.LOCK_EX|syscall.LOCK_NB)
}

// Locked reports whether a process holds the lock of a file. It fails if this process
// may not read the file.
func Locked(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = flock(f, syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, ErrLocked) {
		return true, nil
	}
	return false, err
}

func lock(path string, how int) (unlock func(), err error) {
	f, err := openLock(path)
	switch {
	case errors.Is(err, syscall.ELOOP):
		return nil, fmt.Errorf("%s must not be a symbolic link: remove it", path)
	case err != nil:
		return nil, err
	}
	if err := flock(f, how); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

func flock(f *os.File, how int) error {
	err := syscall.Flock(int(f.Fd()), how)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

// openLock opens the file at path, or makes it.
func openLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	}
	if err != nil {
		return nil, err
	}
	dir, err := os.Stat(filepath.Dir(path))
	if err == nil {
		err = Own(f, dir)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
