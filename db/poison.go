package db

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"countersign/workflow"
)

// onEntry is called before an entry is decided, for tests that need one which
// kills the process.
var onEntry func(workflow.Entry)

// FoldingName is the name in the data directory of the file that says what is
// being folded.
const FoldingName = "folding"

// deadly is how often a worker has to die of one entry before it is not given
// another try: the third start makes it a dead letter.
const deadly = 2

// Poison is an entry of which this worker died again and again.
type Poison struct {
	Sequence uint64
	Time     time.Time // the entry's timestamp, to tell it from another in its place
	Deaths   int
}

// marker is the file that says which entries are being folded. It is written
// before and taken back after, without a sync: it has to outlive the process,
// not the machine. Of an entry whose decision kills the process it holds the
// sequence, and of a batch whose reading or writing panics the range. A
// process that is killed from outside while it waits for its disk leaves no
// mark, for the entries are not to blame.
//
// The mark is written for every entry, and not only after a panic was recovered:
// the end of the memory, a full stack and a signal end the process without
// running anything. It is written for one entry and not for a range: a worker
// that is killed again and again from outside would soon be killed twice in a
// range, and put an entry into quarantine that does no harm.
type marker struct {
	file *os.File
	now  mark // what the file says
	left mark // what the process before left behind; First is 0 if it left nothing
}

// mark is what the marker holds.
type mark struct {
	First, Last uint64 // sequences; both 0 while nothing is being folded
	Time        int64  // of the entry at Last, unix nanoseconds
	Deaths      uint64 // of it so far
}

const markSize = 32

func openMarker(path string) (*marker, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	m := &marker{file: f}
	var raw [markSize]byte
	n, err := f.ReadAt(raw[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), f.Close())
	}
	if n == markSize {
		m.left = mark{
			First: binary.LittleEndian.Uint64(raw[0:]), Last: binary.LittleEndian.Uint64(raw[8:]),
			Time: int64(binary.LittleEndian.Uint64(raw[16:])), Deaths: binary.LittleEndian.Uint64(raw[24:]),
		}
	}
	if m.left.First > 0 {
		m.left.Deaths++ // the one that left it there
	}
	return m, nil
}

// set writes the mark. Where that fails the fold goes on without: a disk that
// takes no mark is the database's trouble too, and it says so.
func (m *marker) set(to mark) {
	if m == nil || to == m.now {
		return
	}
	var raw [markSize]byte
	binary.LittleEndian.PutUint64(raw[0:], to.First)
	binary.LittleEndian.PutUint64(raw[8:], to.Last)
	binary.LittleEndian.PutUint64(raw[16:], uint64(to.Time))
	binary.LittleEndian.PutUint64(raw[24:], to.Deaths)
	if _, err := m.file.WriteAt(raw[:], 0); err == nil {
		m.now = to
	}
}

// entry marks the decision of an entry.
func (m *marker) entry(e workflow.Entry) {
	if m != nil {
		m.set(mark{First: e.Sequence, Last: e.Sequence, Time: e.Time.UnixNano(), Deaths: m.deaths(e.Sequence)})
	}
}

// panicked marks the entries of the batch, unless the mark is on one of them.
func (m *marker) panicked(entries []workflow.Entry) {
	if m == nil || m.now.First > 0 {
		return
	}
	first, last := entries[0].Sequence, entries[len(entries)-1]
	m.set(mark{First: first, Last: last.Sequence, Time: last.Time.UnixNano(), Deaths: m.deaths(last.Sequence)})
}

// deaths is how often a process before this one died of the entry, or of a
// range that it is in.
func (m *marker) deaths(sequence uint64) uint64 {
	if m.left.First <= sequence && sequence <= m.left.Last {
		return m.left.Deaths
	}
	return 0
}

// split is how many of the entries are folded in one batch: those up to the
// suspects, and each suspect alone.
func (m *marker) split(entries []workflow.Entry) int {
	if m == nil || m.left.First == 0 {
		return len(entries)
	}
	for i, e := range entries {
		if m.left.First <= e.Sequence && e.Sequence <= m.left.Last {
			return max(i, 1)
		}
	}
	return len(entries)
}

func (m *marker) close() error {
	if m == nil {
		return nil
	}
	return m.file.Close()
}

// Poison returns the entry that this worker must not fold again, having died
// of it before; nil if there is none.
func (s *Store) Poison() *Poison {
	if s.marker == nil {
		return nil
	}
	left := s.marker.left
	if left.First == 0 || left.First != left.Last || left.Deaths < deadly || left.Last <= s.Position().Sequence {
		return nil
	}
	return &Poison{Sequence: left.Last, Time: time.Unix(0, left.Time).UTC(), Deaths: int(left.Deaths)}
}
