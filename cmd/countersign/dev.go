package main

import (
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"countersign/internal/catcher"
	"countersign/internal/config"
	"countersign/internal/dev"
	"countersign/internal/natsd"
	"countersign/internal/publish"
	"countersign/internal/worker"
)

func (a *app) dev() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process, to try it out",
		Long: `Runs a worker with everything embedded: NATS, the database, and a mail catcher with an inbox to be read in a browser.
Nothing leaves this machine. Without --data-dir the data is deleted at the end. Links lead to --listen, or to --public-url if
that is set.

The catcher rejects emails to no-such-user@…, and defers emails to greylisted…@… once.`,
		Example: "  countersign dev --publish examples/day.jsonl",
		Args:    cobra.NoArgs,
	}
	c.Flags().StringVar(&file, "publish", "", "publish this JSON Lines file at the start, and show how its documents end")
	c.RunE = func(c *cobra.Command, _ []string) error {
		// The terminal that dev runs in was closed: end as on Ctrl-C.
		ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGHUP)
		defer stop()
		c.SetContext(ctx)
		return a.runDev(c, file)
	}
	return c
}

// devSettings adds dev's own defaults to environ, for settings that are not
// given.
func devSettings(c *cobra.Command, environ []string, smtp, dir string) []string {
	for name, value := range map[string]string{
		"smtp-url": "smtp://" + smtp + "?tls=none", "mail-from": "Countersign <loa@countersign.example>",
		"mail-retry-first": "2s", "log-level": "warn", "data-dir": dir, "nats-token-file": natsd.Off, "webhook-allow": "127.0.0.0/8,::1",
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
		return usagef("dev runs a NATS server of its own: its events must not go to a log that others use; leave nats-url and nats-context out, or run serve")
	case !strings.Contains(string(cfg.SMTPURL), "//"+box.Addr()+"?"):
		return usagef("dev runs a mail server of its own: its emails must not go to people; leave smtp-url out, or run serve")
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
	d := dev.Dev{Config: cfg, Worker: w, Catcher: box, Out: a.out, Notes: a.err}
	if err := d.PrintAddresses(); err != nil {
		w.Close()
		return err
	}
	return d.Run(c.Context(), lines)
}
