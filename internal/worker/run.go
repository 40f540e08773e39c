package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"countersign/internal/config"
	"countersign/internal/eventlog"
	"countersign/internal/httpd"
	"countersign/internal/mail"
	"countersign/internal/recovery"
	"countersign/internal/relay"
)

// Run works until ctx ends; then it finishes what is in flight. It returns an error
// if it cannot go on, nil otherwise. It closes the worker.
func (w *Worker) Run(ctx context.Context) error {
	defer w.Close()
	relaxCollector()
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
	w.logger.Info("countersign is up", "version", w.o.Version, "public", w.public.Addr().String(), "admin", w.admin.Addr().String())
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

// work opens the log, follows it to its end, and then sends and appends what is
// pending. The relays end before the follower does: they wait for what they
// appended.
func (w *Worker) work(ctx context.Context, fail context.CancelCauseFunc) error {
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

// relays sends and appends what is pending until ctx ends. It fails if the worker
// must not go on.
func (w *Worker) relays(ctx context.Context, log *eventlog.Log) error {
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
	group.Go(func() { w.deliveries(log).Run(ctx) })
	group.Go(func() { (&relay.Sweeps{Store: w.store, Logger: w.logger}).Run(ctx) })
	group.Go(func() {
		(&recovery.Replicas{Snapshots: w.snapshots, Store: w.store, Log: log, Every: w.cfg.SnapshotEvery, Meters: &w.replicas}).Run(ctx)
	})
	group.Wait()
	return nil
}

func (w *Worker) mails(log *eventlog.Log) *relay.Mails {
	return &relay.Mails{
		Store: w.store, Log: log, Sender: sender{w.pool, w}, Limits: mail.NewLimits(w.cfg.MailRate, w.cfg.MailDomainRate, w.cfg.MailRecipientDay),
		Retry:    relay.Retry{First: w.cfg.MailRetryFirst, Max: w.cfg.MailRetryMax, GiveUp: w.cfg.MailGiveUpAfter},
		Deadline: w.cfg.MailDeadline, Hold: w.cfg.MailInDoubt == config.Hold, Logger: w.logger,
		Host: w.mailServer.Host, Port: w.mailServer.Port, User: w.mailServer.User,
	}
}

// catchUp reads the log to its end, and puts the settings of the rules on it. It
// fails when ctx ends, and if keys are missing that documents need.
func (w *Worker) catchUp(ctx context.Context, log *eventlog.Log) error {
	tail, err := relay.CatchUp(ctx, w.store, log, w.logger)
	if err != nil {
		return err
	}
	if err := relay.ActivateRules(ctx, w.store, log, w.cfg.Rules(), w.logger); err != nil {
		return err
	}
	if err := w.keys.Complete(ctx, w.letters, w.o.NewKeys); err != nil {
		return err
	}
	close(w.caught)
	w.logger.Info("the log is read to its end", "sequence", tail)
	return nil
}

// hasCaughtUp reports whether this worker has read the log to its end since its
// start.
func (w *Worker) hasCaughtUp() bool {
	select {
	case <-w.caught:
		return true
	default:
		return false
	}
}

// CaughtUp is closed once the worker has read the log to its end.
func (w *Worker) CaughtUp() <-chan struct{} { return w.caught }

// WaitSettled waits until the log is applied to its end and nothing is pending. It
// fails if ctx ends before, and must not be called before CaughtUp is closed.
func (w *Worker) WaitSettled(ctx context.Context) error {
	for {
		changed := w.store.Changed()
		tail, err := w.log.Load().Tail(ctx)
		if err != nil {
			return err
		}
		c, err := w.store.Counts(ctx, w.log.Load().Now())
		if err != nil {
			return err
		}
		if c.PendingMails == 0 && c.PendingEvents == 0 && w.store.Position().Sequence >= tail {
			return nil
		}
		select {
		case <-changed:
		case <-time.After(time.Second): // an email becomes due without a change
		case <-ctx.Done():
			return fmt.Errorf("%w; %d emails and %d events are pending", ctx.Err(), c.PendingMails, c.PendingEvents)
		}
	}
}
