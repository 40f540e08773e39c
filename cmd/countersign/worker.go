package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"countersign/internal/datadir"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"countersign/db"
	"countersign/events"
	"countersign/internal/accounts"
	"countersign/internal/admin"
	"countersign/internal/api"
	"countersign/internal/config"
	"countersign/internal/eventlog"
	"countersign/internal/httpd"
	"countersign/internal/letter"
	"countersign/internal/mail"
	"countersign/internal/natsd"
	"countersign/internal/relay"
	"countersign/internal/ticket"
	"countersign/internal/web"
	"countersign/workflow"
)

// worker is the whole of Countersign in one process.
type worker struct {
	cfg    config.Config
	logger *slog.Logger
	inbox  http.Handler // of the mail catcher, in dev

	began   time.Time // read for its monotonic part
	newKeys bool      // make keys that are missing, whatever breaks
	checks  *admin.Checks

	unlock func()
	server *natsd.Server // nil where NATS is external
	nc     *nats.Conn
	store  *db.Store
	keys   *ticket.File
	copies *snapshots
	meters replicaMeters
	unread unreadMeter
	seal   atomic.Pointer[letter.Seal] // nil until the log has been read to its end, if it has to be made
	desk   *semaphore.Weighted         // one for each letter that is being written
	kept   keptOne

	accounts   *accounts.File
	apiMetrics *api.Metrics

	pool       *mail.Pool
	mailServer mail.Server
	sending    atomic.Pointer[relay.Mails] // nil until the log has been read to its end
	tls        *tls.Config                 // of public; nil: in clear
	reloadTLS  func() error                // nil unless tls is from files
	public     net.Listener
	admin      net.Listener
	log        atomic.Pointer[eventlog.Log] // nil until it has been opened
	caught     chan struct{}                // closed once the log has been read to its end
}

// newWorker opens what this machine has, and starts nothing but the embedded
// NATS server. What is wrong with the machine or the settings shows here; NATS
// and the mail server may be away.
func newWorker(ctx context.Context, cfg config.Config, newKeys bool, logger *slog.Logger) (_ *worker, err error) {
	w := &worker{
		cfg: cfg, logger: logger, caught: make(chan struct{}), began: time.Now(), newKeys: newKeys,
		accounts: accounts.Open(cfg.AccountsFile, wallClock, logger), apiMetrics: api.NewMetrics(),
		desk: semaphore.NewWeighted(maxLetters),
	}
	w.checks = w.newChecks()
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.unlock, err = datadir.Lock(cfg.DataDir); err != nil {
		return nil, err
	}
	if err = datadir.CheckFiles(cfg); err != nil {
		return nil, err
	}
	if err = checkProvider(cfg); err != nil {
		return nil, err
	}
	if w.public, err = listen(cfg.Listen, "--listen"); err != nil {
		return nil, err
	}
	if w.admin, err = listen(cfg.AdminListen, "--admin-listen"); err != nil {
		return nil, err
	}
	if w.tls, err = w.tlsConfig(); err != nil {
		return nil, err
	}
	if err = w.openKeys(); err != nil {
		return nil, err
	}
	if w.pool, err = w.mailPool(); err != nil {
		return nil, err
	}
	if err = w.connect(ctx); err != nil {
		return nil, err
	}
	if err = w.openStore(ctx); err != nil {
		return nil, err
	}
	if w.store.Position().Sequence == 0 {
		return w, nil // only the log tells whether keys that are missing are needed: see catchUp
	}
	return w, w.completeKeys(ctx)
}

// listen opens a listener; flag is what to change where the address is taken.
func listen(address, flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w; change %s", err, flag)
	}
	return l, nil
}

// tlsConfig is how the public listener is secured; nil where it is not.
func (w *worker) tlsConfig() (*tls.Config, error) {
	switch {
	case w.cfg.TLSCert != "":
		c, reload, err := httpd.FromFiles(w.cfg.TLSCert, w.cfg.TLSKey, w.logger)
		if err != nil {
			return nil, fmt.Errorf("--tls-cert, --tls-key: %w", err)
		}
		w.reloadTLS = reload
		return c, nil
	case w.cfg.Autocert:
		public, err := url.Parse(w.cfg.PublicURL)
		if err != nil {
			return nil, fmt.Errorf("--public-url: %w", err)
		}
		return httpd.FromACME(public.Hostname(), filepath.Join(w.cfg.DataDir, "autocert"), w.cfg.ACMEDirectory)
	}
	return nil, nil
}

