package main

import (
	"github.com/spf13/cobra"

	"countersign/internal/config"
)

func (a *app) serve() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run a worker",
		Long:  "Runs a worker: follows the log, mails, and publishes what is owed. It starts and waits where NATS or the mail server\nis away, and ends on SIGTERM when what it has in hand is finished.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.load(c, "smtp-url", "mail-from")
			if err != nil {
				return err
			}
			w, err := newWorker(c.Context(), cfg, logger(a.err, cfg))
			if err != nil {
				return err
			}
			if cfg.PublicURL == config.PublicURL {
				w.logger.Warn("links in mails lead to this machine alone; set public-url to the origin that people see", "public-url", cfg.PublicURL)
			}
			return w.run(c.Context())
		},
	}
}
