// Package session gives commands access to the log: a connection for a command
// that asks one thing (Connect, Do), and a Session for one that folds the log.
// Either way the log's server may be elsewhere, be embedded in the worker that
// runs on this data directory, or be started here because no worker runs.
package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go"

	"countersign/internal/config"
	"countersign/internal/datadir"
	"countersign/internal/eventlog"
	"countersign/internal/natsd"
	"countersign/internal/terminal"
	"countersign/workflow"
)

// Session is what a command has that folds the log: a connection to the log's
// server and the log.
type Session struct {
	Config config.Config
	Logger *slog.Logger
	Notes  *terminal.Printer // what the operator is told in between: standard error
	Conn   *nats.Conn
	Log    *eventlog.Log // nil with Options.NoLog

	unlock func()        // nil if a worker has the data directory
	server *natsd.Server // the embedded one, if no worker runs it
}

// Options are what a session is opened with.
type Options struct {
	Config config.Config
	Logger *slog.Logger
	Notes  *terminal.Printer
	Alone  bool // refuse to work beside a worker on the same data directory
	NoLog  bool // connect to the server, and expect no log
}

// Open opens the log: through the worker on this data directory if one runs,
// else by itself. It never makes a log: it fails with workflow.ErrNotFound if
// there is none, with datadir.ErrInUse if the session must be alone and is not,
// and with workflow.ErrUnavailable if no server answers. The caller closes the
// session.
func Open(ctx context.Context, o Options) (_ *Session, err error) {
	if !o.NoLog && !o.Config.External() && !datadir.HasLog(o.Config) {
		return nil, fmt.Errorf("%w: there is no log in %s; give the worker's --data-dir, or --nats-url if the log is on another server", workflow.ErrNotFound, o.Config.DataDir)
	}
	s := &Session{Config: o.Config, Logger: o.Logger, Notes: o.Notes}
	if o.Alone || !o.Config.External() {
		if err := s.lock(o.Alone); err != nil {
			return nil, err
		}
	}
	err = s.connect(ctx)
	if err == nil && !o.NoLog {
		s.Log, err = eventlog.Find(ctx, s.Conn, o.Config.Replicas, o.Logger)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// connect connects to the log's server, and starts it if it is the embedded one
// and no worker runs it.
func (s *Session) connect(ctx context.Context) (err error) {
	if s.unlock == nil || s.Config.External() {
		s.Conn, err = Connect(ctx, s.Config, s.Logger)
		return err
	}
	if s.server, _, err = datadir.StartNATS(s.Config, "", s.Logger); err != nil {
		return err
	}
	s.Conn, err = eventlog.Connect(ctx, eventlog.ConnectOptions{InProcess: s.server, Name: "countersign"})
	return err
}

// lock locks the data directory. A worker that has it already is an error only
// if the session must be alone.
func (s *Session) lock(alone bool) (err error) {
	dir := s.Config.DataDir
	s.unlock, err = datadir.Lock(dir)
	locked, unknown := datadir.InUse(dir)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, datadir.ErrInUse) && alone:
		return fmt.Errorf("%w %s; stop it first", datadir.ErrInUse, dir)
	case alone, unknown == nil && !locked:
		return err
	}
	return nil
}

// Close closes the connection, ends a server that the session started, and
// unlocks the data directory.
func (s *Session) Close() {
	if s.Conn != nil {
		s.Conn.Close()
	}
	if s.server != nil {
		s.server.Shutdown()
	}
	if s.unlock != nil {
		s.unlock()
	}
}
