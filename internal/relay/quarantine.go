package relay

import (
	"context"
	"errors"
	"log/slog"

	"countersign/db"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

// Quarantine puts the entry of which this worker died twice into quarantine,
// so that nobody folds it again. It is called before the log is followed, tries
// until ctx ends, and fails then.
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
		logger.Error("the program has crashed on an entry at two starts; it is a dead letter from now on, for every worker",
			"sequence", p.Sequence, "see", "countersign dead show")
	}
	return nil
}

// sayQuarantined says so where this worker had applied what others could not.
func (f Fold) sayQuarantined(ctx context.Context, batch []workflow.Entry) {
	for _, e := range batch {
		q, ok := e.Body.(workflow.Quarantined)
		if !ok || f.Logger == nil {
			continue
		}
		if _, err := f.Store.Letter(ctx, q.Sequence); errors.Is(err, workflow.ErrNotFound) {
			f.Logger.Error("another worker crashes on an entry that this one has applied, and has put it into quarantine: this database differs from one made from the log; to have them agree, stop this worker, run countersign rebuild --from-log and start it again",
				"sequence", q.Sequence, "worker", q.Worker)
		}
	}
}
