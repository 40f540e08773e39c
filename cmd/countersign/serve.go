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
	"countersign/internal/datadir"
	"countersign/internal/worker"
)

func (a *app) serve() *cobra.Command {
	var newKeys bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run a worker",
		Long:  "Runs a worker: follows the log, mails, and publishes what is owed. If NATS or the mail server is away, it starts and\nwaits. On SIGTERM it finishes what is in flight and ends.\nOn SIGHUP it reads certificates, keys, accounts and the log level again.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			hangups := make(chan os.Signal, 1) // from the start: a signal that nobody takes ends the program
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
				return nil // it was ended while it waited for the database
			}
			if err != nil {
				return err
			}
			ctx, stop := context.WithCancel(c.Context())
			defer stop()
			go onHangups(ctx, hangups, func() { w.Reload(level, func() (config.Config, error) { return a.load(c, "smtp-url", "mail-from") }) })
			if cfg.PublicURL == config.PublicURL {
				logger.Warn("public-url is not set: links in emails will not work for recipients; set public-url to the origin that people see", "public-url", cfg.PublicURL)
			}
			if s := w.NATS(); cfg.NATSTokenFile == "" && s != nil && s.Addr() != nil {
				logger.Warn("nats-token-file is off: whoever can reach the embedded NATS server can publish and read all events", "server", s.Addr().String())
			}
			if datadir.OpenToOthers(cfg.DataDir) {
				logger.Warn("other users of this machine can replace the files in the data directory, the accounts and the keys among them; run chmod o-w on it", "data-dir", cfg.DataDir)
			}
			return w.Run(c.Context())
		},
	}
	c.Flags().BoolVar(&newKeys, "new-keys", false, "for one start without the keys file that documents need: make new keys. Links in emails that were sent do not work any more, and letters get a seal with a new certificate")
	return c
}

// onHangups calls f for each signal until ctx ends.
func onHangups(ctx context.Context, signals <-chan os.Signal, f func()) {
	for {
		select {
		case <-signals:
			f()
		case <-ctx.Done():
			return
		}
	}
}

// wallClock is this machine's time of day. It decides nothing that a person is told;
// a test sets it wrong.
var wallClock = time.Now

// workerOptions are what serve and dev give a worker alike.
func workerOptions(cfg config.Config, logger *slog.Logger) worker.Options {
	return worker.Options{Config: cfg, Version: versionName(), Clock: wallClock, Logger: logger}
}
