package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"countersign/db"
	"countersign/internal/config"
	"countersign/internal/datadir"
	"countersign/internal/eventlog"
	"countersign/internal/natsd"
	"countersign/workflow"
)

// bench is what commands that fold the log work with.
type bench struct {
	*app
	cfg    config.Config
	unlock func()        // nil where a worker has the data directory
	server *natsd.Server // the embedded one, where no worker runs it
	nc     *nats.Conn
	log    *eventlog.Log
	copies *snapshots
}

// newBench opens the log: by way of the worker on this data directory where
// one runs, else by itself. It makes no log where there is none, and fails with
// workflow.ErrNotFound. alone refuses to work beside a worker.
func (a *app) newBench(ctx context.Context, cfg config.Config, alone bool) (b *bench, err error) {
	if !cfg.External() && !datadir.HasLog(cfg) {
		return nil, fmt.Errorf("%w: no log in %s; is --data-dir the worker's, or the log elsewhere (--nats-url)?", workflow.ErrNotFound, cfg.DataDir)
	}
	if b, err = a.openBench(ctx, cfg, alone); err != nil {
		return nil, err
	}
	if b.log, err = eventlog.Find(ctx, b.nc, cfg.Replicas, logger(a.err, cfg)); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// openBench is a bench whose log has not been looked for.
func (a *app) openBench(ctx context.Context, cfg config.Config, alone bool) (b *bench, err error) {
	b = &bench{app: a, cfg: cfg}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	logger := logger(a.err, cfg)
	if alone || !cfg.External() {
		b.unlock, err = datadir.Lock(cfg.DataDir)
		locked, unknown := datadir.InUse(cfg.DataDir)
		switch {
		case err == nil:
		case errors.Is(err, datadir.ErrInUse) && alone:
			return b, fmt.Errorf("%w %s; stop it first", datadir.ErrInUse, cfg.DataDir)
		case alone, unknown == nil && !locked:
			return b, err
		}
	}
	if b.unlock != nil && !cfg.External() {
		if b.server, _, err = datadir.StartNATS(cfg, "", logger); err != nil {
			return b, err
		}
		b.nc, err = eventlog.Connect(ctx, eventlog.ConnectOptions{InProcess: b.server, Name: "countersign"})
	} else {
		b.nc, err = a.reach(ctx, cfg)
	}
	if err != nil {
		return b, err
	}
	b.copies, err = newSnapshots(cfg, b.nc, logger)
	return b, err
}

func (b *bench) close() {
	if b.nc != nil {
		b.nc.Close()
	}
	if b.server != nil {
		b.server.Shutdown()
	}
	if b.unlock != nil {
		b.unlock()
	}
}

// current is a database of our own that has applied the log to its end.
func (b *bench) current(ctx context.Context, dir string) (*db.Store, error) {
	tail, err := b.log.Tail(ctx)
	if err != nil {
		return nil, err
	}
	store, err := b.ownCopy(ctx, dir)
	if errors.Is(err, workflow.ErrNotFound) {
		return b.fold(ctx, dir, tail, false)
	}
	if err != nil {
		return nil, err
	}
	return store, foldTo(ctx, b.log, store, tail, nil)
}
