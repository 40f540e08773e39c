package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/internal/config"
	"countersign/internal/eventlog"
	"countersign/internal/mail/report"
	"countersign/internal/operator"
	"countersign/internal/session"
	"countersign/workflow"
)

// Exit codes of bounce, from sysexits.h: by them a mail server's pipe tells
// what it should return from what it should try again.
const (
	exitDataError = 65 // EX_DATAERR
	exitNoInput   = 66 // EX_NOINPUT
	exitTemporary = 75 // EX_TEMPFAIL
)

func (a *app) bounce() *cobra.Command {
	var wait time.Duration
	c := &cobra.Command{
		Use:   "bounce FILE",
		Short: "Take in what comes to the return path of emails: reports that one is undeliverable or delayed, automatic replies",
		Long: `Reads a message as it came to the return path of emails ("-" for standard input, as a mail server's pipe has it): a delivery
status report (RFC 3464), what mail servers write that have none, or an automatic reply. It finds the email that the message is about
by the marks that emails carry, and publishes what it says as a mail.bounced event. An automatic reply is noted and changes nothing.
What cannot be understood is kept as an unread report; "countersign bounces unread" lists those. A second copy of the same message
changes nothing. Without --nats-url the event goes to the server that a worker on this machine embeds. If this machine has a worker's
database, the command prints the outcome of the event.

Exit codes: 0 it is on the log, or kept as unread, or there is nothing to do; 65 it is on no email that was sent (dead list shows it);
66 the file cannot be read, or is empty; 75 the log does not answer, or the settings are wrong: try again.`,
		Example: "  countersign bounce report.eml\n  # Postfix, /etc/aliases:\n  loa-bounces: \"|/usr/local/bin/countersign bounce - --nats-url nats://nats.example.com\"",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().DurationVar(&wait, "wait", 2*time.Second, "how long to wait for the worker to apply it")
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg, err := a.load(c)
		if err != nil {
			return exitError{err, exitTemporary} // a mail server keeps the report until they are right
		}
		read, err := readReport(args[0])
		if err != nil {
			return err
		}
		if read.Unread != nil {
			return a.keepUnread(c.Context(), cfg, *read.Unread)
		}
		return a.takeIn(c.Context(), cfg, read, wait)
	}
	return c
}

func readReport(name string) (report.Reading, error) {
	f := os.Stdin
	if name != "-" {
		var err error
		if f, err = os.Open(name); err != nil {
			return report.Reading{}, exitError{err, exitNoInput}
		}
		defer f.Close()
	}
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
		return a.out.Linef("an automatic reply that names no email from here: nothing to do")
	}
	o := &operator.Operator{Config: cfg, Logger: logger(a.err, cfg), Wait: wait}
	// A mail server's pipe may run where there is no database, or as a user who
	// cannot read it. The event is published nevertheless; its outcome is not known.
	if store, err := db.OpenReader(ctx, cfg.DataDir); err == nil {
		defer store.Close()
		o.Store = store
	}
	taken, err := o.TakeIn(ctx, read.ID, read.Reports)
	for _, t := range taken {
		a.out.Linef("%s: %s, status %s, entry %d", t.Mail, t.Action, t.Status, t.Sequence)
		switch {
		case t.Unknown != nil:
			a.err.Error("", t.Unknown) // it is on the log: nobody has to do anything
		case t.Result != "":
			a.out.Linef("%s", t.Result)
		}
	}
	var p *workflow.Problem
	switch {
	case errors.As(err, &p):
		return exitError{err, exitDataError}
	case errors.Is(err, workflow.ErrUnavailable):
		return exitError{err, exitTemporary}
	}
	return err
}
