package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/events"
	"countersign/internal/config"
	"countersign/internal/eventlog"
	"countersign/internal/session"
	"countersign/internal/show"
	"countersign/workflow"
)

func (a *app) dead() *cobra.Command {
	c := &cobra.Command{
		Use:   "dead",
		Short: "Look at dead letters and refused events, send them again, discard them",
		Long: `Events that could not be read (dead letters) or asked for what a document cannot do (refused) change nothing and keep
nothing waiting. Their payload stays on the log. These commands read the database of a worker on this machine, running
or not (see --data-dir), and the log.`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	c.AddCommand(a.deadList(), a.deadShow(), a.deadRedrive(), a.deadDiscard())
	return c
}

// deadFlags are the filters of dead list as they were given.
type deadFlags struct {
	account, document, code, since string
	dead, refused, closed          bool
	limit                          int
}

// filter checks the filters. The document is looked up later: its sid may be
// shortened.
func (f deadFlags) filter(now time.Time) (out db.RefusalFilter, err error) {
	out = db.RefusalFilter{Account: workflow.SID(f.account), Code: workflow.Code(f.code), Closed: f.closed, Limit: f.limit}
	switch {
	case f.dead && f.refused:
		return out, usageError{errors.New("--dead and --refused exclude each other; leave both out to see both")}
	case f.dead:
		out.Only = db.OnlyDead
	case f.refused:
		out.Only = db.OnlyRefused
	}
	if f.code != "" && !slices.Contains(workflow.Codes, out.Code) {
		return out, unknownValue("--code", f.code, workflow.Codes)
	}
	if err := accountFilter(f.account); err != nil {
		return out, err
	}
	if f.limit < 1 {
		return out, usageError{errors.New("--limit must be at least 1")}
	}
	out.Since, err = sinceFlag(f.since, now)
	return out, err
}

func (a *app) deadList() *cobra.Command {
	var f deadFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List dead letters and refused events that are open, the newest first",
		Args:  cobra.NoArgs,
	}
	c.Flags().StringVar(&f.account, "account", "", "only on subjects of this account (AC…)")
	c.Flags().StringVar(&f.document, "document", "", "only about this document (PX…)")
	c.Flags().StringVar(&f.code, "code", "", "only with this code: invalid, status_conflict and so on")
	c.Flags().StringVar(&f.since, "since", "", "only since this time (RFC 3339), or for so long (36h)")
	c.Flags().BoolVar(&f.dead, "dead", false, "only dead letters")
	c.Flags().BoolVar(&f.refused, "refused", false, "only refused events")
	c.Flags().BoolVar(&f.closed, "all", false, "those that were sent again or discarded, too")
	c.Flags().IntVar(&f.limit, "limit", 50, "maximum number of entries")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	c.RunE = func(c *cobra.Command, _ []string) error {
		filter, err := f.filter(time.Now())
		if err == nil && f.document != "" {
			f.document, err = sidArg(f.document)
		}
		if err != nil {
			return err
		}
		return a.withStore(c, func(ctx context.Context, _ config.Config, store *db.Store) error {
			if f.document != "" {
				if filter.Document, err = store.FindSID(ctx, f.document); err != nil {
					return err
				}
			}
			letters, err := store.DeadLetters(ctx, filter)
			if err != nil {
				return err
			}
			a.sayLimit(len(letters), filter.Limit)
			if asJSON {
				return show.EachJSON(a.out, show.DeadLettersJSON(letters))
			}
			return show.DeadLetters(a.out, letters)
		})
	}
	return c
}

func sinceFlag(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, usageError{fmt.Errorf("--since: want a time such as 2026-11-23T15:04:05Z or a duration such as 36h, got %q", text)}
	}
	return at, nil
}

// sequenceArg reads the sequence that a command is about.
func sequenceArg(arg string) (uint64, error) {
	n, err := strconv.ParseUint(arg, 10, 64)
	if err != nil || n == 0 {
		return 0, usageError{fmt.Errorf("not a sequence on the log: %q; dead list shows them", arg)}
	}
	return n, nil
}

func (a *app) deadShow() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show ENTRY",
		Short: "Show a dead letter or a refused event: why, what to do, and its payload",
		Args:  cobra.ExactArgs(1),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	c.RunE = func(c *cobra.Command, args []string) error {
		sequence, err := sequenceArg(args[0])
		if err != nil {
			return err
		}
		return a.withStore(c, func(ctx context.Context, cfg config.Config, store *db.Store) error {
			l, err := store.DeadLetter(ctx, sequence)
			if err != nil {
				return err
			}
			m, away := a.readEntry(ctx, cfg, sequence)
			if asJSON {
				return show.DeadLetterAsJSON(a.out, l, m, away)
			}
			return show.DeadLetter(a.out, l, m, away)
		})
	}
	return c
}

// readEntry reads an entry from the log, and gives up soon if the log does not
// answer.
func (a *app) readEntry(ctx context.Context, cfg config.Config, sequence uint64) (m events.Message, err error) {
	err = session.Do(ctx, cfg, logger(a.err, cfg), func(ctx context.Context, nc *nats.Conn) error {
		m, err = eventlog.ReadEntry(ctx, nc, sequence)
		return err
	})
	return m, err
}
