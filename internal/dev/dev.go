// Package dev runs a worker and a mail catcher in one process, to try the program
// out: it gives an account a token, publishes a file, and shows how its documents
// end.
package dev

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"countersign/db"
	"countersign/internal/catcher"
	"countersign/internal/config"
	"countersign/internal/publish"
	"countersign/internal/show"
	"countersign/internal/terminal"
	"countersign/internal/worker"
	"countersign/workflow"
)

// Dev is a worker with the catcher that takes its emails.
type Dev struct {
	Config  config.Config
	Worker  *worker.Worker
	Catcher *catcher.Catcher
	Out     *terminal.Printer // for the ends of documents
	Notes   *terminal.Printer // for addresses and progress
}

// account is an account of the example day.
const account workflow.SID = "AC26afce54bcde795fe40605a037dbf3a6"

// PrintAddresses prints where the worker's servers are. For the REST API it gives
// the account of the example day a new token. It fails as accounts.File does.
func (d *Dev) PrintAddresses() error {
	w := d.Worker
	token, err := w.Accounts().Add(account, "")
	if errors.Is(err, workflow.ErrConflict) { // from an earlier run on the same directory
		token, err = w.Accounts().Rotate(account)
	}
	if err != nil {
		return err
	}
	d.Notes.Linef("API    %s  account %s  token %s", w.PublicURL(), account, token)
	d.Notes.Linef("inbox  http://%s/inbox/", w.AdminAddr())
	d.Notes.Linef("admin  http://%s/", w.AdminAddr())
	d.Notes.Linef("data   %s", d.Config.DataDir)
	who := "token in " + d.Config.NATSTokenFile
	if d.Config.NATSTokenFile == "" {
		who = "open: every user of this machine can publish and read all events; countersign serve asks for a token"
	}
	if url := w.NATS().ClientURL(); url != "" {
		d.Notes.Linef("NATS   %s  %s", url, who)
	}
	return nil
}

// Run runs the worker and the catcher, sends the lines through them, and stays
// until ctx ends. The catcher ends last: the worker finishes its emails.
func (d *Dev) Run(ctx context.Context, lines []publish.Line) error {
	catching, noMore := context.WithCancel(context.WithoutCancel(ctx))
	defer noMore()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	caught, worked := make(chan error, 1), make(chan error, 1)
	go func() { caught <- d.Catcher.Run(catching) }()
	go func() {
		worked <- d.Worker.Run(ctx)
		stop()
	}()
	err := d.answerCalls(ctx)
	if err == nil {
		err = d.show(ctx, lines)
	}
	switch {
	case ctx.Err() != nil:
		err = nil // somebody pressed Ctrl-C, or the worker says why it ended
	case err == nil:
		d.Notes.Linef("")
		d.Notes.Linef("up until Ctrl-C")
		<-ctx.Done()
	}
	stop()
	err = errors.Join(err, <-worked)
	noMore()
	return errors.Join(err, <-caught)
}

// settleIn is how long a published file may take until nothing is pending.
const settleIn = 2 * time.Minute

// show publishes lines, waits until nothing is pending, and prints where each
// document ended.
func (d *Dev) show(ctx context.Context, lines []publish.Line) error {
	select {
	case <-d.Worker.CaughtUp():
	case <-ctx.Done():
		return nil
	}
	if len(lines) == 0 {
		return nil
	}
	if _, err := publish.Send(ctx, d.Worker.Conn(), lines, publish.Options{Wait: time.Minute, Notes: d.Notes}); err != nil {
		return err
	}
	rest, cancel := context.WithTimeout(ctx, settleIn)
	defer cancel()
	if err := d.Worker.WaitSettled(rest); err != nil {
		return fmt.Errorf("emails and events are still pending after %s: %w", settleIn, err)
	}
	store := d.Worker.Store()
	docs, err := store.Documents(ctx, db.Filter{Limit: 10_000})
	if err != nil {
		return err
	}
	slices.Reverse(docs)
	lives := make([]db.Life, len(docs))
	for i, doc := range docs {
		if lives[i], err = store.Life(ctx, doc.SID); err != nil {
			return err
		}
	}
	c, err := store.Counts(ctx, d.Worker.Now())
	if err != nil {
		return err
	}
	if err := show.Ends(d.Out, lives, c, d.Catcher.Count()); err != nil {
		return err
	}
	return d.Out.Linef("read the emails at http://%s/inbox/", d.Worker.AdminAddr())
}
