package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

func (a *app) erase() *cobra.Command {
	var yes, asJSON bool
	c := &cobra.Command{
		Use:   "erase PX…",
		Short: "Remove a finished document and its personal data from the log and every database, for ever",
		Long: `Removes what was said of a document from the log (its bytes are overwritten on the servers' disks), from the database of
every worker, and from snapshots. An event of erasure stays on the log, with sequences, digests and sids. Events about
the document are refused from then on, replayed ones too. Nothing brings it back.

A document is finished when it is canceled or failed, or signed and all its orders are completed or failed; when every
mail has its outcome; and when nothing is owed on its account. What was erased may still be in backups of the log, in mail
servers' queues, and with whoever read the log.

It may be run again: after an interruption it goes on, and it removes what was published about the document since.`,
		Args: cobra.ExactArgs(1),
	}
	c.Flags().BoolVar(&yes, "yes", false, "do it; otherwise it only tells what it would do")
	c.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	c.RunE = func(c *cobra.Command, args []string) error {
		if !documentSID.MatchString(args[0]) {
			return usageError{fmt.Errorf("not a document sid (PX and 32 hex digits): %q", args[0])}
		}
		cfg, err := a.load(c)
		if err != nil {
			return err
		}
		b, err := a.newBench(c.Context(), cfg, false)
		if err != nil {
			return err
		}
		defer b.close()
		e := &eraser{bench: b, sid: workflow.SID(args[0])}
		done, err := e.run(c.Context(), yes)
		if err != nil {
			return err
		}
		if asJSON {
			err = a.out.JSON(done)
		} else {
			err = a.out.Linef("%s", done)
		}
		if err != nil {
			return err
		}
		if !yes && done.Entries > 0 {
			return usageError{errors.New("nothing was erased; give --yes to do it")}
		}
		return nil
	}
	return c
}

// erasure is what became of an erase.
type erasure struct {
	DocumentSID workflow.SID    `json:"authorization_document_sid"`
	Status      workflow.Status `json:"status"`
	Entries     int             `json:"entries"`   // that were, or would be, taken off the log
	Sequences   []uint64        `json:"sequences"` // of the events of erasure, older ones too
	Snapshot    string          `json:"snapshot,omitempty"`
	Done        bool            `json:"done"`
}

// String says it for people.
func (e erasure) String() string {
	switch {
	case e.Done && e.Entries > 0:
		return fmt.Sprintf("%s is erased: %d entries are off the log; a worker's database forgets it at entry %d, a stopped one's when it starts", e.DocumentSID, e.Entries, e.Sequences[len(e.Sequences)-1])
	case e.Entries == 0:
		return fmt.Sprintf("%s was erased before, and nothing was said of it since", e.DocumentSID)
	}
	return fmt.Sprintf("%s is %s: %d entries would be taken off the log", e.DocumentSID, e.Status, e.Entries)
}

// eraser erases one document.
type eraser struct {
	*bench
	sid   workflow.SID
	store *db.Store // a copy of this machine's, or one made of a snapshot or the log
	final workflow.Erased
}

// run writes down first what will be gone, in events of erasure, and removes
// it then. Cut off anywhere, the next run goes on from what stands on the log.
func (e *eraser) run(ctx context.Context, yes bool) (done erasure, err error) {
	dir, remove, err := scratch(e.cfg.DataDir)
	if err != nil {
		return done, err
	}
	defer remove()
	if e.store, err = e.current(ctx, dir); err != nil {
		return done, err
	}
	defer e.store.Close()
	stand, err := e.log.Standing(ctx, e.sid)
	if err != nil {
		return done, err
	}
	if err := e.mayGo(ctx, stand); err != nil {
		return done, err
	}
	done = erasure{DocumentSID: e.sid, Status: e.final.Status, Entries: len(stand.Entries)}
	if yes {
		stand, err = e.writeDown(ctx, stand)
		if err == nil {
			done.Entries = max(done.Entries, len(stand.Entries))
			err = e.log.Remove(ctx, sequencesOf(stand.Entries))
		}
		if err == nil {
			err = e.log.RemoveLetters(ctx, e.sid)
		}
		if err == nil {
			done.Snapshot, err = e.freshSnapshot(ctx)
		}
		done.Done = err == nil
	}
	for _, x := range stand.Erasures {
		done.Sequences = append(done.Sequences, x.Sequence)
	}
	return done, err
}

