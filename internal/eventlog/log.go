// Package eventlog is the client of the log: the JetStream stream that upstream
// services and Countersign write events to. Package events says what an event
// is; this package connects to NATS, finds or creates the stream, follows it,
// appends to it, and removes the entries that an erasure lists. It also has the
// other stores on the same servers: for signed letters, for snapshots of the
// database, and for reports that could not be read.
package eventlog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"countersign/events"
	"countersign/workflow"
)

// Log is the client of the stream of events. Several goroutines may call its
// methods at once.
type Log struct {
	broker   Broker
	replicas int
	log      *slog.Logger
	clock    clock
	last     atomic.Uint64
	found    atomic.Pointer[jetstream.Stream] // from the last look-up; nil before the first
	foreign  foreign
	takenIDs atomic.Uint64 // see Stats
	appends  appends
	hurries  atomic.Int64 // how many calls of Hurry are not done
	together together
	once     costs // of AppendOnce

	saidBatch atomic.Int64 // when a batch was last refused, Unix seconds; a series of refusals is logged once

	quarantine atomic.Pointer[map[uint64]bool] // entries that make the program crash; nil until they have been looked up
}

// Stats is what the client knows without asking the server.
type Stats struct {
	Last       uint64 // the last entry's sequence, as of the last Tail or entry read
	Reconnects uint64
	Foreign    uint64 // entries read since Open that others have put on subjects of Countersign
	TakenIDs   uint64 // events appended again since Open because somebody else had used their Nats-Msg-Id
}

// answerWait is how long one request waits for its answer before it is
// repeated. An election takes 4 to 9 s, so some requests are made several
// times.
const answerWait = 3 * time.Second

// Open opens the log. It creates the stream if it is missing, and waits for
// NATS until ctx ends. It fails with an *UnsafeStreamError if the stream has
// settings that could lose events, and with workflow.ErrUnavailable if ctx ends
// first. The caller closes the connection after the last use of the log.
func Open(ctx context.Context, nc *nats.Conn, replicas int, log *slog.Logger) (*Log, error) {
	broker, err := connected(nc)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return OpenOn(ctx, broker, replicas, log)
}

// OpenOn opens the log on a broker, as Open does.
func OpenOn(ctx context.Context, broker Broker, replicas int, log *slog.Logger) (*Log, error) {
	l := &Log{broker: broker, replicas: replicas, log: log}
	l.once.guess, l.together.took.guess = broker.Guess, broker.Guess
	return open(ctx, l, (*Log).create)
}

// Reopen opens the log as Open does, for a fold that has applied entries up to
// position. If that is above 0, Reopen does not create the stream: if it is
// missing, it was removed, or the server is another one, and an empty stream
// would hide that. Reopen logs this and waits until the stream is there.
func Reopen(ctx context.Context, nc *nats.Conn, replicas int, position uint64, log *slog.Logger) (*Log, error) {
	if position == 0 {
		return Open(ctx, nc, replicas, log)
	}
	broker, err := connected(nc)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return open(ctx, &Log{broker: broker, replicas: replicas, log: log}, func(*Log, context.Context) error {
		return fmt.Errorf("%w, and the database has applied its entries up to %d: either the URL is another server's, or the stream was removed. Correct the URL, or %s. If there is no backup, countersign new-log begins an empty log, and says what that loses",
			errMissing, position, restoreIt)
	})
}

// errMissing means that there is no stream on the server.
var errMissing = fmt.Errorf("there is no stream %s on this server", events.StreamName)

// restoreIt says how to restore a missing stream.
const restoreIt = "restore the stream from a backup (nats stream restore DIR), and work goes on by itself"

// Find opens the log as Open does, but does not create the stream: if it is
// missing, Find fails with workflow.ErrNotFound.
func Find(ctx context.Context, nc *nats.Conn, replicas int, log *slog.Logger) (*Log, error) {
	broker, err := connected(nc)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return open(ctx, &Log{broker: broker, replicas: replicas, log: log}, func(*Log, context.Context) error {
		return fmt.Errorf("%w: %w: a worker makes it at its first start; if it was removed, %s", workflow.ErrNotFound, errMissing, restoreIt)
	})
}

