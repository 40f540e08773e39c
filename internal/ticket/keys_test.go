package ticket_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"countersign/internal/ticket"
)

var (
	one = bytes.Repeat([]byte{1}, 32)
	two = bytes.Repeat([]byte{2}, 32)
)

func TestLoadKeys_CreatesTheFileOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	first, err := ticket.LoadKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := ticket.LoadKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the second start changed the file")
	}
	if issue(t, first, claims) != issue(t, second, claims) {
		t.Error("the second start has another key")
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	left, _ := os.ReadDir(filepath.Dir(path))
	if len(left) != 1 {
		t.Errorf("%d files in the directory, want the keys file alone", len(left))
	}
	other, err := ticket.LoadKeys(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	if issue(t, first, claims) == issue(t, other, claims) {
		t.Error("two files were made with the same key")
	}
}

func TestLoadKeys_ManyProcessesAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	tokens := make([]string, 32)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range tokens {
		wg.Go(func() {
			<-start
			keys, err := ticket.LoadKeys(path)
			if err != nil {
				t.Error(err)
				return
			}
			tokens[i] = issue(t, keys, claims)
		})
	}
	close(start)
	wg.Wait()
	for i, token := range tokens {
		if token != tokens[0] {
			t.Fatalf("start %d has another key than start 0", i)
		}
	}
}

func TestLoadKeys_RefusesBadFiles(t *testing.T) {
	good := string(keysFile(t, one))
	short := string(keysFile(t, one, two[:31]))
	for _, c := range []struct {
		name, content string
		mode          fs.FileMode
		want          string // in the error: the fix
	}{
		{"readable by others", good, 0o604, "chmod 600"},
		{"readable by everybody", good, 0o644, "chmod 600"},
		{"writable by the group", good, 0o620, "chmod 600"},
		{"empty", "", 0o600, "restore it from a backup"},
		{"cut short", good[:len(good)-5], 0o600, "restore it from a backup"},
		{"not JSON", "-----BEGIN PRIVATE KEY-----", 0o600, "restore it from a backup"},
		{"not base64", `{"links": [{"key": "§§§"}]}`, 0o600, "restore it from a backup"},
		{"no key", `{"links": []}`, 0o600, "restore it from a backup"},
		{"another file", `{"log": {"level": "info"}}`, 0o600, "restore it from a backup"},
		{"short key", short, 0o600, "openssl rand -base64 32"},
		{"a key twice", string(keysFile(t, one, two, one)), 0o600, "remove one of the two"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys")
			write(t, path, []byte(c.content), c.mode)
			_, err := ticket.LoadKeys(path)
			if err == nil {
				t.Fatal("was taken")
			}
			for _, want := range []string{path, c.want} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "AQEBAQ") {
				t.Errorf("%q quotes a key", err)
			}
			if after, _ := os.ReadFile(path); string(after) != c.content {
				t.Error("the file was changed")
			}
		})
	}
}

func TestLoadKeys_AcceptsGoodFiles(t *testing.T) {
	for _, c := range []struct {
		name, content string
		mode          fs.FileMode
	}{
		{"read-only", string(keysFile(t, one)), 0o400},
		{"readable by the group", string(keysFile(t, one)), 0o440},
		{"other kinds of keys beside", `{"seal": {"pem": "x"}, "links": [{"key": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}]}`, 0o600},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys")
			write(t, path, []byte(c.content), c.mode)
			keys, err := ticket.LoadKeys(path)
			if err != nil {
				t.Fatal(err)
			}
			if issue(t, keys, claims) != issue(t, load(t, one), claims) {
				t.Error("read another key than the file's")
			}
		})
	}
}

func TestLoadKeys_PathThatCannotBeAFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := ticket.LoadKeys(dir); err == nil || !strings.Contains(err.Error(), "must be a regular file") {
		t.Errorf("a directory: got %v", err)
	}
	if _, err := ticket.LoadKeys(filepath.Join(dir, "no", "keys")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a directory that is not there: got %v", err)
	}
}

// load reads a keys file with the given secrets, the newest first.
func load(t testing.TB, secrets ...[]byte) *ticket.Keys {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	write(t, path, keysFile(t, secrets...), 0o600)
	keys, err := ticket.LoadKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func keysFile(t testing.TB, secrets ...[]byte) []byte {
	t.Helper()
	var links []map[string]any
	for _, s := range secrets {
		links = append(links, map[string]any{"key": s, "created": "2026-11-23T10:00:00Z"})
	}
	data, err := json.Marshal(map[string]any{"links": links})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t testing.TB, path string, data []byte, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
