package private_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"countersign/internal/private"
)

// watched is a file that is watched, with the clock of who watches it.
type watched struct {
	*private.Watched[string]
	t     *testing.T
	path  string
	now   time.Time
	reads int
	said  []string
}

func watch(t *testing.T) *watched {
	w := &watched{t: t, path: filepath.Join(t.TempDir(), "file"), now: time.Unix(1000, 0)}
	read := func() (string, error) {
		w.reads++
		data, err := os.ReadFile(w.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return "missing", nil
		case err == nil && data[0] == '!':
			err = fmt.Errorf("damaged: %s", data)
		}
		return string(data), err
	}
	w.Watched = private.Watch(func() time.Time { return w.now }, read, func(err error) { w.said = append(w.said, err.Error()) }, w.path)
	return w
}

// write puts content into the file, and lets a second pass.
func (w *watched) write(content string) {
	w.t.Helper()
	if err := os.WriteFile(w.path, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.now = w.now.Add(time.Second)
}

func (w *watched) want(value string, reads int) {
	w.t.Helper()
	if got := w.Get(); got != value || w.reads != reads {
		w.t.Errorf("got %q after %d reads, want %q after %d", got, w.reads, value, reads)
	}
}

func TestWatched_ReadsOnlyWhatChanged(t *testing.T) {
	w := watch(t)
	w.want("missing", 1)
	w.write("one")
	w.want("one", 2)
	w.now = w.now.Add(time.Minute)
	w.want("one", 2)
	w.write("other")
	w.now = w.now.Add(-time.Second) // no second has passed
	w.want("one", 2)
	if got, err := w.Reload(); got != "other" || err != nil {
		t.Errorf("reloaded %q, %v", got, err)
	}
	if err := os.Remove(w.path); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(-time.Hour) // the clock was set back
	w.want("missing", 4)
}

func TestWatched_FailureIsSaidOnceAndKeepsTheOld(t *testing.T) {
	w := watch(t)
	w.write("one")
	w.want("one", 1)
	w.write("!a")
	w.want("one", 2)
	w.now = w.now.Add(time.Second)
	w.want("one", 3) // it tries again: the reason may lie elsewhere
	if got, err := w.Reload(); got != "one" || err == nil {
		t.Errorf("reloaded %q, %v", got, err)
	}
	w.write("!bb")
	w.want("one", 5)
	w.write("two")
	w.want("two", 6)
	if want := []string{"damaged: !a", "damaged: !bb"}; !slices.Equal(w.said, want) {
		t.Errorf("said %q, want %q", w.said, want)
	}
}