func (w *worker) connect(ctx context.Context) (err error) {
	o := eventlog.ConnectOptions{
		URL: string(w.cfg.NATSURL), Context: w.cfg.NATSContext, Creds: w.cfg.NATSCreds,
		TLSCA: w.cfg.NATSCA, TLSCert: w.cfg.NATSCert, TLSKey: w.cfg.NATSKey,
		InboxPrefix: w.cfg.NATSInboxPrefix, Name: "countersign", Logger: w.logger,
	}
	if !w.cfg.External() {
		datadir.RemoveAddress(w.cfg) // of a worker that was killed
		if w.server, o.Token, err = datadir.StartNATS(w.cfg, w.cfg.NATSListen, w.logger); err != nil {
			return err
		}
		address := ""
		if at := w.server.Addr(); at != nil {
			address = httpd.Local(at)
		}
		if err := datadir.WriteAddress(w.cfg, address); err != nil {
			return err
		}
		o.InProcess = w.server
	}
	w.nc, err = eventlog.Connect(ctx, o)
	return err
}

func (w *worker) close() {
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

// run works until ctx ends; then it finishes what is in hand. It returns an
// error where it cannot go on, nil otherwise.
func (w *worker) run(ctx context.Context) error {
	defer w.close()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var servers sync.WaitGroup
	servers.Go(func() { w.checks.Run(ctx) })
	for _, s := range []struct {
		httpd.Server
		l net.Listener
	}{
		{httpd.Server{Handler: w.publicHandler(), TLS: w.tls, Logger: w.logger}, w.public},
		{httpd.Server{Handler: w.adminHandler(), Logger: w.logger}, w.admin},
	} {
		servers.Go(func() {
			if err := s.Run(ctx, s.l); err != nil {
				fail(err)
			}
		})
	}
	w.logger.Info("countersign is up", "version", versionName(), "public", w.public.Addr().String(), "admin", w.admin.Addr().String())
	err := w.work(ctx, fail)
	fail(err)
	servers.Wait()
	if err == nil {
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
			err = cause
		}
	}
	w.logger.Info("countersign is down")
	return err
}

// work opens the log, follows it to its end, and then carries what is owed.
// The relays end before the follower does: they wait for what they appended.
func (w *worker) work(ctx context.Context, fail context.CancelCauseFunc) error {
	log, err := eventlog.Reopen(ctx, w.nc, w.cfg.Replicas, w.store.Position().Sequence, w.logger)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	w.log.Store(log)
	if err := relay.Quarantine(ctx, w.store, log, w.logger); err != nil {
		return nil // ctx has ended
	}
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	followed := make(chan error, 1)
	go func() {
		work := relay.NewWorkLog(w.logger, w.store, log.Stats().Last)
		err := log.Follow(following, relay.Fold{Store: w.store, Logger: w.logger, News: w.hasCaughtUp, Work: work})
		if err != nil {
			fail(err)
		}
		followed <- err
	}()
	err = w.relays(ctx, log)
	stop()
	return errors.Join(err, <-followed)
}

// relays carries what is owed until ctx ends. It fails if the worker must not go
// on.
func (w *worker) relays(ctx context.Context, log *eventlog.Log) error {
	if err := w.catchUp(ctx, log); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	var group sync.WaitGroup
	group.Go(func() { w.watchUnread(ctx) })
	group.Go(func() { (&relay.Events{Store: w.store, Log: log, Logger: w.logger}).Run(ctx) })
	mails := w.mails(log)
	w.sending.Store(mails)
	group.Go(func() { mails.Run(ctx) })
	group.Go(func() { (&relay.Sweeps{Store: w.store, Logger: w.logger}).Run(ctx) })
	group.Go(func() {
		(&replicas{copies: w.copies, store: w.store, log: log, every: w.cfg.SnapshotEvery, meters: &w.meters}).run(ctx)
	})
	group.Wait()
	return nil
}

func (w *worker) mails(log *eventlog.Log) *relay.Mails {
	return &relay.Mails{
		Store: w.store, Log: log, Sender: sender{w.pool, letters{w}}, Limits: mail.NewLimits(w.cfg.MailRate, w.cfg.MailDomainRate, w.cfg.MailRecipientDay),
		Retry:    relay.Retry{First: w.cfg.MailRetryFirst, Max: w.cfg.MailRetryMax, GiveUp: w.cfg.MailGiveUpAfter},
		Deadline: w.cfg.MailDeadline, Hold: w.cfg.MailInDoubt == config.Hold, Logger: w.logger,
		Host: w.mailServer.Host, Port: w.mailServer.Port, User: w.mailServer.User,
	}
}

