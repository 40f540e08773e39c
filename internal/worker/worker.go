// Package worker is the process that countersign serve and countersign dev run: it
// follows the log, sends emails, appends what is pending, and serves the REST API,
// the signing page and the operators. The adapters meet here.
package worker

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"countersign/db"
	"countersign/internal/accounts"
	"countersign/internal/admin"
	"countersign/internal/api"
	"countersign/internal/config"
	"countersign/internal/datadir"
	"countersign/internal/eventlog"
	"countersign/internal/mail"
	"countersign/internal/natsd"
	"countersign/internal/recovery"
	"countersign/internal/relay"
	"countersign/internal/signing"
	"countersign/internal/smtpurl"
	"countersign/internal/webhook"
)

// Options say how a worker runs.
type Options struct {
	// Config has the settings. If its PublicURL is empty, links lead to the address
	// of the public listener.
	Config  config.Config
	NewKeys bool             // make keys that are missing, even if documents need those that there were
	Version string           // of the program, for the log
	Inbox   http.Handler     // the mail catcher's, served to operators; nil for none
	Clock   func() time.Time // this machine's time of day
	Logger  *slog.Logger
}

// Worker is the whole of Countersign in one process.
type Worker struct {
	cfg    config.Config
	o      Options
	logger *slog.Logger

	began  time.Time // read for its monotonic part
	checks *admin.Checks

	unlock    func()
	server    *natsd.Server // nil if NATS is external
	nc        *nats.Conn
	store     *db.Store
	snapshots *recovery.Snapshots
	replicas  recovery.ReplicaMeters
	unread    unreadMeter

	keys    *signing.Keys
	links   *signing.Links
	letters *signing.Letters

	accounts   *accounts.File
	webhookKey *webhook.Key
	receivers  *webhook.Sender
	delivered  *admin.Deliveries
	apiMetrics *api.Metrics

	pool       *mail.Pool
	mailServer smtpurl.Server
	sending    atomic.Pointer[relay.Mails] // nil until the log has been read to its end
	tls        *tls.Config                 // of public; nil: in clear
	reloadTLS  func() error                // nil unless tls is from files
	public     net.Listener
	admin      net.Listener
	log        atomic.Pointer[eventlog.Log] // nil until it has been opened
	caught     chan struct{}                // closed once the log has been read to its end
}

// New opens what this machine has, and starts nothing but the embedded NATS server.
// It fails if something is wrong with the machine or the settings; NATS and the mail
// server may be away. It fails with datadir.ErrInUse if another worker uses the data
// directory. Run or Close ends what New opened.
func New(ctx context.Context, o Options) (_ *Worker, err error) {
	cfg := o.Config
	w := &Worker{
		cfg: cfg, o: o, logger: o.Logger, caught: make(chan struct{}), began: time.Now(),
		accounts: accounts.Open(cfg.AccountsFile, o.Clock, o.Logger), apiMetrics: api.NewMetrics(), delivered: admin.NewDeliveries(),
	}
	w.webhookKey = webhook.OpenKey(cfg.WebhookKey, o.Clock, o.Logger)
	w.accounts.Sealing(w.webhookKey.Seal)
	w.checks = w.newChecks()
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	if w.unlock, err = datadir.Lock(cfg.DataDir); err != nil {
		return nil, err
	}
	if err = datadir.CheckFiles(cfg); err != nil {
		return nil, err
	}
	if err = signing.CheckProvider(cfg); err != nil {
		return nil, err
	}
	if err = w.listen(); err != nil {
		return nil, err
	}
	if w.keys, err = signing.OpenKeys(cfg, o.Clock, o.Logger); err != nil {
		return nil, err
	}
	w.links = w.newLinks()
	if w.pool, err = w.mailPool(); err != nil {
		return nil, err
	}
	if w.receivers, err = w.newReceivers(); err != nil {
		return nil, err
	}
	if err = w.connect(ctx); err != nil {
		return nil, err
	}
	if err = w.openStore(ctx); err != nil {
		return nil, err
	}
	w.letters = signing.New(signing.Options{
		Config: cfg, Keys: w.keys, Store: w.store, Log: w.log.Load, CaughtUp: w.hasCaughtUp, Logger: o.Logger,
	})
	if w.store.Position().Sequence == 0 {
		return w, nil // only the log tells whether keys that are missing are needed: see catchUp
	}
	return w, w.keys.Complete(ctx, w.letters, o.NewKeys)
}

// Close ends what New opened, if Run does not.
func (w *Worker) Close() {
	if w.nc != nil {
		w.nc.Close()
	}
	if w.server != nil {
		datadir.RemoveAddress(w.cfg)
		w.server.Shutdown()
	}
	if w.store != nil {
		if err := w.store.Close(); err != nil {
			w.logger.Warn("close the database", "err", err)
		}
	}
	if w.pool != nil {
		w.pool.Close()
	}
	for _, l := range []net.Listener{w.public, w.admin} {
		if l != nil {
			l.Close()
		}
	}
	if w.unlock != nil {
		w.unlock()
	}
}

// PublicURL is what links in emails begin with.
func (w *Worker) PublicURL() string { return w.cfg.PublicURL }

// AdminAddr is where operators connect.
func (w *Worker) AdminAddr() net.Addr { return w.admin.Addr() }

// NATS is the embedded NATS server; nil if there is none.
func (w *Worker) NATS() *natsd.Server { return w.server }

// Conn is the worker's connection to NATS.
func (w *Worker) Conn() *nats.Conn { return w.nc }

// Store is the worker's database.
func (w *Worker) Store() *db.Store { return w.store }

// Accounts are the accounts of the REST API.
func (w *Worker) Accounts() *accounts.File { return w.accounts }
