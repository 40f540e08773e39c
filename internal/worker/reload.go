package worker

import (
	"log/slog"

	"countersign/internal/config"
)

// Reload reads again what can be read while the worker runs: certificates, keys,
// accounts, and by load the settings, of which only the log level counts. It says in
// the log what it read. What cannot be read stays as it was, and keeps nothing else
// from being read.
func (w *Worker) Reload(level *slog.LevelVar, load func() (config.Config, error)) {
	failed := 0
	for _, part := range []struct {
		name string
		read func() error
	}{
		{"log level", func() error {
			cfg, err := load()
			if err == nil {
				level.Set(cfg.LogLevel)
			}
			return err
		}},
		{"TLS certificate", w.reloadTLS},
		{"keys of links", w.keys.Links.Reload},
		{"seal", w.keys.ReloadSeal},
		{"accounts", w.accounts.Reload},
	} {
		if part.read == nil {
			continue
		}
		if err := part.read(); err != nil {
			failed++
			w.logger.Error("SIGHUP: this cannot be read again and stays as it was; repair it and send SIGHUP again", "what", part.name, "err", err)
			continue
		}
		w.logger.Debug("SIGHUP: read again", "what", part.name)
	}
	w.logger.Info("SIGHUP: certificates, keys, accounts and the log level are read again; other settings need a restart", "failed", failed, "log-level", level.Level().String())
}
