package recovery

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

// Replicas takes snapshots while this worker runs, and compares its
// database with the snapshots that other workers take.
type Replicas struct {
	Snapshots *Snapshots
	Store     *db.Store
	Log       *eventlog.Log
	Every     time.Duration // between snapshots; 0 for never
	Meters    *ReplicaMeters

	compared string // name of the last snapshot that the database was compared with
}

// ReplicaMeters is what /metrics shows of Replicas. The zero value is ready to
// use.
type ReplicaMeters struct {
	position atomic.Uint64 // of the newest snapshot
	taken    atomic.Int64  // unix seconds, of the newest snapshot
	mismatch atomic.Bool
}

var (
	descMismatch = prometheus.NewDesc("countersign_replica_mismatch", "1 if the database differed from the last snapshot that another worker took.", nil, nil)
	descPosition = prometheus.NewDesc("countersign_snapshot_position", "Sequence of the last entry in the newest snapshot; 0 if none is known.", nil, nil)
	descTaken    = prometheus.NewDesc("countersign_snapshot_timestamp_seconds", "When the newest snapshot was taken; 0 if none is known.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m *ReplicaMeters) Describe(ch chan<- *prometheus.Desc) {
	ch <- descMismatch
	ch <- descPosition
	ch <- descTaken
}

// Collect implements prometheus.Collector.
func (m *ReplicaMeters) Collect(ch chan<- prometheus.Metric) {
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

// Run looks at the snapshots until ctx ends.
func (r *Replicas) Run(ctx context.Context) {
	if r.Every == 0 {
		return
	}
	began := time.Now()
	tick := time.NewTicker(min(max(r.Every/20, 10*time.Millisecond), time.Minute))
	defer tick.Stop()
	for {
		if err := r.look(ctx, began); err != nil && ctx.Err() == nil {
			r.Snapshots.logger.Warn("snapshots of the database fail; they are tried again", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look takes a snapshot if one is due, and compares the newest one with the
// database if another worker took it.
func (r *Replicas) look(ctx context.Context, began time.Time) error {
	list, err := r.Snapshots.List(ctx)
	if err != nil {
		return err
	}
	me := r.Store.Position()
	now, due := r.Log.Stamp(), time.Since(began) >= min(r.Every, firstAfter)
	if len(list) > 0 {
		newest := list[0]
		r.saw(newest)
		if newest.Worker != me.Worker && newest.Name != r.compared {
			if err := r.compare(ctx, newest); err != nil {
				return err
			}
			r.compared = newest.Name
		}
		due = now.Sub(newest.Taken) >= r.Every && me.Sequence > newest.Position.Sequence
	}
	if active := me.Claim == 0 || me.ClaimWorker == me.Worker; !due || !active || me.Sequence == 0 {
		return nil
	}
	taken, err := r.Snapshots.Take(ctx, r.Store, me.Worker)
	if err == nil {
		r.saw(taken)
	}
	return err
}

func (r *Replicas) saw(x eventlog.Snapshot) {
	r.Meters.position.Store(x.Position.Sequence)
	r.Meters.taken.Store(x.Taken.Unix())
}

// compare folds another worker's snapshot forward to this database's position,
// and compares the two.
func (r *Replicas) compare(ctx context.Context, x eventlog.Snapshot) error {
	if err := r.Store.WaitApplied(ctx, x.Position.Sequence); err != nil {
		return err
	}
	mine, remove, err := Scratch(r.Snapshots.dir)
	if err != nil {
		return err
	}
	defer remove()
	theirs, removeTheirs, err := Scratch(r.Snapshots.dir)
	if err != nil {
		return err
	}
	defer removeTheirs()
	if err := r.Store.Copy(ctx, mine); err != nil {
		return err
	}
	if err := r.Snapshots.fetch(ctx, x, theirs); err != nil {
		r.Snapshots.logger.Error("the newest snapshot cannot be used", "name", x.Name, "err", err)
		return nil // a new worker skips it, too
	}
	same, at, err := sameAt(ctx, r.Log, mine, theirs)
	switch {
	case errors.Is(err, workflow.ErrUnavailable), err == nil && same:
	case err == nil:
		r.Snapshots.logger.Error("this worker's database and another's differ at the same position; find the wrong one with countersign verify, and rebuild it",
			"position", at, "snapshot", x.Name, "other", x.Worker)
	}
	if err == nil {
		r.Meters.mismatch.Store(!same)
	}
	return err
}