// open waits until the stream is there. It calls missing if it is not.
func open(ctx context.Context, l *Log, missing func(*Log, context.Context) error) (*Log, error) {
	waiting := nag{log: l.log}
	for pause := (pause{}); ; {
		_, err := l.stream(ctx)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			err = missing(l, ctx)
		}
		switch {
		case err == nil:
			return l, nil
		case hopeless(err):
			return nil, fmt.Errorf("open the log: %w", err)
		}
		if ctx.Err() == nil {
			waiting.warn("waiting for NATS to open the log", l.away(err))
		}
		if !pause.wait(ctx) {
			return nil, fmt.Errorf("open the log: %w: %w", workflow.ErrUnavailable, l.away(err))
		}
	}
}

// hopeless reports whether retrying would give the same error.
func hopeless(err error) bool {
	var unsafe *UnsafeStreamError
	var api *jetstream.APIError
	switch {
	case errors.As(err, &unsafe), errors.Is(err, workflow.ErrNotFound),
		errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining),
		errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return true
	case errors.As(err, &api):
		switch api.ErrorCode {
		case codeSubjectOverlap, codeReplicasNotSupported, codeInvalidConfig:
			return true
		}
	}
	return false
}

// API error codes of nats-server that nats.go has no name for.
const (
	codeAccountFull          jetstream.ErrorCode = 10002
	codeInvalidConfig        jetstream.ErrorCode = 10052
	codeSubjectOverlap       jetstream.ErrorCode = 10065
	codeReplicasNotSupported jetstream.ErrorCode = 10074
	codeDuplicateInProcess   jetstream.ErrorCode = 10158
)

// stream asks the server for the stream, and checks its settings.
func (l *Log) stream(ctx context.Context) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	asked := time.Now()
	stream, err := l.broker.JS.Stream(ctx, events.StreamName)
	if err != nil {
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			err = fmt.Errorf("it was removed, or is being restored; %s: %w", restoreIt, err)
		}
		return nil, fmt.Errorf("look up stream %s: %w", events.StreamName, err)
	}
	info := stream.CachedInfo()
	if err := checkStream(info.Config, l.replicas); err != nil {
		return nil, err
	}
	l.clock.entry(info.State.LastTime)
	l.clock.server(info.TimeStamp, asked)
	l.last.Store(info.State.LastSeq)
	l.found.Store(&stream)
	return stream, nil
}

// handle returns the stream for reading single messages. It reuses the last
// look-up if there was one, because a look-up costs a request, and reading
// needs no current settings.
func (l *Log) handle(ctx context.Context) (jetstream.Stream, error) {
	if found := l.found.Load(); found != nil {
		return *found, nil
	}
	return l.stream(ctx)
}

func (l *Log) create(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*answerWait)
	defer cancel()
	if _, err := l.broker.JS.CreateStream(ctx, streamConfig(l.replicas)); err != nil {
		// Another worker may have created it first; then the next look-up finds
		// it.
		return fmt.Errorf("make stream %s: %w", events.StreamName, err)
	}
	l.log.Info("made the log's stream", "stream", events.StreamName, "replicas", l.replicas)
	_, err := l.stream(ctx)
	return err
}

// Tail returns the sequence of the last entry on the log, 0 if there is none,
// and sets the log's clock. It asks once, and fails with
// workflow.ErrUnavailable.
func (l *Log) Tail(ctx context.Context) (uint64, error) {
	stream, err := l.stream(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the log's end: %w: %w", workflow.ErrUnavailable, err)
	}
	return stream.CachedInfo().State.LastSeq, nil
}

// Now returns the log's time: the time in the server's last answer or the
// timestamp of the newest entry, whichever is later, plus the time since then
// on the local monotonic clock. It does not depend on this machine's wall
// clock.
func (l *Log) Now() time.Time { return l.clock.now() }

// Stamp returns the timestamp that the server would give to an entry now, as
// far as is known. It can be earlier than Now, if the newest entry has a
// timestamp of a clock that was ahead.
func (l *Log) Stamp() time.Time { return l.clock.stamp() }

