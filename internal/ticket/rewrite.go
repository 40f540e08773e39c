package ticket

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// rewrite has the kinds of keys in the file changed and writes the file anew,
// while no other process does. What edit leaves alone stays as it is.
func rewrite(path string, edit func(kinds map[string]json.RawMessage) error) error {
	unlock, err := lockFile(path)
	if err != nil {
		return err
	}
	defer unlock()
	data, err := readPrivate(path)
	if err != nil {
		return err
	}
	var kinds map[string]json.RawMessage
	if err := json.Unmarshal(data, &kinds); err != nil {
		return fmt.Errorf("it is broken: %w", err)
	}
	if err := edit(kinds); err != nil {
		return err
	}
	fresh, err := json.MarshalIndent(kinds, "", "  ")
	if err != nil {
		return err
	}
	return replace(path, append(fresh, '\n'))
}

// lockFile locks the file that stands at path. Whoever held the lock before may
// have put another file there.
func lockFile(path string) (unlock func(), err error) {
	for {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			f.Close()
			return nil, err
		}
		locked, err := f.Stat()
		there, errThere := os.Stat(path)
		if err := errors.Join(err, errThere); err != nil {
			f.Close()
			return nil, err
		}
		if os.SameFile(locked, there) {
			return func() { f.Close() }, nil
		}
		f.Close()
	}
}

// replace puts a file in the place of another, whole and on disk, with the
// other's mode and owner.
func replace(path string, data []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".keys-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		err = tmp.Chown(int(owner.Uid), int(owner.Gid)) // or a worker could not read it
	}
	if err == nil {
		_, err = tmp.Write(data)
	}
	if err = errors.Join(err, tmp.Chmod(info.Mode().Perm()), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}
