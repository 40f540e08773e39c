package relay

import (
	"context"
	"errors"
	"log/slog"

	"countersign/db"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

// Quarantine puts the entry on which this worker crashed twice into quarantine,
// so that no worker folds it again. Call it before the log is followed. It
// retries until ctx ends, and then fails.
func Quarantine(ctx context.Context, store *db.Store, log *eventlog.Log, logger *slog.Logger) error {
	p := store.Poison()
	if p == nil {
		return nil
	}
	b := workflow.Quarantined{Sequence: p.Sequence, Crashes: p.Deaths, Worker: store.Position().Worker}
	in, err := log.Quarantine(ctx, p.Time, b)
	if err != nil {
		return err
	}
	if in {
		logger.Error("the program crashed on an entry at two starts; from now on the entry is a dead letter for every worker",
			"sequence", p.Sequence, "see", "countersign dead show")
	}
	return nil
}

// sayQuarantined warns if this worker had applied an entry that crashes others.
func (f Fold) sayQuarantined(ctx context.Context, batch []workflow.Entry) {
	for _, e := range batch {
		q, ok := e.Body.(workflow.Quarantined)
		if !ok || f.Logger == nil {
			continue
		}
		if _, err := f.Store.DeadLetter(ctx, q.Sequence); errors.Is(err, workflow.ErrNotFound) {
			f.Logger.Error("another worker crashed on an entry that this one has applied, and put it into quarantine: this database differs from one made from the log; stop this worker, run countersign rebuild --from-log and start it again",
				"sequence", q.Sequence, "worker", q.Worker)
		}
	}
}
