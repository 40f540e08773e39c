package worker

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"countersign/db"
	"countersign/events"
	"countersign/internal/admin"
	"countersign/internal/api"
	"countersign/internal/config"
	"countersign/internal/httpd"
	"countersign/internal/signing"
	"countersign/internal/web"
	"countersign/workflow"
)

// listen opens the two listeners, and reads how the public one is secured.
func (w *Worker) listen() (err error) {
	if w.public, err = listen(w.cfg.Listen, "--listen"); err != nil {
		return err
	}
	if w.admin, err = listen(w.cfg.AdminListen, "--admin-listen"); err != nil {
		return err
	}
	if w.cfg.PublicURL == "" {
		w.cfg.PublicURL = "http://" + httpd.Local(w.public.Addr())
	}
	w.tls, err = w.tlsConfig()
	return err
}

// listen opens a listener; flag is the setting to change if the address is in use.
func listen(address, flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w; change %s", err, flag)
	}
	return l, nil
}

// tlsConfig is how the public listener is secured; nil if it is not.
func (w *Worker) tlsConfig() (*tls.Config, error) {
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

// adminHandler serves operators and their machines, and in dev the inbox.
func (w *Worker) adminHandler() http.Handler {
	state := func() admin.LogState {
		l := admin.LogState{Connected: w.nc.IsConnected()}
		if log := w.log.Load(); log != nil {
			stats := log.Stats()
			l.Last, l.Reconnects, l.Now, l.Foreign, l.TakenIDs = stats.Last, stats.Reconnects, log.Now(), stats.Foreign, stats.TakenIDs
			l.Offset, l.OffsetKnown = log.Offset(w.o.Clock())
		}
		return l
	}
	extra := admin.Extra{
		Collectors: []prometheus.Collector{w.apiMetrics, w.delivered, &w.replicas, &w.unread, admin.MailServer(func() time.Duration {
			if trouble, is := w.mailTrouble(); is {
				return time.Since(trouble.Since)
			}
			return 0
		})},
	}
	mux := http.NewServeMux()
	if w.o.Inbox != nil {
		extra.Path, extra.Title = "/inbox/", "Inbox of the mail catcher"
		mux.Handle("/inbox/", http.StripPrefix("/inbox", w.o.Inbox))
	}
	mux.Handle("/", admin.Handler(w.store, state, w.checks, w.logger, extra))
	return httpd.ForHosts(mux, append([]string{w.cfg.AdminListen}, w.cfg.AdminHosts...),
		"The admin listener does not answer to this host name. Use localhost or an IP address, or add the name to the setting admin-hosts.")
}

// publicHandler serves the REST API and the signing page.
func (w *Worker) publicHandler() http.Handler {
	rest := api.New(api.Config{
		Documents: known{w.store, w}, Orders: known{w.store, w}, Addresses: known{w.store, w}, Progress: w.store, Log: appender{w}, Accounts: w.accounts, Keys: w.keys.Links,
		PublicURL: w.cfg.PublicURL, Now: w.o.Clock, Random: rand.Reader, Logger: w.logger, Metrics: w.apiMetrics,
		Proxies: w.cfg.TrustedProxies, AccountRate: w.cfg.APIAccountRate, AddressRate: w.cfg.APIAddressRate, OnlyKnown: w.cfg.UnknownOrders == config.Refuse, RecipientDay: w.cfg.MailRecipientDay,
	})
	mux := http.NewServeMux()
	mux.Handle("/HostedNumbers/", rest)
	mux.Handle("/v2/", rest)
	mux.Handle("/2010-04-01/", rest)
	pages := web.Handler(web.Config{
		Documents: known{w.store, w}, Keys: w.keys.Links, Log: appender{w}, Letters: w.letters, Provider: signing.Provider(w.cfg), PublicURL: w.cfg.PublicURL,
		Now: w.Now, Signable: w.signable, Logger: w.logger, Proxies: w.cfg.TrustedProxies,
	})
	mux.Handle("/", pages)
	return httpd.OnlyHTTPS(exactly{mux, rest, pages}, w.cfg.PublicURL)
}

// exactly keeps http.ServeMux from redirecting: Twilio's clients take a redirect for
// success. A path that ServeMux would clean up is a path that the API does not have,
// or a link that was mangled on its way.
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
		r.URL.Path == "/HostedNumbers" || r.URL.Path == "/v2" || r.URL.Path == "/2010-04-01" {
		e.rest.ServeHTTP(w, r)
		return
	}
	e.mux.ServeHTTP(w, r)
}

// appender appends to the log once it has been opened.
type appender struct{ *Worker }

// Append implements api.Log.
func (a appender) Append(ctx context.Context, e events.Event) (uint64, error) {
	log := a.log.Load()
	if log == nil {
		return 0, fmt.Errorf("append %s: %w: the log has not been opened yet", e.What, workflow.ErrUnavailable)
	}
	return log.Append(ctx, e)
}

// Hurry implements api.Log.
func (a appender) Hurry() (done func()) {
	if log := a.log.Load(); log != nil {
		return log.Hurry()
	}
	return func() {}
}

// known reads documents for the page and the REST API.
type known struct {
	*db.Store
	w *Worker
}

// Document implements web.Documents and api.Documents. It fails with
// workflow.ErrUnavailable instead of workflow.ErrNotFound while this worker may not
// have read the document's events yet.
func (k known) Document(ctx context.Context, sid workflow.SID) (workflow.Document, error) {
	d, err := k.Store.Document(ctx, sid)
	return d, k.notYet(err)
}

// Order implements api.Orders, and fails as Document does.
func (k known) Order(ctx context.Context, account, sid workflow.SID) (workflow.HostedOrder, error) {
	o, err := k.Store.Order(ctx, account, sid)
	return o, k.notYet(err)
}

// Address implements api.Addresses, and fails as Document does.
func (k known) Address(ctx context.Context, account, sid workflow.SID) (workflow.Address, error) {
	a, err := k.Store.Address(ctx, account, sid)
	return a, k.notYet(err)
}

// notYet is what it means that something is not found while this worker may not have
// read its events yet.
func (k known) notYet(err error) error {
	if errors.Is(err, workflow.ErrNotFound) && !k.w.upToDate() {
		return fmt.Errorf("%w: this may be on the log, which has not been read to its end: %s", workflow.ErrUnavailable, err.Error())
	}
	return err
}

// upToDate reports whether this worker has read the log to its end, and is still
// connected to it.
func (w *Worker) upToDate() bool { return w.hasCaughtUp() && w.nc.IsConnected() }