// Offset returns how far a clock that shows wall is ahead of the servers'
// clocks; negative if it is behind. It is 0 if the difference is within the
// time that an answer takes. known is false until a server has answered.
func (l *Log) Offset(wall time.Time) (ahead time.Duration, known bool) { return l.clock.offset(wall) }

// Stats returns what is known without asking the server.
func (l *Log) Stats() Stats {
	return Stats{Last: l.last.Load(), Reconnects: l.broker.Conn.Stats().Reconnects, Foreign: l.foreign.count.Load(), TakenIDs: l.takenIDs.Load()}
}

func (l *Log) newID(m *nats.Msg) string {
	if l.broker.NewID != nil {
		return l.broker.NewID(m)
	}
	return rand.Text()
}

// saw notes an entry that is on the log.
func (l *Log) saw(seq uint64, at time.Time) {
	l.clock.entry(at)
	for {
		last := l.last.Load()
		if seq <= last || l.last.CompareAndSwap(last, seq) {
			return
		}
	}
}

// pause is a wait that grows from 100 ms to 2 s.
type pause struct{ next time.Duration }

// wait waits, and reports whether ctx has not ended.
func (p *pause) wait(ctx context.Context) bool {
	p.next = min(max(2*p.next, 100*time.Millisecond), 2*time.Second)
	select {
	case <-ctx.Done():
	case <-time.After(p.next):
	}
	return ctx.Err() == nil
}

// nag logs that a fault lasts: once after a grace period, then every 30 s.
type nag struct {
	log   *slog.Logger
	grace time.Duration
	since time.Time // when the fault began
	said  time.Time // when it was last logged
}

func (n *nag) warn(msg string, err error) {
	now := time.Now()
	if n.since.IsZero() {
		n.since = now
	}
	if now.Sub(n.since) < n.grace || (!n.said.IsZero() && now.Sub(n.said) < 30*time.Second) {
		return
	}
	n.said = now
	n.log.Warn(msg, "for", now.Sub(n.since).Round(time.Second).String(), "err", err)
}

// away returns why a request has no answer, as far as the connection knows:
// there is no connection, or the server forbids the request. We disable the
// reconnect buffer, so that a request fails at once while there is no
// connection.
func (l *Log) away(err error) error {
	if errors.Is(err, nats.ErrReconnectBufExceeded) {
		err = nats.ErrDisconnected
	} else if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) {
		return err
	}
	if l.broker.LastError == nil {
		return err
	}
	if last := l.broker.LastError(); last != nil && !errors.Is(err, last) {
		return fmt.Errorf("%w; the connection's last error: %w", err, last)
	}
	return err
}

// Broker is the part of NATS that the log needs: a connection, or the model of
// one in the simulation.
type Broker struct {
	Conn Conn
	JS   jetstream.JetStream

	// Batch publishes messages all or none, as jetstreamext.PublishMsgBatch does.
	Batch func(ctx context.Context, msgs []*nats.Msg) (*jetstreamext.BatchAck, error)

	// LastError returns the connection's last error, for example that the
	// server refuses it or forbids something; nil if there is none. The field
	// is nil in a model.
	LastError func() error

	// NewID makes a Nats-Msg-Id that nobody can predict for a message; nil for
	// a random one.
	NewID func(m *nats.Msg) string

	// Guess is how many events go in one batch while it is not known what a
	// batch takes; 0 for 16. The simulation has few events at a time.
	Guess int
}

// Conn tells the state of the connection. *nats.Conn implements it.
type Conn interface {
	Stats() nats.Statistics
	StatusChanged(statuses ...nats.Status) chan nats.Status
	RemoveStatusListener(listener chan nats.Status)
}

// connected returns the broker of a connection.
func connected(nc *nats.Conn) (Broker, error) {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(answerWait))
	return Broker{Conn: nc, JS: js, LastError: nc.LastError, Batch: func(ctx context.Context, msgs []*nats.Msg) (*jetstreamext.BatchAck, error) {
		return jetstreamext.PublishMsgBatch(ctx, js, msgs)
	}}, err
}
