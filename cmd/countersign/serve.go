package main

import "github.com/spf13/cobra"

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
			return w.run(c.Context())
		},
	}
}
