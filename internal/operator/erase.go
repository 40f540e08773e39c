package operator

import (
	"context"
	"fmt"

	"countersign/db"
	"countersign/internal/eventlog"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/workflow"
)

// Erasure is the outcome of Erase. With Done false nothing was erased.
type Erasure struct {
	DocumentSID workflow.SID    `json:"authorization_document_sid"`
	Status      workflow.Status `json:"status"`
	Entries     int             `json:"entries"`   // that were, or would be, removed from the log
	Sequences   []uint64        `json:"sequences"` // of the events of erasure, older ones too
	Snapshot    string          `json:"snapshot,omitempty"`
	Done        bool            `json:"done"`
}

// String says it for people.
func (e Erasure) String() string {
	switch {
	case e.Entries == 0:
		return fmt.Sprintf("%s was erased before, and no event about it has come since", e.DocumentSID)
	case e.Done:
		return fmt.Sprintf("%s is erased: %d entries are removed from the log. Running workers remove it from their databases at entry %d, stopped ones when they start", e.DocumentSID, e.Entries, e.Sequences[len(e.Sequences)-1])
	}
	return fmt.Sprintf("%s is %s: %d entries would be removed from the log", e.DocumentSID, e.Status, e.Entries)
}

// Erase removes a finished document from the log, from snapshots and from the
// object store of letters. which is the document's sid or the beginning of it.
// Without do it only tells what it would remove. It fails with workflow.ErrNotFound
// if the document has not been created, and with a *workflow.Problem if it is not
// finished.
//
// Events of erasure that list what will be gone are appended before anything is
// removed: if an erasure is interrupted, the next one continues from them.
func Erase(ctx context.Context, s *session.Session, which string, do bool) (done Erasure, err error) {
	dir, remove, err := recovery.Scratch(s.Config.DataDir)
	if err != nil {
		return done, err
	}
	defer remove()
	e := &eraser{s: s}
	if e.store, err = recovery.Current(ctx, s, dir); err != nil {
		return done, err
	}
	defer e.store.Close()
	if e.sid, err = e.store.FindSID(ctx, which); err != nil {
		return done, err
	}
	stand, err := s.Log.Standing(ctx, e.sid)
	if err != nil {
		return done, err
	}
	if err := e.check(ctx, stand); err != nil {
		return done, err
	}
	done = Erasure{DocumentSID: e.sid, Status: e.final.Status, Entries: len(stand.Entries)}
	if do {
		stand, err = e.remove(ctx, stand, &done)
	}
	for _, x := range stand.Erasures {
		done.Sequences = append(done.Sequences, x.Sequence)
	}
	return done, err
}

// eraser erases one document.
type eraser struct {
	s     *session.Session
	sid   workflow.SID
	store *db.Store // a database of our own, at the log's end
	final workflow.Erased
}

// remove appends what is missing of the events of erasure, and removes what
// they list.
func (e *eraser) remove(ctx context.Context, stand eventlog.Standing, done *Erasure) (eventlog.Standing, error) {
	stand, err := e.writeDown(ctx, stand)
	if err != nil {
		return stand, err
	}
	done.Entries = max(done.Entries, len(stand.Entries))
	if err := e.s.Log.Remove(ctx, sequencesOf(stand.Entries)); err != nil {
		return stand, err
	}
	if err := e.s.Log.RemoveLetters(ctx, e.sid); err != nil {
		return stand, err
	}
	snapshots, err := recovery.NewSnapshots(e.s.Config, e.s.Conn, e.s.Logger)
	if err != nil {
		return stand, err
	}
	done.Snapshot, err = snapshots.Refresh(ctx, e.s.Log, e.store)
	done.Done = err == nil
	return stand, err
}

// check fails if the document cannot be erased; otherwise it keeps the document's
// final state.
func (e *eraser) check(ctx context.Context, stand eventlog.Standing) error {
	if n := len(stand.Erasures); n > 0 {
		e.final = stand.Erasures[n-1].Body.(workflow.Erased)
		return nil
	}
	life, err := e.store.Life(ctx, e.sid)
	if err != nil {
		return err
	}
	d := life.Document
	if d == nil {
		return fmt.Errorf("%w: document %s has not been created", workflow.ErrNotFound, e.sid)
	}
	var pending []workflow.PendingEvent
	for _, o := range life.Events {
		if o.State == db.EventPending {
			pending = append(pending, o.PendingEvent)
		}
	}
	if p := workflow.MayErase(*d, life.Mails, pending, e.s.Log.Now()); p != nil {
		return p
	}
	e.final = workflow.Erased{DocumentSID: d.SID, AccountSID: d.AccountSID, Status: d.Status, Round: d.Round}
	for _, o := range d.Orders {
		e.final.OrderSIDs = append(e.final.OrderSIDs, o.SID)
		if o.Status == workflow.OrderCompleted {
			e.final.Completed = append(e.final.Completed, o.SID)
		}
	}
	return nil
}

// maxListed is how many entries one event of erasure lists at most.
const maxListed = 2000

// writeDown appends events of erasure until each entry about the document is
// listed in one, and returns what is on the log then.
func (e *eraser) writeDown(ctx context.Context, stand eventlog.Standing) (eventlog.Standing, error) {
	for {
		next, ok, err := e.next(ctx, stand)
		if err != nil || !ok {
			return stand, err
		}
		last := uint64(0)
		if n := len(stand.Erasures); n > 0 {
			last = stand.Erasures[n-1].Sequence
		}
		seq, err := e.s.Log.AppendErased(ctx, eventlog.Erased(e.s.Log.Now(), next), last)
		if err != nil {
			return stand, fmt.Errorf("append the event of erasure: %w", err)
		}
		// Entries that came in between are listed in the next event.
		if err := recovery.FoldTo(ctx, e.s.Log, e.store, seq, nil); err != nil {
			return stand, err
		}
		if stand, err = e.s.Log.Standing(ctx, e.sid); err != nil {
			return stand, err
		}
	}
}

// next returns the event of erasure that is still missing; ok is false if none
// is.
func (e *eraser) next(ctx context.Context, stand eventlog.Standing) (next workflow.Erased, ok bool, err error) {
	entries, blocked, first := map[uint64]bool{}, map[uint64]bool{}, uint64(0)
	for _, x := range stand.Erasures {
		b := x.Body.(workflow.Erased)
		for _, y := range b.Entries {
			entries[y.Sequence] = true
		}
		for _, y := range b.Blocked {
			blocked[y.Sequence] = true
		}
		if first == 0 {
			first = x.Sequence
		}
	}
	next = e.final
	next.Entries, next.Blocked = []workflow.ErasedEntry{}, nil
	for _, x := range stand.Entries {
		if !entries[x.Sequence] && len(next.Entries) < maxListed {
			next.Entries = append(next.Entries, x)
		}
	}
	all, err := e.store.BlockedBy(ctx, e.sid)
	if err != nil {
		return next, false, err
	}
	for _, x := range all {
		// What comes after the first erasure is refused because of that, and
		// need not be listed.
		if !blocked[x.Sequence] && (first == 0 || x.Sequence < first) && len(next.Blocked) < maxListed {
			next.Blocked = append(next.Blocked, x)
		}
	}
	return next, first == 0 || len(next.Entries)+len(next.Blocked) > 0, nil
}

func sequencesOf(list []workflow.ErasedEntry) []uint64 {
	out := make([]uint64, len(list))
	for i, x := range list {
		out[i] = x.Sequence
	}
	return out
}
