package main

import (
	"context"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"countersign/internal/eventlog"
	"countersign/internal/show"
)

func (a *app) bounces() *cobra.Command {
	return parent("bounces", "Look at what came to the return path of emails and could not be read", "", a.unread())
}

func (a *app) unread() *cobra.Command {
	c := &cobra.Command{
		Use:   "unread",
		Short: "List the messages to the return path that could not be read, the newest first",
		Long: `Lists the messages that "countersign bounce" could not read. Addresses and links in them are replaced by "<…>": the mail server
has the originals. They change nothing, and stay until an operator discards them. If one says that an email came back, publish a
mail.bounced event or cancel the document; then discard it.`,
		Args: cobra.NoArgs,
	}
	limit, asJSON := limitFlag(c, "reports"), jsonLines(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withLog(c, func(ctx context.Context, nc *nats.Conn) error {
			list, err := eventlog.AllUnread(ctx, nc)
			if err != nil {
				return err
			}
			slices.Reverse(list)
			list = list[:min(len(list), *limit)]
			a.sayLimit(len(list), *limit)
			return show.List(a.out, *asJSON, list, show.UnreadReports)
		})
	}
	c.AddCommand(a.unreadShow(), a.unreadDiscard())
	return c
}

func (a *app) unreadShow() *cobra.Command {
	c := &cobra.Command{
		Use:   "show REPORT",
		Short: "Show an unread report, without addresses and links",
		Args:  cobra.ExactArgs(1),
	}
	asJSON := jsonObject(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		sequence, err := sequenceArg(args[0], "REPORT", "countersign bounces unread")
		if err != nil {
			return err
		}
		return a.withLog(c, func(ctx context.Context, nc *nats.Conn) error {
			u, err := eventlog.UnreadAt(ctx, nc, sequence)
			if err != nil {
				return err
			}
			if *asJSON {
				return a.out.JSON(u)
			}
			return show.UnreadReport(a.out, u)
		})
	}
	return c
}

func (a *app) unreadDiscard() *cobra.Command {
	c := &cobra.Command{
		Use:     "discard REPORT…",
		Short:   "Remove unread reports that need no more work; the server overwrites their bytes",
		Example: "  countersign bounces unread discard 3 4",
		Args:    cobra.MinimumNArgs(1),
	}
	dryRun := dryRunFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		var all []uint64
		for _, arg := range args {
			sequence, err := sequenceArg(arg, "REPORT", "countersign bounces unread")
			if err != nil {
				return err
			}
			all = append(all, sequence)
		}
		return a.withLog(c, func(ctx context.Context, nc *nats.Conn) error {
			for _, sequence := range all {
				if err := eventlog.DiscardUnread(ctx, nc, sequence, *dryRun); err != nil {
					return err
				}
				a.out.Linef("report %d %s discarded", sequence, show.IsOrWouldBe(*dryRun))
			}
			return nil
		})
	}
	return c
}
