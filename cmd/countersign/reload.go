package main

import (
	"context"
	"log/slog"
	"os"

	"countersign/internal/config"
)

// reloads reads again what can be read while the worker runs, on each signal
// until ctx ends. load reads the settings, of which only the log level counts;
// the others are for a restart.
func (w *worker) reloads(ctx context.Context, signals <-chan os.Signal, level *slog.LevelVar, load func() (config.Config, error)) {
	for {
		select {
		case <-signals:
			w.reload(level, load)
		case <-ctx.Done():
			return
		}
	}
}

// reload says in the log what it read. What cannot be read stays as it was, and
// keeps nothing else from being read.
func (w *worker) reload(level *slog.LevelVar, load func() (config.Config, error)) {
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
		{"keys of links", w.keys.Reload},
		{"seal", func() error { return w.reloadSeal(w.cfg) }},
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

// reloadSeal reads the key that seals letters. Letters that are being signed
// keep the one that they began with.
func (w *worker) reloadSeal(cfg config.Config) error {
	seal, err := loadSeal(cfg)
	if err != nil {
		return err
	}
	if old := w.seal.Swap(&seal); old != nil && !old.Certificate.Equal(seal.Certificate) {
		w.logger.Info("a new certificate seals letters", "expires", seal.Certificate.NotAfter)
	}
	return nil
}
