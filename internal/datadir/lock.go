// Package datadir has what processes on one machine share through a data
// directory: the lock of the worker that uses it, and where its embedded NATS server
// is, so that commands reach the worker's log.
package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"countersign/internal/private"
)

var (
	// ErrInUse means that another worker uses the data directory.
	ErrInUse = errors.New("another worker uses the data directory")
	// ErrOtherUser means that this process must not write to a data directory,
	// because the worker could not use what it wrote.
	ErrOtherUser = errors.New("the data directory belongs to another user")
)

// lockFile is the file in a data directory that a worker locks. Its owner is the
// user that the directory's workers run as.
func lockFile(dir string) string { return filepath.Join(dir, "lock") }

// Lock makes the data directory and keeps other workers out of it until
// unlock is called, or the process ends. It fails with ErrInUse if another worker
// uses the directory, and with ErrOtherUser if its worker runs as another user.
func Lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	if err := checkUser(dir, os.Geteuid()); err != nil {
		return nil, err
	}
	unlock, err = private.TryLock(lockFile(dir))
	switch {
	case errors.Is(err, private.ErrLocked):
		return nil, inUseError(dir)
	case err != nil:
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	return unlock, nil
}

func inUseError(dir string) error {
	return fmt.Errorf("%w %s; give this one its own with --data-dir", ErrInUse, dir)
}

// checkUser fails with ErrOtherUser if the workers of a data directory run as
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
	if locked, err := InUse(dir); err == nil && locked {
		return inUseError(dir)
	}
	name := userName(int(owner.Uid))
	return fmt.Errorf("%w: %s is of the user %s, and this process runs as %s, whose files the worker could not use: run it as %s, such as with sudo -u %s, or change the owner of the directory and of all in it",
		ErrOtherUser, dir, name, userName(user), name, name)
}

// OpenToOthers reports whether every user may put files into the directory. This is
// no reason not to start: Kubernetes gives an emptyDir such a mode, and nobody else
// is in it.
func OpenToOthers(dir string) bool {
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

// InUse reports whether a process has locked the data directory. It fails if this
// process may not open the lock file.
func InUse(dir string) (bool, error) { return private.Locked(lockFile(dir)) }
