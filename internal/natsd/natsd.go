// Package natsd runs a NATS server with JetStream inside the process, for
// installations without a NATS server.
//
// If SyncAlways is set, everything that the server has acknowledged is on disk.
// Without it, a power cut loses what came since the last sync, which may be
// minutes ago.
package natsd

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"countersign/internal/private"
)

// Off as the Listen address means that only this process can connect.
const Off = "off"

// maxPayload is the largest message in bytes, headers included. A became event
// may list 1,000 orders, each with a reason.
const maxPayload = 8 << 20

// unlimited is the disk space that JetStream may use, in bytes. Its default is
// three quarters of the space that is free at the start. After a restart this
// can be less than it already uses, and then it refuses every message.
const unlimited = 1 << 60

// Options are the options of the server.
type Options struct {
	StoreDir   string // has the streams; created if missing; for one server at a time
	Listen     string // "host:port", port 0 for any free one; "" or Off for nowhere
	Token      string // that clients must give if the server listens, those of this process too; "" for none
	Name       string // the server's name, as clients and the nats CLI show it
	SyncAlways bool   // sync each message to disk before it is acknowledged
	// SyncInterval is the time between syncs if SyncAlways is false; 0 is the
	// server's default, 2 minutes.
	SyncInterval time.Duration
	Logger       *slog.Logger // takes the server's warnings and errors; nil for nowhere
}

// Server is a running NATS server.
type Server struct {
	nats   *server.Server
	unlock func()
}

// Start starts a server and returns when it answers, with every stream in its
// store recovered. It fails if another server holds the store, if the address is
// taken, with fs.ErrPermission if this process may not read and write all of the
// store, and if a stream in the store is damaged.
func Start(o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	settings, err := settings(o)
	if err != nil {
		return nil, err
	}
	unlock, err := lock(o.StoreDir)
	if err != nil {
		return nil, err
	}
	s := &Server{unlock: unlock}
	if err := permitted(o.StoreDir); err != nil {
		s.Shutdown()
		return nil, err
	}
	if s.nats, err = server.NewServer(settings); err != nil {
		s.Shutdown()
		return nil, fmt.Errorf("set up the NATS server: %w", err)
	}
	out := &logger{to: o.Logger}
	s.nats.SetLoggerV2(out, false, false, false)
	s.nats.Start()
	if err := errors.Join(out.failure(o.Listen), s.damage(o.StoreDir)); err != nil {
		s.Shutdown()
		return nil, err
	}
	return s, nil
}

// lock locks the store for this process. Two servers on one store would destroy
// it, and the server itself does not check.
func lock(storeDir string) (unlock func(), err error) {
	if err := os.MkdirAll(storeDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the NATS server's store: %w", err)
	}
	unlock, err = private.TryLock(filepath.Join(storeDir, "lock"))
	switch {
	case errors.Is(err, private.ErrLocked):
		return nil, fmt.Errorf("another process runs a NATS server on %s: stop it, or give this one another --data-dir", storeDir)
	case err != nil:
		return nil, fmt.Errorf("lock the NATS server's store: %w", err)
	}
	return unlock, nil
}

func settings(o Options) (*server.Options, error) {
	so := &server.Options{
		ServerName:        o.Name,
		NoSigs:            true, // or it takes SIGINT and SIGTERM from the program
		JetStream:         true,
		StoreDir:          o.StoreDir,
		SyncAlways:        o.SyncAlways,
		SyncInterval:      o.SyncInterval,
		JetStreamMaxStore: unlimited,
		MaxPayload:        maxPayload,
	}
	if o.StoreDir == "" {
		return nil, errors.New("the NATS server must have a directory for its store")
	}
	if o.Listen == "" || o.Listen == Off {
		so.DontListen = true
		return so, nil
	}
	so.Authorization = o.Token
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("--nats-listen must be host:port, and is %q: %w", o.Listen, err)
	}
	so.Host = host
	if so.Port, err = strconv.Atoi(port); err != nil || so.Port < 0 || so.Port > 65535 {
		return nil, fmt.Errorf("--nats-listen must be host:port with a port from 0 to 65535, and is %q", o.Listen)
	}
	if so.Port == 0 {
		so.Port = server.RANDOM_PORT
	}
	return so, nil
}

// permitted fails with fs.ErrPermission if this process may not read and write
// all of a store. The server itself would continue without what it may not
// read, as if that were damaged.
func permitted(storeDir string) error {
	return filepath.WalkDir(storeDir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
		case d.IsDir():
			err = syscall.Access(path, 7) // read, write and search
		case d.Type().IsRegular():
			var f *os.File
			if f, err = os.OpenFile(path, os.O_RDWR, 0); err == nil {
				err = f.Close()
			}
		}
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("this process runs as user %d and may not read and write %s in the NATS server's store: %w; give the files back to the worker's user (chown -R USER %s) and start again: do not move or delete them",
				os.Geteuid(), path, fs.ErrPermission, storeDir)
		}
		if err != nil {
			return fmt.Errorf("read the NATS server's store: %s: %w", path, err)
		}
		return nil
	})
}

// damage fails if streams in the store were not recovered, and names them. The
// server itself would run without them, and the worker would create an empty
// log.
func (s *Server) damage(storeDir string) error {
	dirs, err := os.ReadDir(filepath.Join(storeDir, server.JetStreamStoreDir, server.DEFAULT_GLOBAL_ACCOUNT, "streams"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for streams in the store: %w", err)
	}
	report, err := s.nats.Jsz(&server.JSzOptions{Accounts: true, Streams: true})
	if err != nil {
		return fmt.Errorf("ask the NATS server for its streams: %w", err)
	}
	recovered := make(map[string]bool)
	for _, account := range report.AccountDetails {
		for _, stream := range account.Streams {
			recovered[stream.Name] = true
		}
	}
	var damaged []string
	for _, dir := range dirs {
		// A name that begins with a dot is a stream that was being deleted.
		if name := dir.Name(); !recovered[name] && !strings.HasPrefix(name, ".") {
			damaged = append(damaged, name)
		}
	}
	if len(damaged) == 0 {
		return nil
	}
	return fmt.Errorf("the NATS server could not recover stream %s in the store %s: the server's log lines above say why. Keep a copy of the directory; restore the data directory from a backup, or move the stream's directory out of the store and restore the stream from a NATS backup (nats stream restore DIR)",
		strings.Join(damaged, ", stream "), storeDir)
}

// InProcessConn makes a connection that needs no port. It lets the server be
// given to nats.InProcessServer.
func (s *Server) InProcessConn() (net.Conn, error) { return s.nats.InProcessConn() }

// Addr returns the address on which the server listens, nil if it does not
// listen.
func (s *Server) Addr() net.Addr { return s.nats.Addr() }

// ClientURL is the URL that clients of other processes connect to, "" if the server
// does not listen.
func (s *Server) ClientURL() string {
	if s.Addr() == nil {
		return ""
	}
	return s.nats.ClientURL()
}

// Shutdown stops the server and returns when its store is closed and free for
// another server. It may be called again.
func (s *Server) Shutdown() {
	if s.nats != nil {
		s.nats.Shutdown()
		s.nats.WaitForShutdown()
	}
	s.unlock()
}
