package sim

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"countersign/db"
	"countersign/internal/eventlog"
	"countersign/internal/relay"
)

// worker is a machine with a disk, on which the program runs again and again.
type worker struct {
	w         *world
	name      string
	disk      *disk
	yesterday []byte // an older copy of the disk
	runs      []*run // the last may be alive
}

// run is one process.
type run struct {
	w      *world
	worker *worker
	name   string
	ctx    context.Context
	cancel context.CancelFunc
	dead   atomic.Bool // killed: none of its calls ever returns
	frozen bool
	ending bool // told to end

	database   *sql.DB
	store      *db.Store
	applied    uint64    // the position when it was last looked at
	following  *consumer // guarded by w.mu
	reconnects uint64    // guarded by w.mu
	listeners  []chan nats.Status
	ended      chan struct{}
	err        error // why it ended by itself
}

// alive is the process that runs, or nil.
func (k *worker) alive() *run {
	if len(k.runs) == 0 {
		return nil
	}
	if r := k.runs[len(k.runs)-1]; !r.dead.Load() && !r.over() {
		return r
	}
	return nil
}

func (r *run) over() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// start starts the program on what the disk holds.
func (k *worker) start() {
	r := &run{w: k.w, worker: k, name: fmt.Sprintf("%s.%d", k.name, len(k.runs)+1), ended: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	k.w.log("%s starts", r.name)
	r.database = k.disk.open(r.at)
	store, err := db.OpenOn(context.Background(), r.database, fmt.Sprintf("%s-%d", k.name, len(k.runs)))
	must(err)
	r.store = store
	k.runs = append(k.runs, r)
	go func() {
		defer close(r.ended)
		r.err = r.work()
	}()
}

// at is where the store waits for its turn.
func (r *run) at(op string) error {
	switch op {
	case begin, "DueMails", "DueMailsAgain", "DueEvents", "OpenClaims", "ClaimedMails":
	case commit:
		if r.w.broken != positionApart {
			return nil // a batch that is not committed is one that was not begun
		}
	default:
		if r.dead.Load() {
			return errOver
		}
		return nil
	}
	if r.w.calm.Load() && op != begin && op != "OpenClaims" {
		return nil
	}
	return r.w.park(&call{run: r, key: op, ctx: context.Background()})
}

// The store's points in the middle of a batch.
const (
	begin  = "BEGIN IMMEDIATE"
	commit = "COMMIT"
)

// waitsTo reports whether one of these calls of the run waits for its turn.
func (r *run) waitsTo(keys ...string) bool {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	return slices.ContainsFunc(r.w.calls, func(c *call) bool { return c.run == r && slices.Contains(keys, c.key) })
}

// kill ends the process at once, in the middle of whatever it does.
func (r *run) kill() {
	r.dead.Store(true)
	r.worker.disk.crash(r.waitsTo(commit))
}

// work is what cmd/countersign does with these parts.
func (r *run) work() error {
	logger := slog.New(slog.DiscardHandler)
	c := client{run: r}
	log, err := eventlog.OpenOn(r.ctx, eventlog.Broker{Conn: connection{r}, JS: c, Batch: c.batch, NewID: r.newID, Guess: 5}, 1, logger)
	if err != nil {
		return quiet(r.ctx, err)
	}
	following, stop := context.WithCancel(part(context.Background(), "follower"))
	defer stop()
	followed := make(chan error, 1)
	go func() {
		err := log.Follow(following, fold{relay.Fold{Store: r.store}, r})
		if err != nil {
			r.cancel()
		}
		followed <- err
	}()
	r.relays(log, logger)
	stop()
	return <-followed
}

func quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (r *run) relays(log *eventlog.Log, logger *slog.Logger) {
	if _, err := relay.CatchUp(r.ctx, r.store, log, logger); err != nil {
		return
	}
	if err := relay.ActivateRules(r.ctx, r.store, log, r.w.plan.rules(), logger); err != nil {
		return
	}
	mails := &relay.Mails{
		Store: r.store, Log: log, Sender: sender{r}, Limits: nolimit{}, Retry: r.w.plan.retry,
		Deadline: deadline, Hold: r.w.plan.hold, Logger: logger, Name: r.name,
	}
	var group sync.WaitGroup
	group.Go(func() { r.watchTail(part(r.ctx, "tail"), log) })
	group.Go(func() { (&relay.Events{Store: r.store, Log: log, Logger: logger}).Run(part(r.ctx, "events")) })
	group.Go(func() { mails.Run(part(r.ctx, "mails")) })
	group.Wait()
}

func (r *run) watchTail(ctx context.Context, log *eventlog.Log) {
	tick := time.NewTicker(7 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			log.Tail(ctx)
		case <-ctx.Done():
			return
		}
	}
}

type partKey struct{}

// part names the part of the program whose context it is, so that the same
// request of two parts is not taken for one.
func part(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, partKey{}, name)
}

// fold is the relay's, and lies where the guard is out.
type fold struct {
	relay.Fold
	run *run
}

func (f fold) Position(ctx context.Context) (eventlog.Position, error) {
	p, err := f.Fold.Position(ctx)
	if f.run.w.broken != noGuard || p.Sequence == 0 {
		return p, err
	}
	lie := func() bool {
		s := &f.run.w.stream
		p.Sequence = min(p.Sequence, uint64(len(s.entries)))
		e := s.entries[p.Sequence-1]
		p.Time, p.ID, p.Source, p.Stream = e.at, e.ID, e.Source, s.created
		return true
	}
	return p, f.run.w.park(&call{run: f.run, key: "position", ctx: ctx, step: lie})
}

// nolimit implements relay.Limits.
type nolimit struct{}

func (nolimit) Allow(string, string, time.Time) (string, time.Duration) { return "", 0 }

// connection implements eventlog.Conn.
type connection struct{ run *run }

func (c connection) Stats() nats.Statistics {
	c.run.w.mu.Lock()
	defer c.run.w.mu.Unlock()
	return nats.Statistics{Reconnects: c.run.reconnects}
}

func (c connection) StatusChanged(...nats.Status) chan nats.Status {
	c.run.w.mu.Lock()
	defer c.run.w.mu.Unlock()
	listener := make(chan nats.Status, 100)
	c.run.listeners = append(c.run.listeners, listener)
	return listener
}

func (c connection) RemoveStatusListener(listener chan nats.Status) {
	c.run.w.mu.Lock()
	defer c.run.w.mu.Unlock()
	for i, l := range c.run.listeners {
		if l == listener {
			c.run.listeners = append(c.run.listeners[:i], c.run.listeners[i+1:]...)
			return
		}
	}
}

// reconnect breaks the connection, and makes it again.
func (r *run) reconnect() {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.reconnects++
	for _, l := range r.listeners {
		l <- nats.RECONNECTING
	}
}

// next sends the follower one entry, and reports whether there was one.
func (r *run) next() *message {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	c, s := r.following, &r.w.stream
	if c == nil || c.closed() || c.after >= uint64(len(s.entries)) {
		return nil
	}
	c.after++
	c.sent++
	return &message{number: c.sent, entry: s.entries[c.after-1]}
}

func (c *consumer) closed() bool {
	select {
	case <-c.stopped:
		return true
	case <-c.silent:
		return true
	default:
		return false
	}
}

// giveUp is what ends a process by itself: the log and the store do not belong
// together any more.
func (r *run) gaveUp() bool { return errors.Is(r.err, eventlog.ErrGuard) }

// deadline is how long a worker has for the mails of a claim.
const deadline = 20 * time.Second
