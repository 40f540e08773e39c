package main

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/events"
	"countersign/internal/config"
	"countersign/internal/operator"
	"countersign/internal/show"
	"countersign/internal/terminal"
	"countersign/workflow"
)

func (a *app) dead() *cobra.Command {
	return parent("dead", "Look at dead letters and refused events, redrive or discard them",
		`A dead letter is an event that could not be read. A refused event asked for what its document cannot do. Neither changes
anything, and later events do not wait for it. The payload stays on the log. These commands read the database of a worker
on this machine, running or not (see --data-dir), and the log.`,
		a.deadList(), a.deadShow(), a.deadRedrive(), a.deadDiscard())
}

// deadFlags are the filters of dead list as they were given.
type deadFlags struct {
	account, document, code, since string
	dead, refused, closed          bool
	limit                          *int
}

// filter checks the filters. The document is looked up later: its sid may be
// shortened.
func (f deadFlags) filter(now time.Time) (out db.RefusalFilter, err error) {
	out = db.RefusalFilter{Account: workflow.SID(f.account), Code: workflow.Code(f.code), Closed: f.closed, Limit: *f.limit}
	switch {
	case f.dead && f.refused:
		return out, usagef("--dead and --refused exclude each other; leave both out to see both")
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
	if out.Since, err = config.Since(f.since, now); err != nil {
		err = usagef("--since %w", err)
	}
	return out, err
}

func (a *app) deadList() *cobra.Command {
	var f deadFlags
	c := &cobra.Command{
		Use:     "list",
		Short:   "List open dead letters and refused events, the newest first",
		Example: "  countersign dead list --since 36h --code invalid",
		Args:    cobra.NoArgs,
	}
	c.Flags().StringVar(&f.account, "account", "", "only events on subjects of this account (AC…)")
	c.Flags().StringVar(&f.document, "document", "", "only events about this document (PX…)")
	c.Flags().StringVar(&f.code, "code", "", "only events with this code: invalid, status_conflict and so on")
	c.Flags().StringVar(&f.since, "since", "", "only events since this time (2026-11-23T15:04:05Z), or of this long (36h)")
	c.Flags().BoolVar(&f.dead, "dead", false, "only dead letters")
	c.Flags().BoolVar(&f.refused, "refused", false, "only refused events")
	c.Flags().BoolVar(&f.closed, "all", false, "also events that were redriven or discarded")
	f.limit = limitFlag(c, "entries")
	asJSON := jsonLines(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		filter, err := f.filter(time.Now())
		if err == nil && f.document != "" {
			f.document, err = sidArg(f.document)
		}
		if err != nil {
			return err
		}
		return a.withStore(c, func(ctx context.Context, store *db.Store) error {
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
			if *asJSON {
				return show.EachJSON(a.out, show.DeadLettersJSON(letters))
			}
			return show.DeadLetters(a.out, letters)
		})
	}
	return c
}

func (a *app) deadShow() *cobra.Command {
	c := &cobra.Command{
		Use:   "show ENTRY",
		Short: "Show a dead letter or a refused event: why, what to do, and its payload",
		Args:  cobra.ExactArgs(1),
	}
	asJSON := jsonObject(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		sequence, err := sequenceArg(args[0], "ENTRY", "countersign dead list")
		if err != nil {
			return err
		}
		return a.withOperator(c, 0, func(ctx context.Context, o *operator.Operator) error {
			l, err := o.Store.DeadLetter(ctx, sequence)
			if err != nil {
				return err
			}
			m, away := o.ReadEntry(ctx, sequence)
			if *asJSON {
				return show.DeadLetterAsJSON(a.out, l, m, away)
			}
			return show.DeadLetter(a.out, l, m, away)
		})
	}
	return c
}

func (a *app) deadRedrive() *cobra.Command {
	var how events.Repair
	var file string
	c := &cobra.Command{
		Use:   "redrive ENTRY",
		Short: "Send a dead letter or a refused event again, repaired or as it was",
		Long: `Appends the event again, under a new id that follows from the entry's sequence, and waits for the worker on this machine to
apply it. Redriving an entry twice changes nothing. If the event is refused again, redrive the new entry.`,
		Example: "  countersign dead redrive 42\n  countersign dead redrive 42 --set data.email=owner@example.com\n  countersign dead redrive 42 --file repaired.json",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&file, "file", "", `the whole repaired CloudEvent, as JSON ("-" for standard input); its id and source are replaced`)
	c.Flags().StringArrayVar(&how.Set, "set", nil, "change one field, FIELD=VALUE; a value that is JSON counts as JSON, any other as text; may be given several times")
	c.Flags().StringVar(&how.Subject, "subject", "", "send the event on this subject instead")
	wait, dryRun := waitFlag(c, 30*time.Second), dryRunFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		sequence, err := sequenceArg(args[0], "ENTRY", "countersign dead list")
		if err != nil {
			return err
		}
		if file != "" {
			if how.Event, err = terminal.ReadFile(file); err != nil {
				return err
			}
		}
		return a.withOperator(c, *wait, func(ctx context.Context, o *operator.Operator) error {
			r, err := o.Redrive(ctx, sequence, how, *dryRun)
			return show.Redriven(a.out, a.err, sequence, r, err)
		})
	}
	return c
}

func (a *app) deadDiscard() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:     "discard ENTRY --reason TEXT",
		Short:   "Close a dead letter or a refused event that needs no more work",
		Example: "  countersign dead discard 42 --reason 'published again as 57'",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&reason, "reason", "", "why the event is not needed; the log keeps it")
	wait, dryRun := waitFlag(c, 30*time.Second), dryRunFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		sequence, err := sequenceArg(args[0], "ENTRY", "countersign dead list")
		if err != nil {
			return err
		}
		if n := utf8.RuneCountInString(reason); strings.TrimSpace(reason) == "" || n > events.MaxReason || strings.ContainsFunc(reason, unicode.IsControl) {
			return usagef("--reason must say why, in 1 to %d characters without control characters", events.MaxReason)
		}
		return a.withOperator(c, *wait, func(ctx context.Context, o *operator.Operator) error {
			l, err := o.Discard(ctx, sequence, reason, *dryRun)
			switch {
			case err != nil:
				return err
			case l.Closed == 0:
				return a.out.Linef("entry %d would be discarded: %s", sequence, reason)
			}
			return a.out.Linef("entry %d: %s", sequence, show.State(l))
		})
	}
	return c
}
