// Package private reads and writes files that hold secrets, or that say who may
// do what: nobody but their owner may change them, and nobody but their owner
// and its group may read them.
package private

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// others are the permissions that nobody may have: anything for other users,
// and writing for the group. The group may read, because systemd
// (LoadCredential, mode 0440 with an ACL) and Kubernetes (a secret with
// fsGroup, mode 0440) hand secrets to a service in this way.
const others fs.FileMode = 0o027

// ErrOpen means that users who must not can read or change a file.
var ErrOpen = errors.New("other users can read or change it")

// Check returns an error that wraps ErrOpen if the file at path, which info
// describes, is open to users who must not read or change it.
func Check(path string, info fs.FileInfo) error {
	if perm := info.Mode().Perm(); perm&others != 0 {
		return fmt.Errorf("its mode is %#o, so that %w: run chmod 600 %s, and replace the secrets in it if somebody may have read them", perm, ErrOpen, path)
	}
	return nil
}

// CheckFile is Check for the file that is at path now. Symbolic links are
// followed. It returns the error of os.Stat if there is none.
func CheckFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return Check(path, info)
}

// Exists reports whether there is something at path. It is also true if this
// process may not look there.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// Read returns the content of a file that has at most most bytes. It fails with
// fs.ErrNotExist if there is none, with an error that wraps ErrOpen if Check
// does, and if it is not a regular file or is too large. The error does not
// quote the content, and names the path only in its advice.
func Read(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it must be a regular file, or not exist yet")
	case info.Size() > most:
		return nil, fmt.Errorf("it has %d bytes and may have at most %d: check the path", info.Size(), most)
	}
	if err := Check(path, info); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, most))
}

// Replace writes a file: after a power cut either all of the new content is at
// path or all of the old one. The file keeps its mode and owner. A new one has
// mode 0600 and belongs to the owner of its directory, if this process may give
// files away, so that root does not lock out the user that a worker runs as.
func Replace(path string, data []byte) error {
	dir, mode := filepath.Dir(path), fs.FileMode(0o600)
	like, err := os.Stat(path)
	switch {
	case err == nil:
		mode = like.Mode().Perm()
	case errors.Is(err, fs.ErrNotExist):
		like, err = os.Stat(dir)
	}
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	err = Own(tmp, like)
	if err == nil {
		_, err = tmp.Write(data)
	}
	if err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return SyncDir(dir)
}

// WriteNew writes a file that did not exist before and that only its owner can
// read. If it fails, the file does not exist either, unless it did before.
func WriteNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// Own gives the owner and group of like to a file that this process has
// created, if the process is root and the owner is somebody else.
func Own(f *os.File, like fs.FileInfo) error {
	owner, ok := like.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || owner.Uid == 0 {
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}

// SyncDir syncs a directory, so that a new name in it survives a power cut.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// MakeDir makes a directory, for its user alone, and those above it. One that
// root makes belongs to the owner of the directory that it is in.
func MakeDir(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := MakeDir(filepath.Dir(dir)); err != nil {
		return err
	}
	above, err := os.Stat(filepath.Dir(dir))
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil // another process was faster
	}
	if err != nil {
		return err
	}
	made, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(Own(made, above), made.Close())
}
