package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"countersign/internal/eventlog"
	"countersign/internal/show"
)

func (a *app) bounces() *cobra.Command {
	c := &cobra.Command{
		Use:   "bounces",
		Short: "Look at what came to the return path of emails and could not be read",
		Args:  cobra.ArbitraryArgs,
		RunE:  group,
	}
	c.AddCommand(a.unread())
	return c
}

func (a *app) unread() *cobra.Command {
	var limit int
	var asJSON bool
	c := &cobra.Command{
		Use:   "unread",
		Short: "List the messages to the return path that could not be read, the newest first",
		Long: `Lists the messages that "countersign bounce" could not read. Addresses and links in them are "<…>": the mail server has the
originals. They change nothing, and stay until somebody discards them. If one says that an email came back, publish a mail.bounced
event or cancel the document, and discard it.`,
		Args: cobra.NoArgs,
	}
	c.Flags().IntVar(&limit, "limit", 50, "maximum number of reports")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if limit < 1 {
			return usageError{errors.New("--limit must be at least 1")}
		}
		return a.withLog(c, func(ctx context.Context, nc *nats.Conn) error {
			list, err := eventlog.AllUnread(ctx, nc)
			if err != nil {
				return err
			}
			slices.Reverse(list)
			list = list[:min(len(list), limit)]
			a.sayLimit(len(list), limit)
			if asJSON {
				return show.EachJSON(a.out, list)
			}
			return show.UnreadReports(a.out, list)
		})
	}
	c.AddCommand(a.unreadShow(), a.unreadDiscard())
	return c
}

func (a *app) unreadShow() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show REPORT",
		Short: "Show an unread report: what is left of it without addresses and links",
		Args:  cobra.ExactArgs(1),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	c.RunE = func(c *cobra.Command, args []string) error {
		sequence, err := reportArg(args[0])
		if err != nil {
			return err
		}
		return a.withLog(c, func(ctx context.Context, nc *nats.Conn) error {
			u, err := eventlog.UnreadAt(ctx, nc, sequence)
			if err != nil {
				return err
			}
			if asJSON {
				return show.EachJSON(a.out, []eventlog.Unread{u})
			}
			return show.UnreadReport(a.out, u)
		})
	}
	return c
}

func (a *app) unreadDiscard() *cobra.Command {
	return &cobra.Command{
		Use:   "discard REPORT…",
		Short: "Remove unread reports that are dealt with; the server overwrites their bytes",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var all []uint64
			for _, arg := range args {
				sequence, err := reportArg(arg)
				if err != nil {
					return err
				}
				all = append(all, sequence)
			}
			return a.withLog(c, func(ctx context.Context, nc *nats.Conn) error {
				for _, sequence := range all {
					if err := eventlog.DiscardUnread(ctx, nc, sequence); err != nil {
						return err
					}
					a.out.Linef("report %d is discarded", sequence)
				}
				return nil
			})
		},
	}
}

// reportArg reads the number of an unread report.
func reportArg(arg string) (uint64, error) {
	n, err := sequenceArg(arg)
	if err != nil {
		return 0, usageError{fmt.Errorf("want the number of an unread report, got %q; countersign bounces unread shows them", arg)}
	}
	return n, nil
}
