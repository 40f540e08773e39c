package natsd

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
)

// logger passes the log of the server to slog. It keeps fatal errors, because
// the server only logs them and continues half started.
type logger struct {
	to *slog.Logger

	mu    sync.Mutex
	fatal []error
}

// Noticef implements server.Logger; what the server announces in passing is
// for debugging only.
func (l *logger) Noticef(format string, v ...any) { l.to.Debug(line(format, v)) }

// Warnf implements server.Logger.
func (l *logger) Warnf(format string, v ...any) { l.to.Warn(line(format, v)) }

// Errorf implements server.Logger.
func (l *logger) Errorf(format string, v ...any) { l.to.Error(line(format, v)) }

// Debugf implements server.Logger; the server is not asked to say so much.
func (l *logger) Debugf(string, ...any) {}

// Tracef implements server.Logger; the server is not asked to say so much.
func (l *logger) Tracef(string, ...any) {}

// Fatalf implements server.Logger.
func (l *logger) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fatal = append(l.fatal, errors.New(line(format, v)))
}

// failure returns why the server did not start; nil if it did. Which error it
// is does not depend on the server's words.
func (l *logger) failure(listen string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := errors.Join(l.fatal...)
	switch {
	case err == nil:
		return nil
	case taken(listen):
		return fmt.Errorf("the NATS server cannot listen on %s: set --nats-listen to another address, or to %q: %w", listen, Off, err)
	}
	return fmt.Errorf("start the NATS server: %w", err)
}

// taken reports whether this process cannot listen on an address.
func taken(listen string) bool {
	if listen == "" || listen == Off {
		return false
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return true
	}
	_ = l.Close()
	return false
}

func line(format string, v []any) string {
	return "NATS server: " + strings.TrimSpace(fmt.Sprintf(format, v...))
}
