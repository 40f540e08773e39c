package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/events"
	"countersign/internal/config"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

func (a *app) deadRedrive() *cobra.Command {
	var how events.Mending
	var file string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "redrive ENTRY",
		Short: "Send a dead letter or a refused event again, mended or as it was",
		Long: `Appends the event again under an id of its own that follows from the entry, with the attribute "mends" naming the entry,
and waits for the worker on this machine to say what became of it. Redriving an entry twice changes nothing: an event that
was sent again and turned down again is an entry of its own, to be redriven in its turn.`,
		Example: "  countersign dead redrive 42\n  countersign dead redrive 42 --set data.email=owner@example.com\n  countersign dead redrive 42 --file mended.json",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&file, "file", "", `the whole mended CloudEvent, as JSON ("-" for standard input); its id and source are replaced`)
	c.Flags().StringArrayVar(&how.Set, "set", nil, "mend one field, FIELD=VALUE; a value that is JSON counts as JSON, any other as text; may be given several times")
	c.Flags().StringVar(&how.Subject, "subject", "", "send it on this subject instead")
	c.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to wait for what becomes of it")
	c.RunE = func(c *cobra.Command, args []string) error {
		sequence, err := sequenceArg(args[0])
		if err != nil {
			return err
		}
		if file != "" {
			if how.Event, err = readFile(file); err != nil {
				return err
			}
		}
		return a.withStore(c, func(ctx context.Context, cfg config.Config, store *db.Store) error {
			l, err := store.Letter(ctx, sequence)
			if err != nil {
				return err
			}
			return a.redrive(ctx, cfg, store, l, how, wait)
		})
	}
	return c
}

func readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(name)
}

func (a *app) redrive(ctx context.Context, cfg config.Config, store *db.Store, l db.Letter, how events.Mending, wait time.Duration) error {
	if l.Reason != "" {
		return fmt.Errorf("%w: entry %d was discarded: %s", workflow.ErrConflict, l.Sequence, l.Reason)
	}
	if l.Closed > 0 {
		a.err.Linef("entry %d was sent again before, as entry %d; nothing is sent", l.Sequence, l.Closed)
		return a.became(ctx, store, l.Closed, nil, wait)
	}
	return a.atTheLog(ctx, cfg, func(ctx context.Context, nc *nats.Conn) error {
		old, err := eventlog.ReadEntry(ctx, nc, l.Sequence)
		if err != nil {
			return err
		}
		m, err := old.Mend(how)
		if p := (*workflow.Problem)(nil); errors.As(err, &p) {
			return fmt.Errorf("it is no event yet, and was not sent: %s: %w", p.Code, err)
		} else if err != nil {
			return err
		}
		seq, err := eventlog.AppendMended(ctx, nc, m)
		if err != nil {
			return err
		}
		of := events.Identity(m)
		return a.became(context.WithoutCancel(ctx), store, seq, &of, wait)
	})
}

// atTheLog runs f with a connection, and bounds how long it waits for the log.
func (a *app) atTheLog(ctx context.Context, cfg config.Config, f func(context.Context, *nats.Conn) error) error {
	nc, err := a.reach(ctx, cfg)
	if err != nil {
		return err
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*logWait)
	defer cancel()
	return f(ctx, nc)
}

// became waits until the worker has applied the entry, and says what came of
// it. The entry may be a repeat of one that the identity was met at before.
func (a *app) became(ctx context.Context, store *db.Store, seq uint64, of *workflow.Identity, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := appliedBy(ctx, store, seq); err != nil {
		a.out.Linef("sent as entry %d", seq)
		return fmt.Errorf("no worker with this data directory has applied it in %s; countersign dead show %d tells later: %w", wait, seq, workflow.ErrUnavailable)
	}
	result, err := store.ResultAt(ctx, seq)
	if of != nil {
		result, seq, err = store.WhatBecame(ctx, *of)
	}
	if err != nil {
		return err
	}
	if l, err := store.Letter(ctx, seq); err == nil {
		a.out.Linef("sent as entry %d: %s, %s", seq, deadOrRefused(l), l.Code)
		return fmt.Errorf("entry %d was refused again: %s: %s", seq, l.Code, l.Message)
	} else if !errors.Is(err, workflow.ErrNotFound) {
		return err
	}
	return a.out.Linef("sent as entry %d: %s", seq, result)
}

// lookAgain is how often the database of a worker in another process is read.
const lookAgain = 20 * time.Millisecond

func appliedBy(ctx context.Context, store *db.Store, seq uint64) error {
	for {
		applied, err := store.AppliedTo(ctx)
		switch {
		case err != nil:
			return err
		case applied >= seq:
			return nil
		}
		if err := sleep(ctx, lookAgain); err != nil {
			return err
		}
	}
}

func (a *app) deadDiscard() *cobra.Command {
	var reason string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "discard ENTRY --reason TEXT",
		Short: "Say that a dead letter or a refused event is done with",
		Args:  cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&reason, "reason", "", "why it is not needed; kept on the log")
	c.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to wait until the worker has it")
	c.RunE = func(c *cobra.Command, args []string) error {
		sequence, err := sequenceArg(args[0])
		if err != nil {
			return err
		}
		if reason == "" || len(reason) > events.MaxReason {
			return usageError{fmt.Errorf("--reason: say why, in at most %d characters", events.MaxReason)}
		}
		return a.withStore(c, func(ctx context.Context, cfg config.Config, store *db.Store) error {
			l, err := store.Letter(ctx, sequence)
			if err != nil {
				return err
			}
			if l.Closed > 0 {
				return a.out.Linef("entry %d: %s", sequence, closedBy(l))
			}
			return a.atTheLog(ctx, cfg, func(ctx context.Context, nc *nats.Conn) error {
				return a.discard(ctx, store, nc, l, reason, wait)
			})
		})
	}
	return c
}

func (a *app) discard(ctx context.Context, store *db.Store, nc *nats.Conn, l db.Letter, reason string, wait time.Duration) error {
	account := events.AccountOf(l.Subject)
	b := workflow.Discarded{Sequence: l.Sequence, Reason: reason}
	if _, err := eventlog.AppendDiscarded(ctx, nc, account, l.Document, time.Now(), b); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wait)
	defer cancel()
	for {
		now, err := store.Letter(ctx, l.Sequence)
		switch {
		case err == nil && now.Closed > 0:
			return a.out.Linef("entry %d: %s", l.Sequence, closedBy(now))
		case err != nil && ctx.Err() == nil:
			return err
		}
		if sleep(ctx, lookAgain) != nil {
			return fmt.Errorf("it stands on the log, and no worker with this data directory has applied it in %s: %w", wait, workflow.ErrUnavailable)
		}
	}
}
