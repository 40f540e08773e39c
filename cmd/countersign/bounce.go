package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/internal/config"
	"countersign/internal/eventlog"
	"countersign/internal/mail/report"
	"countersign/internal/operator"
	"countersign/internal/session"
	"countersign/internal/show"
	"countersign/internal/terminal"
	"countersign/workflow"
)

// Exit codes of bounce, from sysexits.h: they tell a mail server's pipe whether to
// return the message or to retry.
const (
	exitDataError = 65 // EX_DATAERR
	exitNoInput   = 66 // EX_NOINPUT
	exitTemporary = 75 // EX_TEMPFAIL
)

func (a *app) bounce() *cobra.Command {
	c := &cobra.Command{
		Use:   "bounce FILE",
		Short: "Take in a message to the return path of emails: a report that an email is undeliverable or delayed, or an automatic reply",
		Long: `Reads a message that came to the return path of emails ("-" for standard input, as in a mail server's pipe): a delivery status
report (RFC 3464), a report in a mail server's own words, or an automatic reply. Marks in our emails tell which email the message
is about. The report is published as a mail.bounced event. An automatic reply is noted and changes nothing. A message that
cannot be understood is kept as an unread report; "countersign bounces unread" lists these. A second copy of a message changes
nothing. Without --nats-url the event goes to the server that a worker on this machine embeds. If this machine has a worker's
database, the command prints the outcome of the event.

Exit codes: 0 the event is on the log, the message is kept as unread, or there is nothing to do; 65 the report is about no email
that was sent (see dead list); 66 the file cannot be read or is empty; 75 the log does not answer or the settings are wrong: retry.`,
		Example: "  countersign bounce report.eml\n  # Postfix, /etc/aliases:\n  loa-bounces: \"|/usr/local/bin/countersign bounce - --nats-url nats://nats.example.com\"",
		Args:    cobra.ExactArgs(1),
	}
	wait, dryRun := waitFlag(c, 2*time.Second), dryRunFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg, err := a.load(c)
		if err != nil {
			return exitError{err, exitTemporary} // a mail server keeps the report until they are right
		}
		read, err := readReport(args[0])
		if err != nil {
			return err
		}
		if *dryRun {
			return show.Reading(a.out, read)
		}
		if read.Unread != nil {
			return a.keepUnread(c.Context(), cfg, *read.Unread)
		}
		return a.takeIn(c.Context(), cfg, read, *wait)
	}
	return c
}

func readReport(name string) (report.Reading, error) {
	f, err := terminal.Open(name)
	if err != nil {
		return report.Reading{}, exitError{err, exitNoInput}
	}
	defer f.Close()
	read, err := report.Read(f)
	if err != nil {
		err = exitError{fmt.Errorf("%s: %w", name, err), exitNoInput}
	}
	return read, err
}

// keepUnread keeps a message that was not understood, for an operator to see.
func (a *app) keepUnread(ctx context.Context, cfg config.Config, u report.Unread) error {
	err := session.Do(ctx, cfg, logger(a.err, cfg), func(ctx context.Context, nc *nats.Conn) error {
		return eventlog.KeepUnread(ctx, nc, eventlog.Unread{
			Digest: u.Digest, Reason: u.Reason, From: u.From, Subject: u.Subject, Mails: u.Mails, Text: u.Text,
		})
	})
	if err != nil {
		return exitError{err, exitTemporary}
	}
	return a.out.Linef("kept as an unread report: %s", u.Reason)
}

// takeIn publishes what a message reports, and prints the outcome if it is known.
func (a *app) takeIn(ctx context.Context, cfg config.Config, read report.Reading, wait time.Duration) error {
	if len(read.Reports) == 0 {
		return show.Reading(a.out, read)
	}
	o := &operator.Operator{Config: cfg, Logger: logger(a.err, cfg), Wait: wait}
	// A mail server's pipe may run where there is no database, or as a user who
	// cannot read it. The event is published nevertheless; its outcome is not known.
	if store, err := db.OpenReader(ctx, cfg.DataDir); err == nil {
		defer store.Close()
		o.Store = store
	}
	taken, err := o.TakeIn(ctx, read.ID, read.Reports)
	show.TakenIn(a.out, a.err, taken)
	switch {
	case errors.As(err, new(*workflow.Problem)):
		return exitError{err, exitDataError}
	case err != nil: // a mail server keeps the report and tries again
		return exitError{err, exitTemporary}
	}
	return nil
}
