package relay

import (
	"context"
	"log/slog"
	"time"

	"countersign/db"
	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/failpoint"
)

// most is how many pending events are read and appended at a time.
const most = 500

// Events appends the events that are pending in the store. Each gets onto the log
// once, whoever appends it and however often; it is done when the store reads it
// back.
type Events struct {
	Store  *db.Store
	Log    *eventlog.Log
	Logger *slog.Logger
}

// Run appends until ctx ends, and returns nil then. If the log cannot be written,
// it retries every second.
func (r *Events) Run(ctx context.Context) error {
	var after int64          // events up to this place have been appended, or are left to the sweep
	seen := map[int64]bool{} // places that were pending at the last sweep
	var next time.Time       // sweep; an event that is pending at two in a row is overdue
	for ctx.Err() == nil {
		changed := r.Store.EventsChanged()
		if !time.Now().Before(next) {
			seen = r.sweep(ctx, seen)
			next = time.Now().Add(patience(r.Store.Position().Worker))
		}
		if active(r.Store) {
			due, err := r.Store.DueEvents(ctx, r.Log.Now(), r.Log.Stamp(), after, most)
			if err == nil {
				err = r.append(ctx, due)
			}
			if err != nil {
				r.trouble(ctx, err)
				continue
			}
			if n := len(due); n > 0 {
				after = due[n-1].Place
			}
			if len(due) == most {
				continue
			}
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// sweep appends what was pending at the last sweep and still is: a timer that came
// due since, or what another worker, or this one before a restart, has left.
func (r *Events) sweep(ctx context.Context, seen map[int64]bool) map[int64]bool {
	due, err := r.Store.DueEvents(ctx, r.Log.Now(), r.Log.Stamp(), 0, most)
	if err != nil {
		r.trouble(ctx, err)
		return seen
	}
	now := make(map[int64]bool, len(due))
	var late []db.PlacedEvent
	for _, o := range due {
		now[o.Place] = true
		if seen[o.Place] {
			late = append(late, o)
		}
	}
	if err := r.append(ctx, late); err != nil {
		r.trouble(ctx, err)
	}
	return now
}

func (r *Events) append(ctx context.Context, due []db.PlacedEvent) error {
	if len(due) == 0 {
		return nil
	}
	failpoint.Hit("owed-read")
	batch := make([]events.Event, len(due))
	for i, o := range due {
		batch[i] = eventlog.FromPending(o.PendingEvent)
	}
	failpoint.Hit("owed-append")
	_, err := r.Log.AppendOnce(ctx, batch)
	failpoint.Hit("owed-appended")
	return err
}

func (r *Events) trouble(ctx context.Context, err error) {
	if ctx.Err() == nil {
		r.Logger.Warn("pending events wait: the next try is in a second", "err", err)
		pause(ctx, time.Second)
	}
}
