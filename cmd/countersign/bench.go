package main

import (
	"context"

	"github.com/nats-io/nats.go"

	"countersign/events"
	"countersign/internal/config"
	"countersign/internal/natsd"
)

// bench is what commands that fold the log work with.
type bench struct {
	*app
	cfg    config.Config
	unlock func()        // nil where a worker has the data directory
	server *natsd.Server // the embedded one, where no worker runs it
	nc     *nats.Conn
	log    *events.Log
	copies *snapshots
}

// newBench opens the log: by way of the worker on this data directory where
// one runs, else by itself. alone refuses to work beside a worker.
func (a *app) newBench(ctx context.Context, cfg config.Config, alone bool) (b *bench, err error) {
	b = &bench{app: a, cfg: cfg}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	logger := logger(a.err, cfg)
	if alone || !cfg.External() {
		if b.unlock, err = lockDir(cfg.DataDir); err != nil && alone {
			return b, err
		}
	}
	if b.unlock != nil && !cfg.External() {
		if b.server, err = startNATS(cfg, "", logger); err != nil {
			return b, err
		}
		b.nc, err = events.Connect(ctx, events.ConnectOptions{InProcess: b.server, Name: "countersign"})
	} else {
		b.nc, err = dial(ctx, cfg)
	}
	if err != nil {
		return b, err
	}
	if b.log, err = events.Open(ctx, b.nc, cfg.Replicas, logger); err != nil {
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
