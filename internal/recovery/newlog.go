package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"countersign/db"
	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/session"
	"countersign/workflow"
)

// NewLog is what a new, empty log would lose, and the way to begin one.
type NewLog struct {
	Lost db.Counts // what the database knows and an empty log does not

	dir       string
	snapshots *Snapshots
	list      []eventlog.Snapshot // of the lost log
}

// PrepareNewLog looks at what the lost log had. It changes nothing. It fails
// with workflow.ErrConflict if the log is there, or if a snapshot knows more
// than the database; with workflow.ErrNotFound if there is no database.
func PrepareNewLog(ctx context.Context, s *session.Session, now time.Time) (*NewLog, error) {
	_, err := eventlog.Find(ctx, s.Conn, s.Config.Replicas, s.Logger)
	switch {
	case err == nil:
		return nil, fmt.Errorf("%w: the stream %s is there: start the worker, or run countersign rebuild --from-log if the database does not belong to it", workflow.ErrConflict, events.StreamName)
	case !errors.Is(err, workflow.ErrNotFound):
		return nil, err
	}
	n := &NewLog{dir: s.Config.DataDir}
	if n.Lost, err = counts(ctx, n.dir, now); err != nil {
		return nil, err
	}
	if n.snapshots, err = snapshotsOf(s); err != nil {
		return nil, err
	}
	if n.list, err = n.snapshots.List(ctx); err != nil {
		return nil, err
	}
	if len(n.list) > 0 && n.list[0].Position.Sequence > n.Lost.Position.Sequence {
		return nil, fmt.Errorf("%w: the snapshot %s is of entry %d, which this database has not applied: run the command on the data directory of a worker that has applied it", workflow.ErrConflict, n.list[0].Name, n.list[0].Position.Sequence)
	}
	return n, nil
}

// Begin deletes the snapshots of the lost log and sets the database aside, as
// the file kept. The next start of a worker makes the log.
func (n *NewLog) Begin(ctx context.Context, now time.Time) (kept string, err error) {
	for _, x := range n.list {
		if err := n.snapshots.store.Delete(ctx, x.Name); err != nil {
			return "", err
		}
	}
	return db.SetAside(n.dir, ".lost-"+now.UTC().Format("20060102T150405Z"))
}

// counts reads what the database in dir holds.
func counts(ctx context.Context, dir string, now time.Time) (c db.Counts, err error) {
	store, err := db.OpenReader(ctx, dir)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return store.Counts(ctx, now)
}
