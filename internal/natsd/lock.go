package natsd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// acquire takes the store for this process until the file is closed. Two
// servers on one store would destroy it, and the server does not look itself.
func acquire(storeDir string) (*os.File, error) {
	if err := os.MkdirAll(storeDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the NATS server's store: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(storeDir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the NATS server's store: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("another process runs a NATS server on %s: stop it, or give this one another --data-dir", storeDir)
		}
		return nil, fmt.Errorf("lock the NATS server's store: %w", err)
	}
	return f, nil
}
