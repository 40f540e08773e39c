package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"countersign/db"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

// replicas takes snapshots when this worker is at work, and holds its database
// against the snapshots that others take.
type replicas struct {
	copies *snapshots
	store  *db.Store
	log    *eventlog.Log
	every  time.Duration

	compared string // name of the last snapshot held against the database
	meters   *replicaMeters
}

// replicaMeters is what /metrics shows of it.
type replicaMeters struct {
	position atomic.Uint64 // of the newest snapshot
	taken    atomic.Int64  // unix seconds, of the newest snapshot
	mismatch atomic.Bool
}

var (
	descMismatch = prometheus.NewDesc("countersign_replica_mismatch", "1 if the database differed from the last snapshot that another worker took.", nil, nil)
	descPosition = prometheus.NewDesc("countersign_snapshot_position", "Sequence of the last entry in the newest snapshot; 0 where none is known.", nil, nil)
	descTaken    = prometheus.NewDesc("countersign_snapshot_timestamp_seconds", "When the newest snapshot was taken; 0 where none is known.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m *replicaMeters) Describe(ch chan<- *prometheus.Desc) {
	ch <- descMismatch
	ch <- descPosition
	ch <- descTaken
}

// Collect implements prometheus.Collector.
func (m *replicaMeters) Collect(ch chan<- prometheus.Metric) {
	mismatch := 0.0
	if m.mismatch.Load() {
		mismatch = 1
	}
	ch <- prometheus.MustNewConstMetric(descMismatch, prometheus.GaugeValue, mismatch)
	ch <- prometheus.MustNewConstMetric(descPosition, prometheus.GaugeValue, float64(m.position.Load()))
	ch <- prometheus.MustNewConstMetric(descTaken, prometheus.GaugeValue, float64(m.taken.Load()))
}

// firstAfter is when the first snapshot ever is taken, after a worker's start.
const firstAfter = 10 * time.Minute

// run looks at the snapshots until ctx ends.
func (r *replicas) run(ctx context.Context) {
	if r.every == 0 {
		return
	}
	began := time.Now()
	tick := time.NewTicker(min(max(r.every/20, 10*time.Millisecond), time.Minute))
	defer tick.Stop()
	for {
		if err := r.look(ctx, began); err != nil && ctx.Err() == nil {
			r.copies.logger.Warn("trouble with snapshots of the database", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look takes a snapshot where one is due, or compares the newest where it is
// another worker's.
func (r *replicas) look(ctx context.Context, began time.Time) error {
	list, err := r.copies.store.List(ctx)
	if err != nil {
		return err
	}
	me := r.store.Position()
	now, due := r.log.Stamp(), time.Since(began) >= min(r.every, firstAfter)
	if len(list) > 0 {
		newest := list[0]
		r.saw(newest)
		if newest.Worker != me.Worker && newest.Name != r.compared {
			if err := r.compare(ctx, newest); err != nil {
				return err
			}
			r.compared = newest.Name
		}
		due = now.Sub(newest.Taken) >= r.every && me.Sequence > newest.Position.Sequence
	}
	if active := me.Claim == 0 || me.ClaimWorker == me.Worker; !due || !active || me.Sequence == 0 {
		return nil
	}
	taken, err := r.copies.take(ctx, r.store, me.Worker)
	if err == nil {
		r.saw(taken)
	}
	return err
}

func (r *replicas) saw(x eventlog.Snapshot) {
	r.meters.position.Store(x.Position.Sequence)
	r.meters.taken.Store(x.Taken.Unix())
}

// compare folds another worker's snapshot forward to where this database
// stands, and compares the two.
func (r *replicas) compare(ctx context.Context, x eventlog.Snapshot) error {
	if err := r.store.WaitApplied(ctx, x.Position.Sequence); err != nil {
		return err
	}
	mine, remove, err := scratch(r.copies.dir)
	if err != nil {
		return err
	}
	defer remove()
	theirs, removeTheirs, err := scratch(r.copies.dir)
	if err != nil {
		return err
	}
	defer removeTheirs()
	if err := r.store.Copy(ctx, mine); err != nil {
		return err
	}
	if err := r.copies.fetch(ctx, x, theirs); err != nil {
		r.copies.logger.Error("the newest snapshot cannot be used", "name", x.Name, "err", err)
		return nil // a new worker passes it over, too
	}
	same, at, err := sameAt(ctx, r.log, mine, theirs)
	switch {
	case errors.Is(err, workflow.ErrUnavailable), err == nil && same:
	case err == nil:
		r.copies.logger.Error("this worker's database is not what another's is at the same position; find out which is right with countersign verify, and rebuild the other",
			"position", at, "snapshot", x.Name, "other", x.Worker)
	}
	if err == nil {
		r.meters.mismatch.Store(!same)
	}
	return err
}
