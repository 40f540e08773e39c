package ticket

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"

	"countersign/internal/private"
)

// rewrite has the kinds of keys in the file changed and writes the file anew,
// while no other process does. What edit leaves alone stays as it is.
func rewrite(path string, edit func(kinds map[string]json.RawMessage) error) error {
	unlock, err := lockFile(path)
	if err != nil {
		return err
	}
	defer unlock()
	data, err := private.Read(path, maxFileLen)
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
	return private.Replace(path, append(fresh, '\n'))
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
