package db

import (
	"context"
	"fmt"

	"countersign/db/internal/sqlc"
	"countersign/workflow"
)

// Foresee takes in events of erasure that stand on the log beyond the
// position, if what they erase has left holes in it: such a document goes
// at once, entries about it up to its erasure are passed over, and what it had
// stood in the way of is refused although it is not here. The state at the
// erasure and after is the one of a store that had met it all.
func (s *Store) Foresee(ctx context.Context, erasures []workflow.Entry) error {
	return patiently(ctx, s.path, s.tell, func() error { return s.foresee(ctx, erasures) })
}

func (s *Store) foresee(ctx context.Context, erasures []workflow.Entry) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.lately = nil
	position := s.Position().Sequence
	ctx = context.WithoutCancel(ctx)
	err := s.tx(ctx, func(q *sqlc.Queries) error {
		for _, e := range erasures {
			body, ok := e.Body.(workflow.Erased)
			if !ok || e.Sequence <= position {
				continue
			}
			traces, err := erase(ctx, q, e, body, false)
			if err == nil && traces {
				err = s.mark(ctx, unswept)
			}
			if err != nil {
				return err
			}
			for _, b := range body.Blocked {
				p := sqlc.AddBlockedParams{
					Sequence: int64(b.Sequence), Code: b.Code, OrderSID: b.OrderSID, DocumentSID: e.Document, AccountSID: e.Account,
				}
				if err := q.AddBlocked(ctx, p); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return explain(s.path, fmt.Errorf("take in erasures ahead of entry %d: %w", position, err))
	}
	return nil
}

// flushErased erases the document of the event that the batch consists of.
func (b *batch) flushErased(ctx context.Context) error {
	for _, e := range b.erased {
		body := e.Body.(workflow.Erased)
		traces, err := erase(ctx, b.q, e, body, true)
		if err != nil {
			return err
		}
		b.traces = b.traces || traces
		if err := b.q.DeleteBlocked(ctx, sqlc.DeleteBlockedParams{DocumentSID: e.Document, Below: int64(e.Sequence)}); err != nil {
			return err
		}
	}
	return nil
}

// erase removes all that is known of a document from before the event e, and
// keeps that it was erased. met says that the fold has come to e: from there on
// a signed document's orders are its own again. It reports whether there was
// anything that may leave traces in the file.
func erase(ctx context.Context, q *sqlc.Queries, e workflow.Entry, body workflow.Erased, met bool) (traces bool, err error) {
	sid := e.Document
	n, err := q.TracesOf(ctx, sqlc.TracesOfParams{SID: string(sid), Below: int64(e.Sequence)})
	if err == nil {
		err = eraseEvents(ctx, q, e, body)
	}
	if err == nil {
		err = eraseDocument(ctx, q, e, body, met)
	}
	return n > 0, err
}

// eraseDocument removes a document and its mails, and keeps that it was erased.
func eraseDocument(ctx context.Context, q *sqlc.Queries, e workflow.Entry, body workflow.Erased, met bool) error {
	sid := e.Document
	d, err := q.LoadDocuments(ctx, encode([]workflow.SID{sid}))
	if err != nil {
		return err
	}
	for _, r := range d {
		before, err := document(r)
		if err != nil {
			return err
		}
		if err := deleteHolders(ctx, q, sid, workflow.HeldKeys(before)); err != nil {
			return err
		}
	}
	for _, step := range []func() error{
		func() error { return q.TakeDocument(ctx, sid) },
		func() error { return q.DeleteDocument(ctx, sid) },
		func() error { return q.TakeMails(ctx, string(sid)) },
		func() error { return q.DeleteMails(ctx, string(sid)) },
		func() error { return q.DeleteBounces(ctx, string(sid)) },
		func() error { return eraseDeliveries(ctx, q, sid) },
		func() error { return deleteHolders(ctx, q, sid, body.OrderSIDs) },
		func() error {
			if !met {
				return nil
			}
			for _, order := range body.Holds() {
				if err := q.KeepHolder(ctx, sqlc.KeepHolderParams{Key: string(order), DocumentSID: sid, AccountSID: e.Account}); err != nil {
					return err
				}
			}
			return nil
		},
		func() error {
			if !met {
				return nil
			}
			return freeOrders(ctx, q, e, body)
		},
		func() error {
			return q.PutErased(ctx, sqlc.PutErasedParams{
				DocumentSID: sid, AccountSID: e.Account, Status: string(body.Status), Sequence: int64(e.Sequence),
			})
		},
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// freeOrders leaves nothing of an erased document in its orders, but that a
// signed one completed them or not: the events that said so may be off the log.
func freeOrders(ctx context.Context, q *sqlc.Queries, e workflow.Entry, body workflow.Erased) error {
	rows, err := q.LoadOrders(ctx, encode(body.OrderSIDs))
	if err != nil {
		return err
	}
	for _, r := range rows {
		o, err := hostedOrder(r)
		if err != nil {
			return err
		}
		if o.AccountSID != e.Account {
			continue
		}
		if err := q.PutOrder(ctx, orderRow(body.Free(o))); err != nil {
			return err
		}
	}
	return nil
}

// deleteHolders takes orders and telephone numbers from a document, if it has them.
func deleteHolders[K ~string](ctx context.Context, q *sqlc.Queries, sid workflow.SID, keys []K) error {
	for _, key := range keys {
		if err := q.DeleteHolderOf(ctx, sqlc.DeleteHolderOfParams{DocumentSID: sid, Key: string(key)}); err != nil {
			return err
		}
	}
	return nil
}

// eraseEvents removes what the store knows of a document's events from before
// e, and of what they made it owe.
func eraseEvents(ctx context.Context, q *sqlc.Queries, e workflow.Entry, body workflow.Erased) error {
	all, registers := []uint64{}, []uint64{}
	for _, x := range body.Entries {
		all = append(all, x.Sequence)
		switch x.Type {
		case workflow.TypeRegister:
			registers = append(registers, x.Sequence)
		case workflow.TypeBounced: // if it names no account, its refusal does not either
			if err := q.DeleteOutboxSubject(ctx, fmt.Sprintf("%s_._.refused.%d", workflow.SubjectPrefix, x.Sequence)); err != nil {
				return err
			}
		}
	}
	sid, below := e.Document, int64(e.Sequence)
	accounts, err := q.AccountsNaming(ctx, sid) // an event on another's document is refused there
	if err != nil {
		return err
	}
	for _, account := range append(accounts, string(e.Account)) {
		p := sqlc.DeleteOutboxEventsParams{Prefix: workflow.SubjectPrefix + account + "." + string(sid), Below: below}
		if err := q.DeleteOutboxEvents(ctx, p); err != nil {
			return err
		}
	}
	for _, step := range []func() error{
		func() error { return q.TakeRegisters(ctx, encode(registers)) },
		func() error { return q.DeleteInbox(ctx, encode(all)) },
		func() error {
			return q.TakeRefusals(ctx, sqlc.TakeRefusalsParams{DocumentSID: sid, Below: below})
		},
		func() error { return q.DeleteClosed(ctx, sqlc.DeleteClosedParams{DocumentSID: sid, Below: below}) },
		func() error {
			return q.DeleteRefusals(ctx, sqlc.DeleteRefusalsParams{DocumentSID: sid, Below: below})
		},
		func() error { return q.DeleteDocumentParked(ctx, sid) },
		func() error { return q.DeleteTimers(ctx, sid) },
		func() error { return q.DeleteHistory(ctx, sqlc.DeleteHistoryParams{DocumentSID: sid, Below: below}) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// Erased returns the sequence of the last event that erased a document, 0
// if none did.
func (s *Store) Erased(ctx context.Context, sid workflow.SID) (uint64, error) {
	seq, err := s.rq.GetErased(ctx, sid)
	if err != nil {
		return 0, fmt.Errorf("read whether %s was erased: %w", sid, err)
	}
	return uint64(seq), nil
}

// BlockedBy lists the events of other documents that were refused because an
// order of theirs, or its telephone number, was on this one.
func (s *Store) BlockedBy(ctx context.Context, sid workflow.SID) ([]workflow.Blocked, error) {
	rows, err := s.rq.RefusedFor(ctx, sid)
	if err != nil {
		return nil, fmt.Errorf("read what %s stood in the way of: %w", sid, err)
	}
	var out []workflow.Blocked
	for _, r := range rows {
		out = append(out, workflow.Blocked{Sequence: uint64(r.Sequence), OrderSID: r.OrderSID, Code: r.Code})
	}
	return out, nil
}

// loadErased reads which of the documents were erased, and what erased ones
// had stood in the way of.
func (b *batch) loadErased(ctx context.Context, sids string) error {
	rows, err := b.q.LoadErased(ctx, sids)
	if err != nil {
		return err
	}
	for _, r := range rows {
		b.state(r.DocumentSID).Erased = uint64(r.Sequence)
	}
	return nil
}

func (b *batch) loadBlocked(ctx context.Context) error {
	rows, err := b.q.AllBlocked(ctx)
	b.blocked = make(map[uint64]workflow.Holding, len(rows))
	for _, r := range rows {
		b.blocked[uint64(r.Sequence)] = workflow.Holding{
			Code: r.Code, Order: r.OrderSID, Holder: workflow.Holder{Document: r.DocumentSID, Account: r.AccountSID},
		}
	}
	return err
}

func erases(e workflow.Entry) bool {
	_, ok := e.Body.(workflow.Erased)
	return ok
}

// batches cuts entries so that each event of erasure is a batch of its own: it
// takes away what the entries before it have written.
func batches(entries []workflow.Entry) (out [][]workflow.Entry) {
	from := 0
	for i, e := range entries {
		if !erases(e) {
			continue
		}
		if i > from {
			out = append(out, entries[from:i])
		}
		out = append(out, entries[i:i+1])
		from = i + 1
	}
	if from < len(entries) {
		out = append(out, entries[from:])
	}
	return out
}

// goneSince reports whether an event of erasure that was foreseen takes the
// entry off the log.
func (b *batch) goneSince(e workflow.Entry) bool {
	s := b.states[e.Document]
	return !erases(e) && e.Document != "" && s != nil && s.Erased > e.Sequence
}

// What the file's user_version says: whether it may hold traces of what was
// erased. SQLite overwrites what is deleted, but not the copies that a page keeps
// of rows which once were moved to another.
const (
	swept = iota
	unswept
)

// mark says in the file whether it may hold traces. Where the transaction is
// rolled back there is nothing to sweep, and that does no harm.
func (s *Store) mark(ctx context.Context, as int) error {
	_, err := s.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", as))
	if err == nil {
		s.unswept.Store(as != swept)
	}
	return err
}

// Unswept reports whether an erasure may have left traces in the file.
func (s *Store) Unswept() bool { return s.unswept.Load() }

// Sweep rewrites the file without traces if it is Unswept. Meanwhile it needs
// free disk space of the size of the file, and nothing is applied. If it fails
// or is interrupted, it must be called again.
func (s *Store) Sweep(ctx context.Context) error {
	if !s.Unswept() {
		return nil
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	ctx = context.WithoutCancel(ctx)
	_, err := s.conn.ExecContext(ctx, "VACUUM")
	if err == nil {
		err = s.mark(ctx, swept)
	}
	if err != nil {
		return explain(s.path, fmt.Errorf("sweep out traces of what was erased: %w", err))
	}
	s.dropJournal(ctx)
	return nil
}

// readMark reads whether the file may hold traces, from a run before.
func (s *Store) readMark(ctx context.Context) error {
	marked := swept
	err := s.conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&marked)
	s.unswept.Store(marked != swept)
	return err
}

// dropJournal empties SQLite's journal, which still has what was erased, unless
// somebody is reading it just now; then it is overwritten as it fills.
func (s *Store) dropJournal(ctx context.Context) {
	_, _ = s.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = 0; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = %d", busyTimeout.Milliseconds()))
}
