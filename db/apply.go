package db

import (
	"context"
	"fmt"
	"slices"
	"time"

	"countersign/db/internal/sqlc"
	"countersign/internal/failpoint"
	"countersign/workflow"
)

// Apply folds a batch of entries, in the log's order, into the store: the
// documents, what is owed, and the position, in one transaction. Entries at or
// before the position are passed over. stream is when the stream was created.
// An error leaves the store as it was: the disk's, or a rules version that
// this program does not know. The end of ctx ends nothing but the wait for
// another process that has locked the file.
func (s *Store) Apply(ctx context.Context, stream time.Time, entries []workflow.Entry) error {
	return patiently(ctx, s.path, s.tell, func() error { return s.apply(ctx, stream, entries) })
}

func (s *Store) apply(ctx context.Context, stream time.Time, entries []workflow.Entry) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	ctx = context.WithoutCancel(ctx) // one that can end costs go-sqlite3 a goroutine a statement
	for len(entries) > 0 {
		n := s.marker.split(entries)
		if err := s.applyMarked(ctx, stream, entries[:n]); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// applyMarked applies entries in one transaction. Should that end the process,
// the marker says of which entries.
func (s *Store) applyMarked(ctx context.Context, stream time.Time, entries []workflow.Entry) error {
	returned := false
	defer func() {
		if returned {
			s.marker.set(mark{})
		} else {
			s.marker.panicked(entries)
		}
	}()
	err := s.applyTx(ctx, stream, entries)
	returned = true
	return err
}

func (s *Store) applyTx(ctx context.Context, stream time.Time, entries []workflow.Entry) error {
	b := &batch{pos: s.Position(), states: s.lately, beside: &s.beside, webhooks: s.webhooks}
	b.pos.Stream = stream
	s.lately, s.webhooks = nil, nil // whatever becomes of the batch, it changes them
	err := s.tx(ctx, func(q *sqlc.Queries) error {
		b.q = q
		for _, entries := range batches(entries) {
			b = b.next()
			if err := s.applyBatch(ctx, b, entries); err != nil {
				return err
			}
		}
		if b.traces {
			return s.mark(ctx, unswept)
		}
		return nil
	})
	if err != nil {
		return explain(s.path, fmt.Errorf("apply entries %d to %d: %w", entries[0].Sequence, entries[len(entries)-1].Sequence, err))
	}
	if len(b.states) <= keepLately {
		s.lately = b.states
	}
	s.webhooks = b.webhooks
	if slices.ContainsFunc(entries, erases) {
		s.dropJournal(ctx)
	}
	b = b.next() // counts the last batch
	s.announce(b.pos, b.applied, b.duplicates, work{b.mailWork, b.eventWork, b.hookWork}, b.changed)
	return nil
}

// next is the batch after b, in the same transaction.
func (b *batch) next() *batch {
	changed := append(b.changed, b.documents.list...)
	for _, e := range b.erased {
		changed = append(changed, e.Document)
	}
	return &batch{
		changed: changed,
		q:       b.q, pos: b.pos, states: b.states, beside: b.beside, applied: b.applied + uint64(len(b.met)), duplicates: b.duplicates, traces: b.traces, webhooks: b.webhooks,
		mailWork:  b.mailWork || slices.ContainsFunc(b.mailOrder.list, func(id workflow.MailID) bool { return b.mails[id].State == workflow.MailPending }),
		eventWork: b.eventWork || len(b.pending) > 0,
		hookWork:  b.hookWork || len(b.delivered) > 0,
	}
}

// applyBatch folds the entries and writes down what they come to.
func (s *Store) applyBatch(ctx context.Context, b *batch, entries []workflow.Entry) error {
	if err := b.load(ctx, entries); err != nil {
		return fmt.Errorf("read the batch's documents: %w", err)
	}
	for _, e := range entries {
		s.marker.entry(e)
		if onEntry != nil {
			onEntry(e)
		}
		if err := b.apply(e); err != nil {
			return fmt.Errorf("entry %d: %w", e.Sequence, err)
		}
	}
	s.marker.set(mark{})
	return b.flush(ctx)
}

// keepLately is how many documents are kept in memory between batches.
const keepLately = 2_000

// tx runs f in one transaction: all of it happens, or none. It does without
// sql.Tx, which prepares a statement again each time it is used.
func (s *Store) tx(ctx context.Context, f func(*sqlc.Queries) error) error {
	if _, err := s.begin.ExecContext(ctx); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	failpoint.Hit("begun")
	err := f(s.wq)
	if err == nil {
		failpoint.Hit("commit")
		if _, err = s.commit.ExecContext(ctx); err == nil {
			failpoint.Hit("committed")
			return nil
		}
		err = fmt.Errorf("commit: %w", err)
	}
	// SQLite has rolled back by itself after some errors, and says so here.
	_, _ = s.conn.ExecContext(ctx, "ROLLBACK")
	return err
}

// work says for whom there may be work now: those who send emails, who append
// events, and who carry out deliveries.
type work struct{ mails, events, deliveries bool }

// announce tells those who wait that the store is at p, and that there may be
// work. documents are those that changed.
func (s *Store) announce(p Position, applied, duplicates uint64, w work, documents []workflow.SID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	turn := p.Active() != s.position.Active()
	wake(&s.mailsChanged, w.mails || turn || p.Claim != s.position.Claim && p.ClaimWorker != p.Worker)
	wake(&s.owingChanged, w.events || turn)
	wake(&s.hooksChanged, w.deliveries || p.Delivers() != s.position.Delivers() || p.HookClaim != s.position.HookClaim)
	s.position, s.appliedCount, s.duplicates = p, s.appliedCount+applied, s.duplicates+duplicates
	close(s.changed)
	s.changed = make(chan struct{})
	s.wakeDocuments(documents)
}

// wake closes the channel of those who wait, if there are any and something changed.
func wake(waiting *chan struct{}, changed bool) {
	if changed && *waiting != nil {
		close(*waiting)
		*waiting = nil
	}
}
