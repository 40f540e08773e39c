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

func (a *app) deadList() *cobra.Command {
	var f db.TurnedFilter
	var account, document, code, since string
	var dead, refused, asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List dead letters and refused events that are open, the newest first",
		Args:  cobra.NoArgs,
	}
	c.Flags().StringVar(&account, "account", "", "only on subjects of this account (AC…)")
	c.Flags().StringVar(&document, "document", "", "only about this document (PX…)")
	c.Flags().StringVar(&code, "code", "", "only with this code: invalid, status_conflict and so on")
	c.Flags().StringVar(&since, "since", "", "only since this time (RFC 3339), or for so long (36h)")
	c.Flags().BoolVar(&dead, "dead", false, "only dead letters")
	c.Flags().BoolVar(&refused, "refused", false, "only refused events")
	c.Flags().BoolVar(&f.Closed, "all", false, "those that were sent again or discarded, too")
	c.Flags().IntVar(&f.Limit, "limit", 50, "at most so many")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		f.Account, f.Code = workflow.SID(account), workflow.Code(code)
		switch {
		case dead && refused:
			return usageError{errors.New("--dead and --refused exclude each other; leave both out to see both")}
		case dead:
			f.Only = db.OnlyDead
		case refused:
			f.Only = db.OnlyRefused
		}
		if document != "" {
			if document, err = sidArg(document); err != nil {
				return err
			}
		}
		if code != "" && !slices.Contains(workflow.Codes, f.Code) {
			return unknownValue("--code", code, workflow.Codes)
		}
		if err := accountFilter(account); err != nil {
			return err
		}
		if f.Limit < 1 {
			return usageError{errors.New("--limit must be at least 1")}
		}
		if f.Since, err = sinceFlag(since, time.Now()); err != nil {
			return err
		}
		return a.withStore(c, func(ctx context.Context, _ config.Config, store *db.Store) error {
			if document != "" {
				if f.Document, err = store.FindSID(ctx, document); err != nil {
					return err
				}
			}
			letters, err := store.Letters(ctx, f)
			if err != nil {
				return err
			}
			a.sayLimit(len(letters), f.Limit)
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
			l, err := store.Letter(ctx, sequence)
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
