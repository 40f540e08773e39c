package recovery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go"

	"countersign/db"
	"countersign/internal/config"
	"countersign/internal/eventlog"
	"countersign/internal/session"
	"countersign/workflow"
)

// Snapshots takes snapshots of a database, and makes databases of them. Taken
// snapshots are kept in the object store of the log's servers.
type Snapshots struct {
	store  *eventlog.Snapshots
	dir    string // where copies are made: the data directory
	keep   int
	logger *slog.Logger
}

// NewSnapshots returns the snapshots that the servers behind nc keep.
func NewSnapshots(cfg config.Config, nc *nats.Conn, logger *slog.Logger) (*Snapshots, error) {
	store, err := eventlog.NewSnapshots(nc, cfg.Replicas)
	if err != nil {
		return nil, err
	}
	return &Snapshots{store: store, dir: cfg.DataDir, keep: cfg.SnapshotKeep, logger: logger}, nil
}

// snapshotsOf returns the snapshots of a session's log.
func snapshotsOf(s *session.Session) (*Snapshots, error) {
	return NewSnapshots(s.Config, s.Conn, s.Logger)
}

// TakeSnapshot takes a snapshot of the database of the worker on the session's
// data directory. It fails with workflow.ErrNotFound if there is no database. With
// dryRun it takes none, and of what it returns only the position counts.
func TakeSnapshot(ctx context.Context, s *session.Session, dryRun bool) (taken eventlog.Snapshot, err error) {
	snapshots, err := snapshotsOf(s)
	if err != nil {
		return taken, err
	}
	store, err := db.OpenReader(ctx, s.Config.DataDir)
	if err != nil {
		return taken, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if dryRun {
		taken.Position.Sequence = store.Position().Sequence
		return taken, nil
	}
	return snapshots.Take(ctx, store, "")
}

// ListSnapshots returns the snapshots of a session's log, the newest first.
func ListSnapshots(ctx context.Context, s *session.Session) ([]eventlog.Snapshot, error) {
	snapshots, err := snapshotsOf(s)
	if err != nil {
		return nil, err
	}
	return snapshots.List(ctx)
}

// List returns the snapshots that are kept, the newest first.
func (s *Snapshots) List(ctx context.Context) ([]eventlog.Snapshot, error) { return s.store.List(ctx) }

// Take puts a copy of the store into the object store, and then deletes the
// snapshots that are not kept. worker is the name of the worker that takes it,
// empty for a command.
func (s *Snapshots) Take(ctx context.Context, store *db.Store, worker string) (taken eventlog.Snapshot, err error) {
	dir, remove, err := Scratch(s.dir)
	if err != nil {
		return taken, err
	}
	defer remove()
	if err := store.Copy(ctx, dir); err != nil {
		return taken, err
	}
	if taken, err = describe(ctx, dir); err != nil {
		return taken, err
	}
	taken.Worker = worker
	f, err := os.Open(filepath.Join(dir, db.FileName))
	if err != nil {
		return taken, err
	}
	defer f.Close()
	if taken, err = s.store.Put(ctx, taken, f); err != nil {
		return taken, err
	}
	s.logger.Info("took a snapshot", "name", taken.Name, "position", taken.Position.Sequence, "bytes", taken.Size)
	return taken, s.prune(ctx)
}

// describe returns the description of a snapshot of the database in dir.
func describe(ctx context.Context, dir string) (x eventlog.Snapshot, err error) {
	copied, err := db.OpenReader(ctx, dir)
	if err != nil {
		return x, err
	}
	p := copied.Position()
	state, err := copied.StateHash(ctx)
	if err = errors.Join(err, copied.Close()); err != nil {
		return x, err
	}
	sum, err := fileHash(filepath.Join(dir, db.FileName)) // after closing: opening the database writes to it
	return eventlog.Snapshot{
		Position: eventlog.Position{Sequence: p.Sequence, Time: p.Time, ID: p.ID, Source: p.Source, Stream: p.Stream},
		Rules:    p.Rules, Schema: db.SchemaVersion(), SHA256: sum, State: state,
	}, err
}

func fileHash(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("hash %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// prune deletes all but the newest snapshots. It also deletes those that may
// hold documents erased since, if a newer one cannot hold them.
func (s *Snapshots) prune(ctx context.Context) error {
	list, err := s.store.List(ctx)
	if err != nil || len(list) == 0 {
		return err
	}
	erased, err := s.store.ErasedUpTo(ctx)
	if err != nil {
		return err
	}
	keep := min(s.keep, len(list))
	for keep > 1 && list[0].Position.Sequence >= erased && list[keep-1].Position.Sequence < erased {
		keep--
	}
	for _, x := range list[keep:] {
		if err := s.store.Delete(ctx, x.Name); err != nil {
			return err
		}
		s.logger.Info("deleted a snapshot", "name", x.Name)
	}
	return nil
}

// Refresh takes a snapshot of a store if there are snapshots from before the
// newest erasure on the log, so that these are deleted. name is empty if none
// had to be taken.
func (s *Snapshots) Refresh(ctx context.Context, log *eventlog.Log, store *db.Store) (name string, err error) {
	list, err := s.store.List(ctx)
	if err != nil || len(list) == 0 {
		return "", err
	}
	erased, err := log.ErasedUpTo(ctx)
	if err != nil {
		return "", err
	}
	if oldest := list[len(list)-1]; oldest.Position.Sequence >= erased {
		return "", nil
	}
	x, err := s.Take(ctx, store, "")
	return x.Name, err
}

// Restore makes a database in dir from the newest usable snapshot whose
// position is at most limit, and returns that snapshot. A snapshot that cannot
// be used is logged and skipped. ok is false if none is usable; then dir is
// unchanged.
func (s *Snapshots) Restore(ctx context.Context, dir string, limit uint64) (x eventlog.Snapshot, ok bool, err error) {
	list, err := s.store.List(ctx)
	if err != nil {
		return x, false, err
	}
	for _, x := range list {
		if x.Position.Sequence > limit {
			continue
		}
		err := s.fetch(ctx, x, dir)
		if err == nil {
			return x, true, nil
		}
		if ctx.Err() != nil {
			return x, false, ctx.Err()
		}
		s.logger.Error("a snapshot cannot be used; trying the next older one", "name", x.Name, "position", x.Position.Sequence, "err", err)
	}
	return x, false, nil
}

var (
	errNewerSnapshot = errors.New("it was taken by a newer version of countersign")
	errDamaged       = errors.New("it is damaged: its SHA-256 is not the one recorded when it was taken")
)

// fetch makes a database in dir from one snapshot, completely or not at all.
func (s *Snapshots) fetch(ctx context.Context, x eventlog.Snapshot, dir string) error {
	if x.Schema > db.SchemaVersion() || x.Rules > workflow.RulesVersion() {
		return errNewerSnapshot
	}
	work, remove, err := Scratch(dir)
	if err != nil {
		return err
	}
	defer remove()
	path := filepath.Join(work, db.FileName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(s.store.Get(ctx, x.Name, f), f.Close()); err != nil {
		return err
	}
	if sum, err := fileHash(path); err != nil || sum != x.SHA256 {
		return errors.Join(err, errDamaged)
	}
	before, err := db.Swap(work, dir)
	if before != "" {
		err = errors.Join(err, os.Remove(before)) // it had applied nothing
	}
	return err
}
