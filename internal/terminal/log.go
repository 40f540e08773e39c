package terminal

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/lmittmann/tint"
)

// JSONLog writes each record as one line of JSON that steers no terminal.
func JSONLog(to *Printer, level slog.Leveler) slog.Handler {
	return slog.NewJSONHandler(JSONWriter(to.to), &slog.HandlerOptions{Level: level})
}

// TextLog writes each record as one line of text for people, in which text from
// outside is escaped.
func TextLog(to *Printer, level slog.Leveler, colour bool) slog.Handler {
	return tint.NewTextHandler(to.to, &tint.Options{Level: level, TimeFormat: "15:04:05", NoColor: !colour, ReplaceAttr: inert})
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
		a.Value = slog.StringValue(strings.ReplaceAll(Escape(fmt.Sprint(a.Value.Any())), `\x1b`, `\x1B`))
	}
	return a
}
