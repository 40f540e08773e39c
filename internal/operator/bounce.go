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
	"countersign/internal/eventlog"
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
		Short: "Take in what comes to the return path of emails: reports that one is undeliverable or delayed, automatic replies",
		Long: `Reads a message as it came to the return path of emails ("-" for standard input, as a mail server's pipe has it): a delivery
status report (RFC 3464), what mail servers write that have none, or an automatic reply. It finds the email that the message is about
by the marks that emails carry, and publishes what it says as a mail.bounced event. An automatic reply is noted and changes nothing.
What cannot be understood is kept as an unread report; "countersign bounces unread" lists those. A second copy of the same message
changes nothing. Without --nats-url the event goes to the server that a worker on this machine embeds. If this machine has a worker's
database, the command says what became of the event.

Exit codes: 0 it is on the log, or kept as unread, or there is nothing to do; 65 it is on no email that was sent (dead list shows it);
66 the file cannot be read, or is empty; 75 the log does not answer, or the settings are wrong: try again.`,
		Example: "  countersign bounce report.eml\n  # Postfix, /etc/aliases:\n  loa-bounces: \"|/usr/local/bin/countersign bounce - --nats-url nats://nats.example.com\"",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().DurationVar(&wait, "wait", 2*time.Second, "how long to wait for what becomes of it")
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

func readReport(name string) (mail.Reading, error) {
	f := os.Stdin
	if name != "-" {
		var err error
		if f, err = os.Open(name); err != nil {
			return mail.Reading{}, exitError{err, exitNoInput}
		}
		defer f.Close()
	}
	read, err := mail.ReadReport(f)
	if err != nil {
		err = exitError{fmt.Errorf("%s: %w", name, err), exitNoInput}
	}
	return read, err
}

// keepUnread keeps a message that was not understood, for an operator to see.
func (a *app) keepUnread(ctx context.Context, cfg config.Config, u mail.Unread) error {
	err := a.atTheLog(ctx, cfg, func(ctx context.Context, nc *nats.Conn) error {
		return eventlog.KeepUnread(ctx, nc, eventlog.Unread{
			Digest: u.Digest, Reason: u.Reason, From: u.From, Subject: u.Subject, Mails: u.Mails, Text: u.Text,
		})
	})
	if err != nil {
		return exitError{err, exitTemporary}
	}
	return a.out.Linef("kept as an unread report: %s", u.Reason)
}

// takeIn publishes what a message reports, and says what came of it if that can
// be known.
func (a *app) takeIn(ctx context.Context, cfg config.Config, read mail.Reading, wait time.Duration) error {
	if len(read.Reports) == 0 {
		return a.out.Linef("an automatic reply that names no email from here: nothing to do")
	}
	// Whoever runs a mail server's pipe may not read the database, or there is
	// none here: then whose mail it is stays open, and the event says no less.
	store, err := db.OpenReader(ctx, cfg.DataDir)
	if err != nil {
		store = nil
	} else {
		defer store.Close()
	}
	var refused error
	counts := false
	for _, e := range bounceEvents(ctx, store, read) {
		err := a.takeInOne(ctx, cfg, store, e, wait)
		var p *workflow.Problem
		switch {
		case errors.As(err, &p):
			refused = err
		case err != nil:
			return err
		default:
			counts = true
		}
	}
	if counts {
		return nil
	}
	return exitError{refused, exitDataError}
}

// bounceEvents makes the events of a reading: one for each document whose emails
// it names. Of several documents those that are not known here are left out, if
// another is.
func bounceEvents(ctx context.Context, store *db.Store, read mail.Reading) (all []events.Event) {
	var known []events.Event
	for i, b := range read.Reports {
		id := "bounce." + read.ID
		if i > 0 {
			id = fmt.Sprintf("%s#%d", id, i)
		}
		var account workflow.SID
		if store != nil {
			if d, err := store.Document(ctx, b.Mail.Document()); err == nil {
				account = d.AccountSID
			}
		}
		e := events.Bounced("", id, account, b).By(workflow.WriterBounce)
		e.Time = time.Now()
		all = append(all, e)
		if account != "" {
			known = append(known, e)
		}
	}
	if len(known) > 0 {
		return known
	}
	return all
}

// takeInOne publishes one event. It fails with a *workflow.Problem if the event
// was refused.
func (a *app) takeInOne(ctx context.Context, cfg config.Config, store *db.Store, e events.Event, wait time.Duration) error {
	sequence, err := a.publishOne(ctx, cfg, e)
	switch {
	case errors.Is(err, workflow.ErrUnavailable):
		return exitError{err, exitTemporary}
	case err != nil:
		return err
	}
	b := e.Body.(workflow.Bounced)
	a.out.Linef("%s: %s, status %s, entry %d", b.Mail, b.Action, b.Status, sequence)
	if store == nil {
		return nil
	}
	result, err := resultOf(ctx, store, e, sequence, wait)
	var p *workflow.Problem
	switch {
	case errors.As(err, &p):
		return err
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
		return "", fmt.Errorf("entry %d was refused: %w", met, &workflow.Problem{Code: turned.Code, Message: turned.Message, Field: turned.Field})
	case !errors.Is(err, workflow.ErrNotFound):
		return "", err
	}
	return result, nil
}
