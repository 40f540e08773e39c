package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/internal/config"
	"countersign/internal/datadir"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

func (a *app) snapshot() *cobra.Command {
	var asJSON, list bool
	c := &cobra.Command{
		Use:   "snapshot",
		Short: "Copy the database into the object store, for new workers to start from",
		Long: `Takes a consistent copy of the database of a worker on this machine, running or not, and puts it into the
object store ` + eventlog.SnapshotsBucket + `, with its position and hashes. The newest snapshots are kept (--snapshot-keep).`,
		Args: cobra.NoArgs,
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	c.Flags().BoolVar(&list, "list", false, "take none: list those that are there")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := a.load(c)
		if err != nil {
			return err
		}
		b, err := a.newBench(c.Context(), cfg, false)
		if err != nil {
			return err
		}
		defer b.close()
		if list {
			return a.listSnapshots(c.Context(), b.copies, asJSON)
		}
		store, err := db.OpenReader(c.Context(), cfg.DataDir)
		if err != nil {
			return err
		}
		defer store.Close()
		taken, err := b.copies.take(c.Context(), store, "")
		if err != nil {
			return err
		}
		if asJSON {
			return a.out.JSON(taken)
		}
		return a.out.Linef("%s: the database up to entry %d, %d bytes", taken.Name, taken.Position.Sequence, taken.Size)
	}
	return c
}

func (a *app) listSnapshots(ctx context.Context, s *snapshots, asJSON bool) error {
	list, err := s.store.List(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return eachJSON(a.out, list)
	}
	t := a.out.Table()
	for _, x := range list {
		t.Row(x.Name, stamp(x.Taken), fmt.Sprintf("up to entry %d, %d bytes", x.Position.Sequence, x.Size))
	}
	return t.Flush()
}

// snapshots takes snapshots of a database, and makes databases of them.
type snapshots struct {
	store  *eventlog.Snapshots
	dir    string // where copies are made: the data directory
	keep   int
	logger *slog.Logger
}

func newSnapshots(cfg config.Config, nc *nats.Conn, logger *slog.Logger) (*snapshots, error) {
	store, err := eventlog.NewSnapshots(nc, cfg.Replicas)
	if err != nil {
		return nil, err
	}
	return &snapshots{store: store, dir: cfg.DataDir, keep: cfg.SnapshotKeep, logger: logger}, nil
}

// scratchPrefix begins the name of a directory that scratch makes.
const scratchPrefix = "scratch-"

// scratch makes a directory beside the database, on its disk, that ends with
// what is done in it. Those of processes that were killed end, too. Whoever may
// not write to dir gets one where the system keeps temporary files.
func scratch(dir string) (made string, remove func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("make the data directory: %w", err)
	}
	old, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return "", nil, fmt.Errorf("look for what an earlier command left: %w", err)
	}
	for _, entry := range old {
		left := filepath.Join(dir, entry.Name())
		if !strings.HasPrefix(entry.Name(), scratchPrefix) {
			continue
		}
		if unlock, err := datadir.Lock(left); err == nil { // nobody works there
			os.RemoveAll(left)
			unlock()
		}
	}
	made, err = os.MkdirTemp(dir, scratchPrefix)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		made, err = os.MkdirTemp("", "countersign-scratch-")
	}
	if err != nil {
		return "", nil, fmt.Errorf("make a directory to work in: %w", err)
	}
	unlock, err := datadir.Lock(made)
	if err != nil {
		return "", nil, err
	}
	return made, func() { os.RemoveAll(made); unlock() }, nil
}

// take puts a copy of the store into the object store and deletes snapshots
// that are not to be kept. worker is who takes it, empty for a command.
func (s *snapshots) take(ctx context.Context, store *db.Store, worker string) (taken eventlog.Snapshot, err error) {
	dir, remove, err := scratch(s.dir)
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

// describe says what the copy in dir is a snapshot of.
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
	sum, err := fileHash(filepath.Join(dir, db.FileName)) // once it is closed: opening it writes to it
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

// prune deletes all but the newest, and those that may hold what was erased
// since, as soon as there is one that does not.
func (s *snapshots) prune(ctx context.Context) error {
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

// restore makes a database in dir of the newest good snapshot that reaches no
// further than most, and returns it. Bad ones are passed over with a word in
// the log. ok is false where there is no good one; then dir is as it was.
func (s *snapshots) restore(ctx context.Context, dir string, most uint64) (x eventlog.Snapshot, ok bool, err error) {
	list, err := s.store.List(ctx)
	if err != nil {
		return x, false, err
	}
	for _, x := range list {
		if x.Position.Sequence > most {
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
	errDamaged       = errors.New("it is damaged: the SHA-256 of its bytes is another than when it was taken")
)

// fetch makes a database in dir of one snapshot, all of it or none.
func (s *snapshots) fetch(ctx context.Context, x eventlog.Snapshot, dir string) error {
	if x.Schema > db.SchemaVersion() || x.Rules > workflow.RulesVersion() {
		return errNewerSnapshot
	}
	work, remove, err := scratch(dir)
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
