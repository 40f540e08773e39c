package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/db"
	"countersign/events"
	"countersign/internal/config"
	"countersign/internal/datadir"
	"countersign/internal/session"
	"countersign/workflow"
)

// Event publishes one event and returns its place on the log. It fails with a
// *workflow.Problem if the event is not valid, and with workflow.ErrUnavailable
// if the log does not answer: then the command may be run again.
func Event(ctx context.Context, cfg config.Config, logger *slog.Logger, e events.Event) (sequence uint64, err error) {
	err = session.Do(ctx, cfg, logger, func(ctx context.Context, nc *nats.Conn) error {
		js, err := jetstream.New(nc)
		if err == nil {
			sequence, err = events.Publish(ctx, js, e)
		}
		return err
	})
	var p *workflow.Problem
	if err == nil || errors.Is(err, workflow.ErrUnavailable) || errors.As(err, &p) || errors.Is(err, datadir.ErrNotListening) {
		return sequence, err
	}
	return 0, fmt.Errorf("%w: %w", workflow.ErrUnavailable, err)
}

// Result waits until the worker of this machine, whose database store is, has
// applied an event, and returns the event's outcome. It fails with a
// *workflow.Problem if the event was refused, and with workflow.ErrUnavailable
// if no worker applies it within wait.
func Result(ctx context.Context, store *db.Store, e events.Event, sequence uint64, wait time.Duration) (workflow.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := WaitApplied(ctx, store, sequence); err != nil {
		return "", fmt.Errorf("%w: the log has accepted the event as entry %d, but no worker with this data directory has applied it within %s; start the worker (--data-dir) and look again: the event counts, do not send it again", workflow.ErrUnavailable, sequence, wait)
	}
	result, met, err := store.WhatBecame(ctx, e.Identity())
	if err != nil {
		return "", err
	}
	refused, err := store.DeadLetter(ctx, met)
	switch {
	case err == nil:
		return "", fmt.Errorf("entry %d was refused: %w", met, &workflow.Problem{Code: refused.Code, Message: refused.Message, Field: refused.Field})
	case !errors.Is(err, workflow.ErrNotFound):
		return "", err
	}
	return result, nil
}

// lookAgain is how often the database of a worker in another process is read.
const lookAgain = 20 * time.Millisecond

// WaitApplied waits until the worker whose database store is has applied the
// entry at sequence. It fails if ctx ends before.
func WaitApplied(ctx context.Context, store *db.Store, sequence uint64) error {
	return Until(ctx, func() (bool, error) {
		applied, err := store.AppliedTo(ctx)
		return applied >= sequence, err
	})
}

// Until waits until done says so of a database that a worker in another process
// writes. It fails as done does, and if ctx ends before.
func Until(ctx context.Context, done func() (bool, error)) error {
	for {
		if over, err := done(); over || err != nil {
			return err
		}
		if err := sleep(ctx, lookAgain); err != nil {
			return err
		}
	}
}

// sleep waits for d, and fails if ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
