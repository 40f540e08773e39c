package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"
)

// Lock is what a store tells while another process has locked the file, and once
// when that is over.
type Lock struct {
	Path   string // of the database
	Holder string // who has the lock, as "sqlite3 (process 4711)"; empty if unknown
	Free   bool   // the store has written; it waits no more
}

// While another process writes, each try to write waits for busyTimeout within
// SQLite, and others that want the store have the pause between two tries.
const (
	busyTimeout = time.Second
	busyPause   = 50 * time.Millisecond
)

// patiently calls write until no other process keeps it from the file. Each time
// one does, it calls tell, which may be nil. write must leave nothing half done
// when it fails. Only the end of ctx ends the wait; then the error is that of the
// last try and of ctx.
func patiently(ctx context.Context, path string, tell func(Lock), write func() error) error {
	for tries := 0; ; tries++ {
		err := write()
		switch {
		case !isLocked(err):
			if tries > 0 && tell != nil {
				tell(Lock{Path: path, Free: true})
			}
			return err
		case ctx.Err() != nil:
			return errors.Join(err, ctx.Err())
		case tell != nil:
			tell(Lock{Path: path, Holder: lockHolder(path)})
		}
		select {
		case <-time.After(busyPause):
		case <-ctx.Done():
		}
	}
}

// isLocked reports whether an error says that another process has the lock.
func isLocked(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && e.Code == sqlite3.ErrBusy
}

// lockHolder finds the process that has locked a database for writing. It asks
// the kernel for the list of locks: to open the file and ask for one of its locks
// would give up those of this process when it is closed again (fcntl(2)). It
// returns "" if the process cannot be seen from here, such as from a container.
func lockHolder(path string) string {
	list, err := os.ReadFile("/proc/locks")
	if err != nil {
		return ""
	}
	files := map[string]bool{}
	for _, end := range []string{"", "-shm"} { // SQLite locks both; in WAL mode the writer's lock is on the second
		info, err := os.Stat(path + end)
		if err != nil {
			continue
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			files[fmt.Sprintf("%02x:%02x:%d", unix.Major(s.Dev), unix.Minor(s.Dev), s.Ino)] = true
		}
	}
	for line := range strings.Lines(string(list)) {
		// 1: POSIX  ADVISORY  WRITE 4711 fe:00:131 120 120
		f := strings.Fields(line)
		if len(f) != 8 || f[1] != "POSIX" || f[3] != "WRITE" || !files[f[5]] {
			continue
		}
		pid, err := strconv.Atoi(f[4])
		if err != nil || pid <= 0 || pid == os.Getpid() {
			continue
		}
		name, err := os.ReadFile(filepath.Join("/proc", f[4], "comm"))
		if err != nil {
			return "process " + f[4]
		}
		return fmt.Sprintf("%s (process %d)", strings.TrimSpace(string(name)), pid)
	}
	return ""
}

// roomNeeded is how much Probe writes beside the database, in bytes: SQLite often
// writes over room that it has already, and would not notice a full disk.
const roomNeeded = 256 << 10

// Probe writes to the database and to its disk, and changes nothing in them. It
// fails if either cannot be written, or if something else has held the database
// until ctx ends; the error says what to do, as Open's does.
func (s *Store) Probe(ctx context.Context) error {
	if changed := s.Changed(); !s.applying.TryLock() {
		select {
		case <-changed: // a batch that was applied is a write, too
			return nil
		case <-ctx.Done():
			return fmt.Errorf("database %s: one write has held it until now: %w", s.path, ctx.Err())
		}
	}
	defer s.applying.Unlock()
	if s.opened != nil {
		switch now, err := os.Stat(s.path); {
		case errors.Is(err, fs.ErrNotExist), err == nil && !os.SameFile(now, s.opened):
			return fmt.Errorf("database %s: the file was removed or replaced while it was open: restart the worker, which builds it again from the log", s.path)
		case err != nil:
			return explain(s.path, err)
		}
	}
	as := swept
	if s.Unswept() {
		as = unswept
	}
	err := s.mark(context.WithoutCancel(ctx), as)
	if err == nil && s.path != "" {
		err = writable(filepath.Dir(s.path))
	}
	if err != nil {
		return explain(s.path, fmt.Errorf("write to it: %w", err))
	}
	return nil
}

// writable writes a file, and removes it. Its name is always the same, so that a
// worker that is killed leaves one at most.
func writable(dir string) error {
	name := filepath.Join(dir, ".probe")
	return errors.Join(os.WriteFile(name, make([]byte, roomNeeded), 0o600), os.Remove(name))
}
