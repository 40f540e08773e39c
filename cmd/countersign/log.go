package main

import (
	"io"
	"log/slog"
	"os"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"countersign/internal/config"
)

// logger writes JSON, or coloured text on a terminal.
func logger(to io.Writer, cfg config.Config) *slog.Logger {
	text := cfg.LogFormat == config.LogText || cfg.LogFormat == config.LogAuto && terminal(to)
	if !text {
		return slog.New(slog.NewJSONHandler(to, &slog.HandlerOptions{Level: cfg.LogLevel}))
	}
	return slog.New(tint.NewTextHandler(to, &tint.Options{
		Level: cfg.LogLevel, TimeFormat: "15:04:05", NoColor: !terminal(to) || os.Getenv("NO_COLOR") != "",
	}))
}

// terminal reports whether somebody watches.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
