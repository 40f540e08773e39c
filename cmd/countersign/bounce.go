package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/events"
	"countersign/internal/config"
	"countersign/internal/mail"
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
		Short: "Take in what a mail server reports of a mail: undeliverable, delayed",
		Long: `Reads a delivery status report (RFC 3464) as it came by mail ("-" for standard input, as a mail server's pipe has it), finds
the mail that it is about by its Message-ID, and publishes it as a mail.bounced event. A second copy of the same report
changes nothing. Without --nats-url the event goes to the server that a worker on this machine embeds. Where this machine
has a worker's database, it says what became of the event.

Exit codes: 0 it is on the log; 65 it is no report, or on no mail that was sent; 66 the file cannot be read; 75 the log
does not answer, or the settings are wrong: try again.`,
		Example: "  countersign bounce report.eml\n  # Postfix, /etc/aliases:\n  loa-bounces: \"|/usr/local/bin/countersign bounce - --nats-url nats://nats.example.com\"",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().DurationVar(&wait, "wait", 2*time.Second, "how long to wait for what becomes of it")
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg, err := a.load(c)
		if err != nil {
			return exitError{err, exitTemporary} // a mail server keeps the report until they are right
		}
		report, err := readReport(args[0])
		if err != nil {
			return err
		}
		return a.takeIn(c.Context(), cfg, report, wait)
	}
	return c
}

func readReport(name string) (mail.Report, error) {
	f := os.Stdin
	if name != "-" {
		var err error
		if f, err = os.Open(name); err != nil {
			return mail.Report{}, exitError{err, exitNoInput}
		}
		defer f.Close()
	}
	report, err := mail.ReadReport(f)
	switch {
	case errors.Is(err, mail.ErrNoReport), errors.Is(err, mail.ErrNotOurs):
		err = exitError{fmt.Errorf("%s: %w", name, err), exitDataError}
	case err != nil:
		err = exitError{err, exitNoInput}
	}
	return report, err
}

// takeIn publishes a report, and says what came of it where that can be known.
func (a *app) takeIn(ctx context.Context, cfg config.Config, report mail.Report, wait time.Duration) error {
	// Whoever runs a mail server's pipe may not read the database, or there is
	// none here: then whose mail it is stays open, and the event says no less.
	store, err := db.OpenReader(ctx, cfg.DataDir)
	var account workflow.SID
	if err == nil {
		defer store.Close()
		if d, err := store.Document(ctx, report.Mail.Document()); err == nil {
			account = d.AccountSID
		}
	}
	e := events.Bounced("", "bounce."+report.ID, account, report.Bounced).By(workflow.WriterBounce)
	e.Time = time.Now()
	sequence, err := a.publishOne(ctx, cfg, e)
	switch {
	case errors.Is(err, workflow.ErrUnavailable):
		return exitError{err, exitTemporary}
	case err != nil:
		return err
	}
	a.out.Linef("%s: %s, status %s, entry %d", report.Mail, report.Action, report.Status, sequence)
	if store == nil {
		return nil
	}
	result, err := resultOf(ctx, store, e, sequence, wait)
	var p *workflow.Problem
	switch {
	case errors.As(err, &p):
		return exitError{err, exitDataError}
	case err != nil:
		a.err.Error("", err) // it is on the log: nobody has to do anything
		return nil
	}
	return a.out.Linef("%s", result)
}

// publishOne publishes one event. It fails with workflow.ErrUnavailable where
// the log does not answer: then the program may be run again.
func (a *app) publishOne(ctx context.Context, cfg config.Config, e events.Event) (sequence uint64, err error) {
	err = a.atTheLog(ctx, cfg, func(ctx context.Context, nc *nats.Conn) error {
		js, err := jetstream.New(nc)
		if err == nil {
			sequence, err = events.Publish(ctx, js, e)
		}
		return err
	})
	var p *workflow.Problem
	var usage usageError
	if err == nil || errors.Is(err, workflow.ErrUnavailable) || errors.As(err, &p) || errors.As(err, &usage) {
		return sequence, err
	}
	return 0, fmt.Errorf("%w: %w", workflow.ErrUnavailable, err)
}

// resultOf waits until the worker of this machine has applied an event, and
// returns what became of it. It fails with a *workflow.Problem where the event
// was turned down, and with workflow.ErrUnavailable where no worker applies it
// in time.
func resultOf(ctx context.Context, store *db.Store, e events.Event, sequence uint64, wait time.Duration) (workflow.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := appliedBy(ctx, store, sequence); err != nil {
		return "", fmt.Errorf("%w: entry %d stands on the log, and no worker with this data directory has applied it in %s; it counts as soon as one runs: look again then", workflow.ErrUnavailable, sequence, wait)
	}
	result, met, err := store.WhatBecame(ctx, e.Identity())
	if err != nil {
		return "", err
	}
	turned, err := store.Letter(ctx, met)
	switch {
	case err == nil:
		return "", fmt.Errorf("entry %d was turned down: %w", met, &workflow.Problem{Code: turned.Code, Message: turned.Message, Field: turned.Field})
	case !errors.Is(err, workflow.ErrNotFound):
		return "", err
	}
	return result, nil
}
