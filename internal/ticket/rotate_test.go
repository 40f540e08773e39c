package ticket_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/ticket"
)

const lifetime = 30 * 24 * time.Hour

// rotated is a keys file with its clock, as a worker has it.
type rotated struct {
	t    *testing.T
	path string
	now  time.Time
	log  strings.Builder
	file *ticket.File
}

func newRotated(t *testing.T) *rotated {
	t.Helper()
	r := &rotated{t: t, path: filepath.Join(t.TempDir(), "keys"), now: now}
	write(t, r.path, keysFile(t, one), 0o640)
	var err error
	r.file, err = ticket.Open(r.path, func() time.Time { return r.now }, slog.New(slog.NewTextHandler(&r.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rotated) issue(c ticket.Claims) string {
	r.t.Helper()
	token, err := r.file.Issue(c)
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

func (r *rotated) verify(token string) error {
	_, err := r.file.Verify(token, ticket.Sign, r.now)
	return err
}

// TestRotate_NewKeySignsAndOldOneVerifies: a link of before stays good to its last second, a key that waits
// verifies and does not sign, and a key goes when its links have ended.
func TestRotate_NewKeySignsAndOldOneVerifies(t *testing.T) {
	r := newRotated(t)
	c := claims
	c.Expires = r.now.Add(lifetime)
	old := r.issue(c)
	if _, err := ticket.Rotate(r.path, r.now, r.now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(r.path); err != nil || info.Mode() != 0o640 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	r.now = r.now.Add(time.Minute)
	if r.issue(c) != old {
		t.Error("a key signs before its time")
	}
	r.now = r.now.Add(time.Hour)
	fresh := r.issue(c)
	if fresh == old {
		t.Error("the fresh key does not sign")
	}
	other, err := ticket.Rotate(r.path, r.now, r.now) // a worker has it at once, and this one has just looked
	if err != nil {
		t.Fatal(err)
	}
	there, err := ticket.LoadKeys(r.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.verify(issue(t, there, c)); err != nil {
		t.Errorf("a link by the key %s: %v", other.ID, err)
	}
	for name, token := range map[string]string{"old": old, "fresh": fresh} {
		if err := r.verify(token); err != nil {
			t.Errorf("the %s link: %v", name, err)
		}
	}
	r.now = c.Expires.Add(-time.Second)
	if gone, err := ticket.Prune(r.path, r.now, lifetime); err != nil || len(gone) != 0 {
		t.Errorf("pruned too early: %v, %v", gone, err)
	}
	if err := r.verify(old); err != nil {
		t.Errorf("in its last second: %v", err)
	}
	r.now = now.Add(lifetime + 26*time.Hour)
	listed, _ := ticket.ListPrunable(r.path, r.now, lifetime)
	gone, err := ticket.Prune(r.path, r.now, lifetime)
	if err != nil || len(gone) != 2 || !slices.Equal(gone, listed) {
		t.Fatalf("pruned: %v, %v; before that %v were listed", gone, err, listed)
	}
	c.Expires = r.now.Add(time.Hour)
	if err := r.verify(r.issue(c)); err != nil {
		t.Errorf("after pruning: %v", err)
	}
	if keys, err := ticket.ListKeys(r.path); err != nil || len(keys) != 1 || keys[0].ID == gone[0].ID {
		t.Errorf("left: %v, %v", keys, err)
	}
	if again, err := ticket.Prune(r.path, r.now, lifetime); err != nil || len(again) != 0 {
		t.Errorf("pruned again: %v, %v", again, err)
	}
}

// TestPrune_KeyWithoutATimeKeepsThoseBehindIt: who wrote the file by hand is not
// punished for it.
func TestPrune_KeyWithoutATimeKeepsThoseBehindIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	write(t, path, []byte(`{"links": [{"key": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="},
		{"key": "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=", "created": "2020-01-01T00:00:00Z"}]}`), 0o600)
	if gone, err := ticket.Prune(path, now, lifetime); err != nil || len(gone) != 0 {
		t.Errorf("pruned: %v, %v", gone, err)
	}
}

// TestRotate_ManyAtOnceAreAllKept: and so does the seal that stands beside the keys.
func TestRotate_ManyAtOnceAreAllKept(t *testing.T) {
	r := newRotated(t)
	if _, _, err := sealed(r.path, "Provider"); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if _, err := ticket.Rotate(r.path, now, now); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if keys, err := ticket.ListKeys(r.path); err != nil || len(keys) != 17 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	before, _, err := sealed(r.path, "Other")
	if err != nil || before.Subject.CommonName != "Provider" {
		t.Errorf("the seal: %v, %v", before, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(r.path)); len(left) != 2 {
		t.Errorf("%d files in the directory, want the keys file and its lock", len(left))
	}
}

// TestFile_UnreadableFileKeepsTheKeysReadLast: the keys read last stay in
// use, and the log says so once, until the file can be read again. A missing file is
// not created.
func TestFile_UnreadableFileKeepsTheKeysReadLast(t *testing.T) {
	r := newRotated(t)
	token := r.issue(claims)
	write(t, r.path, []byte("{"), 0o600)
	for range 3 {
		r.now = r.now.Add(time.Second)
		if err := r.verify(token); err != nil {
			t.Error(err)
		}
	}
	if n := strings.Count(r.log.String(), "the keys file cannot be read"); n != 1 || strings.Contains(r.log.String(), "AQEBAQ") {
		t.Errorf("said %d times:\n%s", n, r.log.String())
	}
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	r.now = r.now.Add(time.Second)
	if err := r.verify(token); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(r.path); err == nil {
		t.Error("a file was made in its place")
	}
	write(t, r.path, keysFile(t, two), 0o600)
	r.now = r.now.Add(time.Second)
	if err := r.verify(token); err == nil {
		t.Error("a key that was taken out verifies")
	}
}

func TestRotate_RefusesBadFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := ticket.Rotate(filepath.Join(dir, "none"), now, now); err == nil {
		t.Error("a file that is not there was made")
	}
	broken := filepath.Join(dir, "keys")
	write(t, broken, []byte(`{"links": []}`), 0o600)
	if _, err := ticket.Rotate(broken, now, now); err == nil || !strings.Contains(err.Error(), broken) {
		t.Errorf("a broken file: %v", err)
	}
	if after, _ := os.ReadFile(broken); string(after) != `{"links": []}` {
		t.Error("the file was changed")
	}
}

// TestFile_OpenedToOthersIsNotReadAgain changes the mode of the file alone.
func TestFile_OpenedToOthersIsNotReadAgain(t *testing.T) {
	r := newRotated(t)
	token := r.issue(claims)
	if err := os.Chmod(r.path, 0o644); err != nil {
		t.Fatal(err)
	}
	r.now = r.now.Add(time.Second)
	if err := r.verify(token); err != nil {
		t.Error(err)
	}
	if said := r.log.String(); !strings.Contains(said, "chmod 600 "+r.path) {
		t.Errorf("the log says %q", said)
	}
}

// TestOpenAbsent_WaitsForAFile opens a file that is not there: no link is judged
// or made until somebody puts one there, and none is made unasked.
func TestOpenAbsent_WaitsForAFile(t *testing.T) {
	r := newRotated(t)
	token, err := r.file.Issue(claims)
	if err != nil {
		t.Fatal(err)
	}
	moved := r.path + ".away"
	if err := os.Rename(r.path, moved); err != nil {
		t.Fatal(err)
	}
	absent := ticket.OpenAbsent(r.path, func() time.Time { return r.now }, slog.New(slog.DiscardHandler))
	if _, err := absent.Verify(token, ticket.Sign, now); !errors.Is(err, ticket.ErrAbsent) {
		t.Errorf("a link is judged without keys: %v", err)
	}
	if _, err := absent.Issue(claims); !errors.Is(err, ticket.ErrAbsent) {
		t.Errorf("a link is made without keys: %v", err)
	}
	if err := absent.Reload(); !errors.Is(err, ticket.ErrAbsent) || !strings.Contains(err.Error(), r.path) {
		t.Errorf("reload: %v", err)
	}
	if codes := absent.MACs([]byte("x")); len(codes) != 1 {
		t.Errorf("%d codes", len(codes))
	}
	if _, err := os.Stat(r.path); err == nil || !absent.Absent() {
		t.Errorf("a file was made: %v, absent %t", err, absent.Absent())
	}
	if err := os.Rename(moved, r.path); err != nil {
		t.Fatal(err)
	}
	if err := absent.Make(); err != nil { // keeps what is there
		t.Fatal(err)
	}
	if _, err := absent.Verify(token, ticket.Sign, now); err != nil || absent.Absent() {
		t.Errorf("the link after its keys are back: %v", err)
	}
}
