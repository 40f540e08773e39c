package datadir

import (
	"errors"
	"os"
	"testing"
)

// TestCheckUser_OtherUsersDirectoryIsRefused looks as users who do not own the
// directory.
func TestCheckUser_OtherUsersDirectoryIsRefused(t *testing.T) {
	me := os.Geteuid()
	for _, tt := range []struct {
		name string
		lock bool
		user int
		want error
	}{
		{"its own user, new directory", false, me, nil},
		{"its own user", true, me, nil},
		{"another user, new directory of Kubernetes", false, me + 1, nil},
		{"another user", true, me + 1, ErrOtherUser},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.lock {
				unlock, err := Lock(dir)
				if err != nil {
					t.Fatal(err)
				}
				unlock()
			}
			if err := checkUser(dir, tt.user); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
	dir := t.TempDir()
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if err := checkUser(dir, me+1); !errors.Is(err, ErrInUse) { // so that a command asks the worker
		t.Errorf("while a worker runs: %v", err)
	}
}
