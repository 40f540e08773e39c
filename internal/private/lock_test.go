package private_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"countersign/internal/private"
)

func TestTryLock_FailsUntilUnlocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	wantLocked := func(want bool) {
		t.Helper()
		if got, err := private.Locked(path); err != nil || got != want {
			t.Errorf("locked: %v, %v; want %v", got, err, want)
		}
	}
	wantLocked(false)
	unlock, err := private.TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	wantLocked(true)
	if _, err := private.TryLock(path); !errors.Is(err, private.ErrLocked) {
		t.Errorf("a second lock: %v", err)
	}
	unlock()
	wantLocked(false)
	if unlock, err = private.TryLock(path); err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestLock_WaitsForTheOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := private.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		unlock, err := private.Lock(path)
		if err == nil {
			unlock()
		}
		got <- err
	}()
	select {
	case err := <-got:
		t.Errorf("locked twice: %v", err)
	default:
	}
	unlock()
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestLock_SymbolicLinkIsRefused(t *testing.T) {
	path := made(t, 0o600)
	if err := os.Symlink(path, path+".lock"); err != nil {
		t.Fatal(err)
	}
	if _, err := private.TryLock(path + ".lock"); err == nil {
		t.Error("a lock behind a symbolic link is taken")
	}
}
