package db

import (
	"os"

	"countersign/workflow"
)

// OnFold has f called before an entry is decided, until the returned function
// is called.
func OnFold(f func(workflow.Entry)) (restore func()) {
	before := onEntry
	onEntry = f
	return func() { onEntry = before }
}

// Freeze has a reader take its file for one that nobody writes to, as OpenReader
// does if the user may not write.
func (s *Store) Freeze() (err error) {
	s.frozen, err = os.Stat(s.path)
	return err
}

// Lately is how many documents the store keeps in memory, and how many it may keep.
func (s *Store) Lately() (n, most int) { return len(s.lately), keepLately }

// Watched returns for how many documents somebody waits.
func (s *Store) Watched() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.watched)
}
