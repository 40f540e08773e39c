// Package relay carries the log into the store, and what is pending in the store
// out of it: events to the log, emails to the mail server.
//
// Several workers may run side by side, each with a store of its own. A worker
// claims emails on the log before it sends them. The worker of the last claim
// is active and works at once; the others wait until something is overdue.
package relay

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"log/slog"
	"time"

	"countersign/db"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

// Fold lets the follower of the log write into the store.
type Fold struct {
	Store  *db.Store
	Logger *slog.Logger // may be nil
	News   func() bool  // whether to log what is applied now; nil for never
	Work   *WorkLog     // is told what was applied; nil for nobody
}

// Position implements eventlog.Fold.
func (f Fold) Position(context.Context) (eventlog.Position, error) {
	return wirePosition(f.Store.Position()), nil
}

// Apply implements eventlog.Fold.
func (f Fold) Apply(ctx context.Context, b eventlog.Batch) error {
	if len(b.Erasures) > 0 {
		if err := f.Store.Foresee(ctx, b.Erasures); err != nil {
			return err
		}
	}
	if err := f.Store.Apply(ctx, b.Stream, b.Entries); err != nil {
		return err
	}
	f.sayQuarantined(context.WithoutCancel(ctx), b.Entries)
	f.sayFailedOrders(b.Entries)
	if f.Work != nil {
		f.Work.applied(b.Entries)
	}
	return nil
}

// Rewind implements eventlog.Fold.
func (f Fold) Rewind(ctx context.Context, last uint64, matches func(uint64, time.Time, string, string) (bool, error)) (eventlog.Position, error) {
	p, err := f.Store.Rewind(ctx, last, matches)
	if err == nil && f.Work != nil {
		f.Work.rewound(p.Sequence)
	}
	return wirePosition(p), err
}

func wirePosition(p db.Position) eventlog.Position {
	return eventlog.Position{Sequence: p.Sequence, Time: p.Time, ID: p.ID, Source: p.Source, Stream: p.Stream}
}

// overdue is how long a standby leaves pending work to the active worker.
const overdue = 3 * time.Second

// patience is overdue and up to half of it more. It depends on the worker's name,
// so that two standbys do not act at once.
func patience(worker string) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(worker))
	return overdue + overdue/2*time.Duration(h.Sum32()%1000)/1000
}

// active reports whether this worker made the last claim, or nobody has.
func active(store *db.Store) bool { return store.Position().Active() }

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// tailWait bounds the wait for the last known sequence. CatchUp then asks again,
// because a log that lost its tail never reaches it.
const tailWait = 5 * time.Second

// CatchUp waits until the store has applied the log to its end, and returns the
// end's sequence. It fails when ctx ends.
func CatchUp(ctx context.Context, store *db.Store, log *eventlog.Log, logger *slog.Logger) (uint64, error) {
	for {
		tail, err := log.Tail(ctx)
		if err != nil && ctx.Err() == nil {
			logger.Warn("the last sequence of the log cannot be read: the next try is in a second", "err", err)
			pause(ctx, time.Second)
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err == nil && applied(ctx, store, tail, tailWait) == nil {
			return tail, nil
		}
	}
}

// applied waits until the entry at seq has been applied, but no longer than most:
// the log may have lost the entry.
func applied(ctx context.Context, store *db.Store, seq uint64, most time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	return store.WaitApplied(ctx, seq)
}

// ActivateRules appends the settings that the rules decide by, if they differ from
// those on the log. All workers decide by them from then on. It ignores want's
// version of the rules: an operator activates a new one.
func ActivateRules(ctx context.Context, store *db.Store, log *eventlog.Log, want workflow.RulesActivated, logger *slog.Logger) error {
	p := store.Position()
	want.Version = p.Rules
	from, to := settings(p.InForce()), settings(want)
	if from == to {
		return nil
	}
	logger.Info("the rules get new settings, for every worker", "from", from, "to", to)
	id := "rules." + p.Worker + "." + time.Now().UTC().Format(time.RFC3339Nano)
	_, err := log.Append(ctx, eventlog.RulesActivated(id, log.Now(), want))
	return err
}

// settings writes the settings, so that they can be compared and logged.
func settings(b workflow.RulesActivated) string {
	text, err := json.Marshal(b)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
