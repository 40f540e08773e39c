package worker

import (
	"context"
	"errors"
	"math"
	"time"

	"countersign/db"
	"countersign/internal/config"
	"countersign/internal/datadir"
	"countersign/internal/eventlog"
	"countersign/internal/httpd"
	"countersign/internal/recovery"
	"countersign/workflow"
)

// seedWait is how long a new worker waits for NATS to give it a snapshot.
const seedWait = 5 * time.Second

// openStore opens the database. If it has applied nothing yet, it is replaced by the
// newest usable snapshot, if there is one.
func (w *Worker) openStore(ctx context.Context) (err error) {
	if w.snapshots, err = recovery.NewSnapshots(w.cfg, w.nc, w.logger); err != nil {
		return err
	}
	if unused(ctx, w.cfg.DataDir) {
		w.seed(ctx)
	}
	w.store, err = db.OpenTelling(ctx, w.cfg.DataDir, sayLocks(w.logger))
	return err
}

// WarnOfSettings logs what is dangerous about the settings, although a worker can
// run with them.
func (w *Worker) WarnOfSettings() {
	if w.cfg.PublicURL == config.PublicURL {
		w.logger.Warn("public-url is not set: links in emails point to this machine and will not work for recipients; set it to the origin that people see", "public-url", w.cfg.PublicURL)
	}
	if s := w.NATS(); w.cfg.NATSTokenFile == "" && s != nil && s.Addr() != nil {
		w.logger.Warn("nats-token-file is off: every program that can reach the embedded NATS server can publish and read all events", "server", s.Addr().String())
	}
	if datadir.OpenToOthers(w.cfg.DataDir) {
		w.logger.Warn("other users of this machine can replace the files in the data directory, the accounts and the keys among them; run chmod o-w on it", "data-dir", w.cfg.DataDir)
	}
}

// unused reports whether a data directory has no database, or one that has
// applied nothing.
func unused(ctx context.Context, dir string) bool {
	store, err := db.OpenReader(ctx, dir)
	if err != nil {
		return errors.Is(err, workflow.ErrNotFound)
	}
	defer store.Close()
	return store.Position().Sequence == 0
}

// seed makes the database from a snapshot. If that fails the worker starts anyway:
// the log has all that a snapshot has.
func (w *Worker) seed(ctx context.Context) {
	ended := time.After(seedWait)
	for {
		x, ok, err := w.snapshots.Restore(ctx, w.cfg.DataDir, math.MaxInt64)
		switch {
		case ok:
			w.logger.Info("starting from a snapshot", "name", x.Name, "position", x.Position.Sequence)
			return
		case err == nil:
			return // folding from the log's beginning
		case !errors.Is(err, workflow.ErrUnavailable):
			w.logger.Warn("no snapshot can be used; applying the log from its beginning", "err", err)
			return
		}
		select {
		case <-ended:
			w.logger.Warn("the snapshots cannot be read; applying the log from its beginning", "err", err)
			return
		case <-ctx.Done():
			return
		case <-time.After(askAgain):
		}
	}
}

// askAgain is the pause between two questions to NATS while it does not answer.
const askAgain = 100 * time.Millisecond

func (w *Worker) connect(ctx context.Context) (err error) {
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
