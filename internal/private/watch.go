package private

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"
)

// lookEvery is how often files are looked at for changes, while somebody asks for
// what they say.
const lookEvery = time.Second

// Watched is what one or several files say, as T. It notices within a second that
// another process has changed them. It may be used by several goroutines.
type Watched[T any] struct {
	now    func() time.Time
	read   func() (T, error)
	failed func(error)
	paths  []string

	mu     sync.Mutex
	looked time.Time
	good   bool          // infos and value are of the same look
	infos  []fs.FileInfo // of what was read last; nil for a file that was missing
	err    error         // why the files could not be read when they were looked at last
	value  T
}

// Watch watches the files at paths. read reads them; it also says what a missing file
// means. failed is told why the files cannot be read, once for each reason. now is
// any clock. Watch itself reads nothing.
func Watch[T any](now func() time.Time, read func() (T, error), failed func(error), paths ...string) *Watched[T] {
	return &Watched[T]{now: now, read: read, failed: failed, paths: paths}
}

// Get returns what the files say or, if they cannot be read, what they said when they
// were read last: the zero value if they never were.
func (w *Watched[T]) Get() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := w.now(); w.looked.IsZero() || now.Sub(w.looked) >= lookEvery || now.Before(w.looked) {
		w.looked = now
		w.look()
	}
	return w.value
}

// Reload is Get that looks at the files now, and the next Get looks when it would have
// anyway. It fails if they cannot be read, and
// returns what they said before all the same.
func (w *Watched[T]) Reload() (T, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look()
	return w.value, w.err
}

// look reads the files if they are others than before.
func (w *Watched[T]) look() {
	infos, err := w.stat()
	if err == nil && w.good && slices.EqualFunc(infos, w.infos, same) {
		return
	}
	var value T
	if err == nil {
		value, err = w.read()
	}
	if err != nil {
		if w.err == nil || w.err.Error() != err.Error() {
			w.failed(err)
		}
		w.good, w.err = false, err
		return
	}
	w.good, w.infos, w.err, w.value = true, infos, nil, value
}

func (w *Watched[T]) stat() ([]fs.FileInfo, error) {
	infos := make([]fs.FileInfo, len(w.paths))
	for i, path := range w.paths {
		info, err := os.Stat(path)
		switch {
		case err == nil:
			infos[i] = info
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	return infos, nil
}

// same reports whether two looks at a path saw the same file, with the same content
// as far as its size and time tell, and the same mode.
func same(one, two fs.FileInfo) bool {
	if one == nil || two == nil {
		return one == nil && two == nil
	}
	return os.SameFile(one, two) && one.ModTime().Equal(two.ModTime()) && one.Size() == two.Size() && one.Mode() == two.Mode()
}
