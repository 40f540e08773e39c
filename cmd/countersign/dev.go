package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/internal/catcher"
	"countersign/internal/config"
	"countersign/internal/natsd"
	"countersign/internal/publish"
	"countersign/internal/show"
	"countersign/internal/worker"
	"countersign/workflow"
)

func (a *app) dev() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process, to try it out",
		Long: `Runs a worker with everything embedded: NATS, the database, and a mail catcher with an inbox to be read in a browser.
Nothing leaves this machine. Without --data-dir the data is gone afterwards. Links lead to --listen, unless --public-url
says otherwise.

The catcher refuses mail to no-such-user@… for good, and defers mail to greylisted…@… once.`,
		Example: "  countersign dev --publish examples/day.jsonl",
		Args:    cobra.NoArgs,
	}
	c.Flags().StringVar(&file, "publish", "", "publish this JSON Lines file at the start, and show what became of it")
	c.RunE = func(c *cobra.Command, _ []string) error {
		// The terminal that dev runs in was closed: end as on Ctrl-C.
		ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGHUP)
		defer stop()
		c.SetContext(ctx)
		return a.runDev(c, file)
	}
	return c
}

// devSettings are those of dev that differ from serve's, where nobody says
// otherwise.
func devSettings(c *cobra.Command, environ []string, smtp, dir string) []string {
	for name, value := range map[string]string{
		"smtp-url": "smtp://" + smtp + "?tls=none", "mail-from": "Countersign <loa@countersign.example>",
		"mail-retry-first": "2s", "log-level": "warn", "data-dir": dir, "nats-token-file": natsd.Off,
	} {
		env := "COUNTERSIGN_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		given := func(e string) bool { return strings.HasPrefix(e, env+"=") || strings.HasPrefix(e, env+"_FILE=") }
		if !c.Flags().Changed(name) && !slices.ContainsFunc(environ, given) {
			environ = append(environ, env+"="+value)
		}
	}
	return environ
}

func (a *app) runDev(c *cobra.Command, file string) error {
	var lines []publish.Line
	if file != "" {
		var err error
		if lines, err = publish.ReadFile(file); err != nil {
			return err
		}
	}
	box, err := catcher.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	box.Script(catcher.ByRecipient())
	dir, err := os.MkdirTemp("", "countersign-dev-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	a.environ = devSettings(c, a.environ, box.Addr(), dir)
	cfg, err := a.load(c, "smtp-url", "mail-from")
	switch {
	case err != nil:
		return err
	case cfg.External():
		return usageError{errors.New("dev has NATS in itself, and would put its events on a log that others use: leave nats-url and nats-context out, or run serve")}
	case !strings.Contains(string(cfg.SMTPURL), "//"+box.Addr()+"?"):
		return usageError{errors.New("dev has a mail server of its own, and would send its mails to people: leave smtp-url out, or run serve")}
	}
	if cfg.PublicURL == config.PublicURL {
		cfg.PublicURL = "" // links lead to the listener
	}
	o := workerOptions(cfg, logger(a.err, cfg))
	o.Inbox = box.Handler()
	w, err := worker.New(c.Context(), o)
	if err != nil {
		return err
	}
	if err := a.devAccount(w); err != nil {
		w.Close()
		return err
	}
	return a.play(c.Context(), cfg, w, box, lines)
}

// devAccount is an account of the example day.
const devAccountSID workflow.SID = "AC26afce54bcde795fe40605a037dbf3a6"

// devAccount gives the account a token and prints it, so that a Twilio client
// can be tried.
func (a *app) devAccount(w *worker.Worker) error {
	token, err := w.Accounts().Add(devAccountSID, "")
	if errors.Is(err, workflow.ErrConflict) { // from an earlier run on the same directory
		token, err = w.Accounts().Rotate(devAccountSID)
	}
	if err != nil {
		return err
	}
	a.err.Linef("API    %s  account %s  token %s", w.PublicURL(), devAccountSID, token)
	return nil
}

// play runs the worker and the catcher, sends the lines through them, and
// stays until ctx ends. The catcher goes last: the worker finishes its mails.
func (a *app) play(ctx context.Context, cfg config.Config, w *worker.Worker, box *catcher.Catcher, lines []publish.Line) error {
	catching, noMore := context.WithCancel(context.WithoutCancel(ctx))
	defer noMore()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	caught, worked := make(chan error, 1), make(chan error, 1)
	go func() { caught <- box.Run(catching) }()
	go func() {
		worked <- w.Run(ctx)
		stop()
	}()
	a.err.Linef("inbox  http://%s/inbox/", w.AdminAddr())
	a.err.Linef("admin  http://%s/", w.AdminAddr())
	a.err.Linef("data   %s", cfg.DataDir)
	if url := w.NATS().ClientURL(); url != "" {
		a.err.Linef("NATS   %s%s", url, whoMayConnect(cfg))
	}
	err := a.show(ctx, w, box, lines)
	if err == nil && ctx.Err() == nil {
		a.err.Linef("")
		a.err.Linef("up until Ctrl-C")
		<-ctx.Done()
	}
	stop()
	err = errors.Join(err, <-worked)
	noMore()
	return errors.Join(err, <-caught)
}

// whoMayConnect says who can use the embedded server.
func whoMayConnect(cfg config.Config) string {
	if cfg.NATSTokenFile == "" {
		return "  open: every user of this machine can publish and read all events; countersign serve wants a token"
	}
	return "  token in " + cfg.NATSTokenFile
}

// settleIn is how long a published file may take to come to rest.
const settleIn = 2 * time.Minute

// show publishes lines, waits until nothing is owed, and prints what became of
// the documents.
func (a *app) show(ctx context.Context, w *worker.Worker, box *catcher.Catcher, lines []publish.Line) error {
	select {
	case <-w.CaughtUp():
	case <-ctx.Done():
		return nil
	}
	if len(lines) == 0 {
		return nil
	}
	if _, err := publish.Send(ctx, w.Conn(), lines, publish.Options{Wait: time.Minute, Notes: a.err}); err != nil {
		return ignoreEnd(ctx, err)
	}
	rest, cancel := context.WithTimeout(ctx, settleIn)
	defer cancel()
	if err := w.WaitSettled(rest); err != nil {
		return ignoreEnd(ctx, fmt.Errorf("wait until nothing is owed: %w", err))
	}
	return ignoreEnd(ctx, a.result(ctx, w, box))
}

// ignoreEnd drops an error that only says that somebody pressed Ctrl-C.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// result prints where each document ended, and how much was mailed and
// registered.
func (a *app) result(ctx context.Context, w *worker.Worker, box *catcher.Catcher) error {
	docs, err := w.Store().Documents(ctx, db.Filter{Limit: 10_000})
	if err != nil {
		return err
	}
	slices.Reverse(docs)
	lives := make([]db.Life, len(docs))
	for i, d := range docs {
		if lives[i], err = w.Store().Life(ctx, d.SID); err != nil {
			return err
		}
	}
	c, err := w.Store().Counts(ctx, w.Now())
	if err != nil {
		return err
	}
	if err := show.Ends(a.out, lives, c, box.Count()); err != nil {
		return err
	}
	return a.out.Linef("read the mails at http://%s/inbox/", w.AdminAddr())
}
