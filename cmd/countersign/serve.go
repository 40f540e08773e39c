package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"countersign/internal/config"
	"countersign/internal/show"
	"countersign/internal/worker"
)

func (a *app) serve() *cobra.Command {
	var newKeys bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run a worker",
		Long: `Runs a worker: it follows the log, sends emails, and publishes the events that follow. If NATS or the mail server does not
answer, it starts and waits. On SIGTERM it finishes what is in flight and ends. On SIGHUP it reads certificates, keys, accounts
and the log level again.`,
		Example: "  countersign serve --smtp-url smtp://user:password@mail.example.com:587 --mail-from loa@example.com --public-url https://loa.example.com",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			hangups := make(chan os.Signal, 1) // from the start: without a handler the signal ends the program
			signal.Notify(hangups, syscall.SIGHUP)
			defer signal.Stop(hangups)
			cfg, err := a.load(c, "smtp-url", "mail-from")
			if err != nil {
				return err
			}
			level := new(slog.LevelVar)
			level.Set(cfg.LogLevel)
			logger := leveled(a.err, cfg, level)
			o := workerOptions(cfg, logger)
			o.NewKeys = newKeys
			w, err := worker.New(c.Context(), o)
			if errors.Is(err, context.Canceled) && c.Context().Err() != nil {
				return nil // it was stopped while it waited for the database
			}
			if err != nil {
				return err
			}
			ctx, stop := context.WithCancel(c.Context())
			defer stop()
			go func() {
				for ctx.Err() == nil {
					select {
					case <-hangups:
						w.Reload(level, func() (config.Config, error) { return a.load(c, "smtp-url", "mail-from") })
					case <-ctx.Done():
					}
				}
			}()
			w.WarnOfSettings()
			return w.Run(c.Context())
		},
	}
	c.Flags().BoolVar(&newKeys, "new-keys", false, "make new keys if the keys file is lost, although documents need it; for one start. Links in emails that were sent no longer work, and letters get a seal with a new certificate")
	return c
}

// wallClock is this machine's time of day. It decides nothing that people are told:
// a test sets it wrong.
var wallClock = time.Now

// workerOptions are what serve and dev give a worker alike.
func workerOptions(cfg config.Config, logger *slog.Logger) worker.Options {
	return worker.Options{Config: cfg, Version: show.Release(), Clock: wallClock, Logger: logger}
}
