package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// builds keeps what was built, by its tags, for the tests that share it.
var builds sync.Map

// build builds the program with build tags, once for all tests. It is built as
// the tests are, so that most of it comes from the cache.
func build(t *testing.T, tags string) string {
	t.Helper()
	return buildWith(t, tags, "-tags", tags)
}

// buildWith builds the program with the arguments of go build, once for each
// name, and returns the path of the executable.
func buildWith(t *testing.T, name string, args ...string) string {
	t.Helper()
	once, _ := builds.LoadOrStore(name, sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "countersign")
		if err != nil {
			return "", err
		}
		path := filepath.Join(dir, "countersign-"+name)
		out, err := exec.Command("go", slices.Concat([]string{"build", "-race", "-o", path}, args, []string{"."})...).CombinedOutput()
		if err != nil {
			t.Logf("%s", out)
		}
		return path, err
	}))
	path, err := once.(func() (string, error))()
	if err != nil {
		t.Fatalf("build %s: %v", name, err)
	}
	return path
}

// built is a worker in a process of its own, of a build of its own.
func (x *town) built(program string, env []string) *killable {
	x.t.Helper()
	return spawn(x.t, program, env, "serve")
}

// removeBuilds removes what build has built.
func removeBuilds() {
	builds.Range(func(_, once any) bool {
		if path, err := once.(func() (string, error))(); err == nil {
			os.RemoveAll(filepath.Dir(path))
		}
		return true
	})
}
