package accounts_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"countersign/internal/accounts"
	"countersign/workflow"
)

func TestFile_RefusesBadChanges(t *testing.T) {
	b := open(t)
	b.add(one)
	_, again := b.Add(one, "")
	_, noSID := b.Add("PX000102030405060708090a0b0c0d0e0f", "")
	_, shortSID := b.Add("AC0001", "")
	_, short := b.Add(two, "short")
	_, dash := b.Add(two, strings.Repeat("a-", 20))
	_, rotate := b.Rotate(two)
	_, _, key := b.AddKey(two)
	for _, c := range []struct {
		name  string
		err   error
		kind  error
		tells string
	}{
		{"added twice", again, workflow.ErrConflict, "rotate"},
		{"another sid", noSID, workflow.ErrInvalid, "must be AC and 32"},
		{"a short sid", shortSID, workflow.ErrInvalid, "32 hex digits"},
		{"a short token", short, workflow.ErrInvalid, "letters and digits"},
		{"a token that clients do not send", dash, workflow.ErrInvalid, "letters and digits"},
		{"rotated, and not there", rotate, workflow.ErrNotFound, "accounts list"},
		{"a key for nobody", key, workflow.ErrNotFound, "accounts list"},
		{"disabled, and not there", b.Disable(two, true), workflow.ErrNotFound, "accounts list"},
		{"no key to remove", b.RemoveKey("SK000102030405060708090a0b0c0d0e0f"), workflow.ErrNotFound, "accounts list"},
	} {
		if !errors.Is(c.err, c.kind) || !strings.Contains(fmt.Sprint(c.err), c.tells) {
			t.Errorf("%s: %v; want %v that tells of %q", c.name, c.err, c.kind, c.tells)
		}
		if strings.Contains(fmt.Sprint(c.err), "a-a-") {
			t.Errorf("%s: the error quotes the token", c.name)
		}
	}
}

// TestFile_ManyProcessesChangeItAtOnce adds accounts through files of their
// own, which know nothing of each other.
func TestFile_ManyProcessesChangeItAtOnce(t *testing.T) {
	b := open(t)
	var group sync.WaitGroup
	const n = 20
	for i := range n {
		group.Go(func() {
			f := accounts.Open(b.path, b.clock.Now, slog.New(slog.DiscardHandler))
			if _, err := f.Add(workflow.SID(fmt.Sprintf("AC%032x", i)), ""); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if list, err := b.List(); err != nil || len(list) != n {
		t.Errorf("%d accounts, %v; want %d", len(list), err, n)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(b.path), "*new*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestFile_LockIsNoSymbolicLink lets the user of the directory, whom root may
// not trust, lay a link to a file of root's where the lock is: a command that
// root runs would give that file away.
func TestFile_LockIsNoSymbolicLink(t *testing.T) {
	b, victim := open(t), filepath.Join(t.TempDir(), "shadow")
	err := errors.Join(os.WriteFile(victim, nil, 0o600), os.Symlink(victim, b.path+".lock"))
	if os.Geteuid() == 0 {
		err = errors.Join(err, os.Chown(filepath.Dir(b.path), stranger, stranger))
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Add(one, ""); err == nil || !strings.Contains(err.Error(), "must not be a symbolic link") {
		t.Errorf("an account is added behind a lock that is a symbolic link: %v", err)
	}
	info, err := os.Stat(victim)
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; int(owner) != os.Geteuid() {
		t.Errorf("the file behind the link belongs to %d now", owner)
	}
}

// TestFile_LockThatIsThereIsNotGivenAway lays a hard link in place of the
// symbolic one. Only root gives files away.
func TestFile_LockThatIsThereIsNotGivenAway(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	b := open(t)
	victim := filepath.Join(filepath.Dir(b.path), "shadow")
	err := errors.Join(os.WriteFile(victim, nil, 0o600), os.Link(victim, b.path+".lock"), os.Chown(filepath.Dir(b.path), stranger, stranger))
	if err != nil {
		t.Fatal(err)
	}
	b.add(one)
	info, err := os.Stat(victim)
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 0 {
		t.Errorf("the file behind the link belongs to %d now", owner)
	}
}
