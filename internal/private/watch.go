package private

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"
)

// lookEvery is how often the files are checked for changes, while their values
// are read.
const lookEvery = time.Second

// Watched is a value that is read from one or several files. It notices within
// a second that another process has changed them. It may be used by several
// goroutines.
type Watched[T any] struct {
	now    func() time.Time
	read   func() (T, error)
	failed func(error)
	paths  []string

	mu     sync.Mutex
	looked time.Time
	good   bool          // infos and value are from the same reading
	infos  []fs.FileInfo // of the files that were read last; nil for a missing file
	err    error         // why the last reading failed
	value  T
}

// Watch watches the files at paths. read reads them and decides what a missing
// file means. failed is called with the reason if the files cannot be read,
// once for each reason. now is any clock. Watch itself reads nothing.
func Watch[T any](now func() time.Time, read func() (T, error), failed func(error), paths ...string) *Watched[T] {
	return &Watched[T]{now: now, read: read, failed: failed, paths: paths}
}

// Get returns the value of the files. If they cannot be read, it returns the
// last value: the zero value if they have never been read.
func (w *Watched[T]) Get() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := w.now(); w.looked.IsZero() || now.Sub(w.looked) >= lookEvery || now.Before(w.looked) {
		w.looked = now
		w.look()
	}
	return w.value
}

// Reload is like Get and checks the files now; this does not change when the
// next Get checks them. If they cannot be read, it fails, and returns the last
// value as well.
func (w *Watched[T]) Reload() (T, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look()
	return w.value, w.err
}

// look reads the files if they have changed.
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
