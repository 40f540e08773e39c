package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/lmittmann/tint"

	"countersign/internal/config"
	"countersign/internal/terminal"
)

// logger writes JSON, or coloured text on a terminal. Either way a record is one
// line, and what came from outside is escaped in it.
func logger(to *terminal.Printer, cfg config.Config) *slog.Logger {
	return leveled(to, cfg, cfg.LogLevel)
}

// leveled is a logger whose level may change.
func leveled(to *terminal.Printer, cfg config.Config, level slog.Leveler) *slog.Logger {
	text := cfg.LogFormat == config.LogText || cfg.LogFormat == config.LogAuto && to.Terminal()
	if !text {
		return slog.New(slog.NewJSONHandler(terminal.JSONWriter(to.Device()), &slog.HandlerOptions{Level: level}))
	}
	return slog.New(textHandler(to.Device(), level, to.Terminal() && os.Getenv("NO_COLOR") == ""))
}

func textHandler(to io.Writer, level slog.Leveler, colour bool) slog.Handler {
	return tint.NewTextHandler(to, &tint.Options{Level: level, TimeFormat: "15:04:05", NoColor: !colour, ReplaceAttr: inert})
}

// inert escapes a record's message and the values of its attributes. tint does
// not: it prints messages as they are, lets escape sequences in values through
// if it may colour, and even makes one of the four characters \x1b.
func inert(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
		return a
	}
	switch a.Value.Kind() {
	case slog.KindString, slog.KindAny:
		a.Value = slog.StringValue(strings.ReplaceAll(terminal.Escape(fmt.Sprint(a.Value.Any())), `\x1b`, `\x1B`))
	}
	return a
}
