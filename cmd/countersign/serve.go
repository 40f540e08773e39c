package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"countersign/internal/datadir"

	"github.com/spf13/cobra"

	"countersign/internal/config"
)

func (a *app) serve() *cobra.Command {
	var newKeys bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run a worker",
		Long:  "Runs a worker: follows the log, mails, and publishes what is owed. If NATS or the mail server is away, it starts and\nwaits. On SIGTERM it finishes what is in flight and ends.\nOn SIGHUP it reads certificates, keys, accounts and the log level again.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			hangups := make(chan os.Signal, 1) // from the start: one that nobody takes ends the program
			signal.Notify(hangups, syscall.SIGHUP)
			defer signal.Stop(hangups)
			cfg, err := a.load(c, "smtp-url", "mail-from")
			if err != nil {
				return err
			}
			level := new(slog.LevelVar)
			level.Set(cfg.LogLevel)
			w, err := newWorker(c.Context(), cfg, newKeys, leveled(a.err, cfg, level))
			if errors.Is(err, context.Canceled) && c.Context().Err() != nil {
				return nil // it was ended while it waited for the database
			}
			if err != nil {
				return err
			}
			ctx, stop := context.WithCancel(c.Context())
			defer stop()
			go w.reloads(ctx, hangups, level, func() (config.Config, error) { return a.load(c, "smtp-url", "mail-from") })
			if cfg.PublicURL == config.PublicURL {
				w.logger.Warn("links in mails lead to this machine alone; set public-url to the origin that people see", "public-url", cfg.PublicURL)
			}
			if cfg.NATSTokenFile == "" && w.server != nil && w.server.Addr() != nil {
				w.logger.Warn("nats-token-file is off: whoever can reach the embedded NATS server can publish and read all events", "server", w.server.Addr().String())
			}
			if datadir.OpenToOthers(cfg.DataDir) {
				w.logger.Warn("other users of this machine can replace the files in the data directory, the accounts and the keys among them; run chmod o-w on it", "data-dir", cfg.DataDir)
			}
			return w.run(c.Context())
		},
	}
	c.Flags().BoolVar(&newKeys, "new-keys", false, "for one start without the keys file that documents need: make new keys. Links in emails that were sent do not work any more, and letters get a seal with a new certificate")
	return c
}
