package recovery

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"countersign/internal/datadir"
)

// scratchPrefix begins the name of a directory that Scratch makes.
const scratchPrefix = "scratch-"

// Scratch creates a temporary directory in dir, so that it is on the database's
// disk, and returns a function that removes it. It also removes the directories
// that killed processes left. A process that may not write to dir gets a
// directory where the system keeps temporary files.
func Scratch(dir string) (made string, remove func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("make the data directory: %w", err)
	}
	if err := removeLeft(dir); err != nil {
		return "", nil, err
	}
	made, err = os.MkdirTemp(dir, scratchPrefix)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		made, err = os.MkdirTemp("", "countersign-scratch-")
	}
	if err != nil {
		return "", nil, fmt.Errorf("make a directory to work in: %w", err)
	}
	unlock, err := datadir.Lock(made)
	if err != nil {
		return "", nil, err
	}
	return made, func() { os.RemoveAll(made); unlock() }, nil
}

// removeLeft removes the directories in dir that killed processes left.
func removeLeft(dir string) error {
	old, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("look for what an earlier command left: %w", err)
	}
	for _, entry := range old {
		left := filepath.Join(dir, entry.Name())
		if !strings.HasPrefix(entry.Name(), scratchPrefix) {
			continue
		}
		if unlock, err := datadir.Lock(left); err == nil { // no process uses it
			os.RemoveAll(left)
			unlock()
		}
	}
	return nil
}
