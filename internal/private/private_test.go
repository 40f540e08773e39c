package private_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/private"
)

// made is a file with a secret, and the mode.
func made(t *testing.T, mode fs.FileMode) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "secret")
	if err := errors.Join(os.WriteFile(path, []byte("secret"), 0o600), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead_OthersMayNeitherReadNorChangeTheFile(t *testing.T) {
	for mode, open := range map[fs.FileMode]bool{
		0o600: false, 0o400: false, 0o640: false, 0o440: false,
		0o604: true, 0o602: true, 0o601: true, 0o620: true, 0o660: true, 0o644: true, 0o666: true,
	} {
		path := made(t, mode)
		data, err := private.Read(path, 6)
		if open != errors.Is(err, private.ErrOpen) || !open && (err != nil || string(data) != "secret") {
			t.Errorf("mode %#o: read %q, %v", mode, data, err)
		}
		if err := private.CheckFile(path); open != errors.Is(err, private.ErrOpen) {
			t.Errorf("mode %#o: checked with %v", mode, err)
		}
	}
}

func TestRead_WhatIsNoSecretFileIsRefused(t *testing.T) {
	path := made(t, 0o600)
	for name, c := range map[string]struct {
		path, says string
		most       int64
	}{
		"too large":   {path, "at most 5", 5},
		"a directory": {filepath.Dir(path), "must be a regular file", 100},
		"no file":     {path + "x", "no such file", 100},
	} {
		if _, err := private.Read(c.path, c.most); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), `"secret"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReplace_FileKeepsItsMode(t *testing.T) {
	path := made(t, 0o640)
	for at, mode := range map[string]fs.FileMode{path: 0o640, path + "-new": 0o600} {
		if err := private.Replace(at, []byte("other")); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(at)
		if err != nil {
			t.Fatal(err)
		}
		data, err := private.Read(at, 5)
		if err != nil || string(data) != "other" || info.Mode() != mode {
			t.Errorf("%s: %q, mode %#o, want %#o: %v", at, data, info.Mode(), mode, err)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 2 {
		t.Errorf("left in the directory: %v, %v", left, err)
	}
}
