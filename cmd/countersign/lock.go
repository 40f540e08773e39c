package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

var (
	// errInUse says that a worker has the data directory.
	errInUse = errors.New("another worker uses the data directory")
	// errOtherUser says that a process must not write to a data directory,
	// because the worker could not use what it wrote.
	errOtherUser = errors.New("the data directory belongs to another user")
)

// lockFile is the file in a data directory that a worker locks. Its owner is the
// user that the directory's workers run as.
func lockFile(dir string) string { return filepath.Join(dir, "lock") }

// lockDir makes the data directory and keeps other workers out of it until
// the returned function is called, or the process ends. It fails with errInUse
// if a worker has it, and with errOtherUser if its worker runs as another user.
func lockDir(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	if err := checkUser(dir, os.Geteuid()); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(lockFile(dir), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, inUse(dir)
		}
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	return func() { f.Close() }, nil
}

func inUse(dir string) error {
	return fmt.Errorf("%w %s; give this one its own with --data-dir", errInUse, dir)
}

// checkUser fails with errOtherUser if the workers of a data directory run as
// another user than user. In a directory that no worker has used, root
// must not be the first one if the directory is somebody else's; other users may
// be: Kubernetes gives a volume to root and to the group of the worker.
func checkUser(dir string, user int) error {
	info, err := os.Stat(lockFile(dir))
	if errors.Is(err, fs.ErrNotExist) && user == 0 {
		info, err = os.Stat(dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lock the data directory: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == user {
		return nil
	}
	if locked, err := isLocked(dir); err == nil && locked {
		return inUse(dir)
	}
	name := userName(int(owner.Uid))
	return fmt.Errorf("%w: %s is of the user %s, and this process runs as %s, whose files the worker could not use: run it as %s, such as with sudo -u %s, or change the owner of the directory and of all in it",
		errOtherUser, dir, name, userName(user), name, name)
}

// openToOthers reports whether every user may put files into a directory that is
// there. It is no reason not to start: Kubernetes makes an emptyDir so, in which
// there is nobody else.
func openToOthers(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.Mode().Perm()&0o002 != 0
}

func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := osuser.LookupId(id); err == nil {
		return u.Username
	}
	return "#" + id // as sudo takes it
}

// isLocked reports whether a process has locked the data directory. It fails if
// this process may not open the lock.
func isLocked(dir string) (bool, error) {
	f, err := os.Open(lockFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
