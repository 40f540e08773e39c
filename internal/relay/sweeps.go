package relay

import (
	"context"
	"log/slog"
	"time"

	"countersign/db"
)

// Sweeps removes erased data from the pages of the database's file.
type Sweeps struct {
	Store  *db.Store
	Logger *slog.Logger
}

// Nothing is applied during a sweep. Sweeps take at most one twentieth of the time
// in which documents are erased.
const (
	sweepShare = 20
	sweepAgain = 10 * time.Minute // after one that failed
)

// Run sweeps until ctx ends, and then once more if necessary.
func (r *Sweeps) Run(ctx context.Context) {
	for ctx.Err() == nil {
		changed := r.Store.Changed()
		if r.Store.Unswept() {
			pause(ctx, r.sweep(ctx))
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	r.sweep(ctx)
}

// sweep returns how long to wait before the next.
func (r *Sweeps) sweep(ctx context.Context) time.Duration {
	start := time.Now()
	if err := r.Store.Sweep(ctx); err != nil {
		r.Logger.Warn("the database's file may still hold erased data: sweeping it failed and is retried in 10 minutes", "err", err)
		return sweepAgain
	}
	return max(time.Second, (sweepShare-1)*time.Since(start))
}