// catchUp reads the log to its end, and puts the settings that decide on it.
// It fails when ctx ends, and if keys are missing that documents need.
func (w *worker) catchUp(ctx context.Context, log *eventlog.Log) error {
	tail, err := relay.CatchUp(ctx, w.store, log, w.logger)
	if err != nil {
		return err
	}
	if err := relay.ActivateRules(ctx, w.store, log, w.cfg.Rules(), w.logger); err != nil {
		return err
	}
	if err := w.completeKeys(ctx); err != nil {
		return err
	}
	w.logger.Info("the log is read to its end", "sequence", tail)
	close(w.caught)
	return nil
}

// adminHandler serves operators and their machines, and in dev the inbox.
func (w *worker) adminHandler() http.Handler {
	state := func() admin.LogState {
		l := admin.LogState{Connected: w.nc.IsConnected()}
		if log := w.log.Load(); log != nil {
			stats := log.Stats()
			l.Last, l.Reconnects, l.Now, l.Foreign, l.TakenIDs = stats.Last, stats.Reconnects, log.Now(), stats.Foreign, stats.TakenIDs
			l.Offset, l.OffsetKnown = log.Offset(wallClock())
		}
		return l
	}
	extra := admin.Extra{
		Collectors: []prometheus.Collector{w.apiMetrics, &w.meters, &w.unread, admin.MailServer(func() time.Duration {
			if trouble, is := w.mailTrouble(); is {
				return time.Since(trouble.Since)
			}
			return 0
		})},
	}
	mux := http.NewServeMux()
	if w.inbox != nil {
		extra.Path, extra.Title = "/inbox/", "Inbox of the mail catcher"
		mux.Handle("/inbox/", http.StripPrefix("/inbox", w.inbox))
	}
	mux.Handle("/", admin.Handler(w.store, state, w.checks, w.logger, extra))
	return httpd.ForHosts(mux, append([]string{w.cfg.AdminListen}, w.cfg.AdminHosts...),
		"The admin listener does not answer to this host name. Use localhost or an IP address, or add the name to the setting admin-hosts.")
}

// publicHandler serves the REST API and the signing page.
func (w *worker) publicHandler() http.Handler {
	rest := api.New(api.Config{
		Documents: known{w.store, w}, Progress: w.store, Log: appender{w}, Accounts: w.accounts, Keys: w.keys,
		PublicURL: w.cfg.PublicURL, Now: wallClock, Random: rand.Reader, Logger: w.logger, Metrics: w.apiMetrics,
		Proxies: w.cfg.TrustedProxies, AccountRate: w.cfg.APIAccountRate, AddressRate: w.cfg.APIAddressRate, RecipientDay: w.cfg.MailRecipientDay,
	})
	mux := http.NewServeMux()
	mux.Handle("/HostedNumbers/", rest)
	mux.Handle("/v2/", rest)
	pages := web.Handler(web.Config{
		Documents: known{w.store, w}, Keys: w.keys, Log: appender{w}, Letters: letters{w}, Provider: provider(w.cfg), PublicURL: w.cfg.PublicURL,
		Now: w.now, Signable: w.signable, Logger: w.logger, Proxies: w.cfg.TrustedProxies,
	})
	mux.Handle("/", pages)
	return httpd.OnlyHTTPS(exactly{mux, rest, pages}, w.cfg.PublicURL)
}

// exactly keeps http.ServeMux from redirecting: Twilio's clients take a
// redirect for success. What it would clean up is a path of the API's that is
// not there, or a link that was mangled on its way.
type exactly struct {
	mux         *http.ServeMux
	rest, pages http.Handler
}

// ServeHTTP implements http.Handler.
func (e exactly) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if web.Owns(r.URL.Path) {
		e.pages.ServeHTTP(w, r)
		return
	}
	if r.URL.Path != path.Clean(r.URL.Path) && r.URL.Path != path.Clean(r.URL.Path)+"/" ||
		r.URL.Path == "/HostedNumbers" || r.URL.Path == "/v2" {
		e.rest.ServeHTTP(w, r)
		return
	}
	e.mux.ServeHTTP(w, r)
}

// appender appends to the log once it has been opened.
type appender struct{ *worker }

// Append implements api.Log.
func (a appender) Append(ctx context.Context, e events.Event) (uint64, error) {
	log := a.log.Load()
	if log == nil {
		return 0, fmt.Errorf("append %s: %w: the log has not been opened yet", e.What, workflow.ErrUnavailable)
	}
	return log.Append(ctx, e)
}
