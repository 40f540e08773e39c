package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"countersign/db"
	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/publish"
	"countersign/internal/session"
	"countersign/workflow"
)

// Redriven is the outcome of an event that was sent again.
type Redriven struct {
	Sequence uint64          // its entry on the log; 0 if it was not sent
	Before   bool            // it had been sent again before, and was not now
	Result   workflow.Result // if it was not refused
	Refused  *db.DeadLetter  // nil if it was not refused again
	Message  *nats.Msg       // what was sent, or would be with a dry run; nil if it had been sent before
}

// ReadEntry reads an entry from the log. It fails as session.Do does, and with
// workflow.ErrNotFound if the entry is not on the log.
func (o *Operator) ReadEntry(ctx context.Context, sequence uint64) (m events.Message, err error) {
	err = session.Do(ctx, o.Config, o.Logger, func(ctx context.Context, nc *nats.Conn) error {
		m, err = eventlog.ReadEntry(ctx, nc, sequence)
		return err
	})
	return m, err
}

// Redrive sends the dead letter or the refused event at sequence again, with the
// changes in how, and waits for the worker. Whatever the changes, an entry is sent
// again once. It fails with workflow.ErrNotFound if the entry was not refused, with
// a *workflow.Problem if the changed event is not valid, with workflow.ErrConflict
// if the entry was discarded, and with workflow.ErrUnavailable if the log or the
// worker does not answer. With dryRun nothing is sent.
func (o *Operator) Redrive(ctx context.Context, sequence uint64, how events.Repair, dryRun bool) (r Redriven, err error) {
	l, err := o.Store.DeadLetter(ctx, sequence)
	if err != nil {
		return r, err
	}
	if l.Reason != "" {
		return r, fmt.Errorf("%w: entry %d was discarded: %s", workflow.ErrConflict, l.Sequence, l.Reason)
	}
	if l.Closed > 0 {
		return o.redriven(ctx, Redriven{Sequence: l.Closed, Before: true}, nil)
	}
	var of workflow.Identity
	err = session.Do(ctx, o.Config, o.Logger, func(ctx context.Context, nc *nats.Conn) error {
		old, err := eventlog.ReadEntry(ctx, nc, l.Sequence)
		if err != nil {
			return err
		}
		r.Message, err = old.Redrive(how)
		if p := (*workflow.Problem)(nil); errors.As(err, &p) {
			return fmt.Errorf("the repaired event is not valid, and was not sent: %s: %w", p.Code, err)
		} else if err != nil {
			return err
		}
		if dryRun {
			return nil
		}
		of = events.Identity(r.Message)
		r.Sequence, err = eventlog.AppendRedriven(ctx, nc, r.Message)
		return err
	})
	switch {
	case err != nil:
		return Redriven{}, err
	case dryRun:
		return r, nil
	}
	return o.redriven(ctx, r, &of)
}

// redriven waits until the worker has applied the entry at r.Sequence, and reads
// its outcome. With an identity, the entry may be a second copy of that event,
// and the outcome is the first one's.
func (o *Operator) redriven(ctx context.Context, r Redriven, of *workflow.Identity) (Redriven, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Wait)
	defer cancel()
	if err := publish.WaitApplied(ctx, o.Store, r.Sequence); err != nil {
		return r, notApplied(r.Sequence, o.Wait)
	}
	var err error
	if of != nil {
		r.Result, r.Sequence, err = o.Store.WhatBecame(ctx, *of)
	} else {
		r.Result, err = o.Store.ResultAt(ctx, r.Sequence)
	}
	if err != nil {
		return r, err
	}
	refused, err := o.Store.DeadLetter(ctx, r.Sequence)
	switch {
	case err == nil:
		r.Refused = &refused
	case !errors.Is(err, workflow.ErrNotFound):
		return r, err
	}
	return r, nil
}

// Discard closes the dead letter or the refused event at sequence, waits for the
// worker, and returns the letter as it is then. One that is closed already, and
// with dryRun any, stays as it is. Discard fails with workflow.ErrNotFound if the
// entry was not refused, and with workflow.ErrUnavailable if the log or the worker
// does not answer.
func (o *Operator) Discard(ctx context.Context, sequence uint64, reason string, dryRun bool) (db.DeadLetter, error) {
	l, err := o.Store.DeadLetter(ctx, sequence)
	if err != nil || l.Closed > 0 || dryRun {
		return l, err
	}
	b := workflow.Discarded{Sequence: l.Sequence, Reason: reason}
	err = session.Do(ctx, o.Config, o.Logger, func(ctx context.Context, nc *nats.Conn) error {
		_, err := eventlog.AppendDiscarded(ctx, nc, events.AccountOf(l.Subject), l.Document, time.Now(), b)
		return err
	})
	if err != nil {
		return l, err
	}
	waiting, cancel := context.WithTimeout(ctx, o.Wait)
	defer cancel()
	err = publish.Until(waiting, func() (bool, error) {
		l, err = o.Store.DeadLetter(ctx, l.Sequence)
		return l.Closed > 0, err
	})
	if err != nil && waiting.Err() != nil {
		err = fmt.Errorf("%w: the log has accepted the event, but no worker with this data directory has applied it within %s; start the worker (--data-dir) and look again: it counts, do not send it again", workflow.ErrUnavailable, o.Wait)
	}
	return l, err
}