// mayGo says why the document cannot be erased, or nil, and keeps its final
// state.
func (e *eraser) mayGo(ctx context.Context, stand eventlog.Standing) error {
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
	if reason := unfinished(*d, life, e.log.Now()); reason != "" {
		return fmt.Errorf("%w: document %s is not finished: %s", workflow.ErrConflict, e.sid, reason)
	}
	e.final = workflow.Erased{DocumentSID: d.SID, AccountSID: d.AccountSID, Status: d.Status, Round: d.Round}
	for _, o := range d.Orders {
		e.final.OrderSIDs = append(e.final.OrderSIDs, o.SID)
	}
	return nil
}

// unfinished says what is still to happen to a document, "" for nothing.
func unfinished(d workflow.Document, l db.Life, now time.Time) string {
	if !d.Status.Ended() {
		return fmt.Sprintf("it is %s", d.Status)
	}
	for _, o := range d.Orders {
		if d.Status == workflow.Signed && o.Status != workflow.OrderCompleted && o.Status != workflow.OrderFailed {
			return fmt.Sprintf("order %s is %s", o.SID, o.Status)
		}
	}
	for _, m := range l.Mails {
		if !m.State.Settled() {
			return fmt.Sprintf("mail %s is %s", m.ID, m.State)
		}
	}
	for i, o := range l.Events {
		if l.Settled[i] == 0 && !o.Due.After(now) {
			return fmt.Sprintf("the event %s is owed", o.What)
		}
	}
	return ""
}

// mostEntries is how many entries one event of erasure lists at the most.
const mostEntries = 2000

// writeDown appends events of erasure until all that stands on the log about
// the document is listed in one, and returns what stands there in the end.
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
		seq, err := e.log.AppendErased(ctx, eventlog.Erased(e.log.Now(), next), last)
		if err != nil {
			return stand, fmt.Errorf("write the erasure down: %w", err)
		}
		// What came in between is in the next one.
		if err := foldTo(ctx, e.log, e.store, seq, nil); err != nil {
			return stand, err
		}
		if stand, err = e.log.Standing(ctx, e.sid); err != nil {
			return stand, err
		}
	}
}

// next is the event of erasure that is still to be written; ok is false where
// there is none.
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
		if !entries[x.Sequence] && len(next.Entries) < mostEntries {
			next.Entries = append(next.Entries, x)
		}
	}
	all, err := e.store.BlockedBy(ctx, e.sid)
	if err != nil {
		return next, false, err
	}
	for _, x := range all {
		// What the erased document stands in the way of later on, it does by
		// its erasure.
		if !blocked[x.Sequence] && (first == 0 || x.Sequence < first) && len(next.Blocked) < mostEntries {
			next.Blocked = append(next.Blocked, x)
		}
	}
	return next, first == 0 || len(next.Entries)+len(next.Blocked) > 0, nil
}

// freshSnapshot takes a snapshot without the document, where there are others,
// so that those can go.
func (e *eraser) freshSnapshot(ctx context.Context) (string, error) {
	list, err := e.copies.store.List(ctx)
	if err != nil || len(list) == 0 {
		return "", err
	}
	erased, err := e.log.ErasedUpTo(ctx)
	if err != nil {
		return "", err
	}
	if oldest := list[len(list)-1]; oldest.Position.Sequence >= erased {
		return "", nil
	}
	x, err := e.copies.take(ctx, e.store, "")
	return x.Name, err
}

func sequencesOf(list []workflow.ErasedEntry) []uint64 {
	out := make([]uint64, len(list))
	for i, x := range list {
		out[i] = x.Sequence
	}
	return out
}
