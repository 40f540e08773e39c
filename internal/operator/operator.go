package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"countersign/db"
	"countersign/internal/config"
	"countersign/internal/eventlog"
	"countersign/internal/publish"
	"countersign/workflow"
)

// Operator publishes what operators ask for, and waits until the worker on the
// data directory has applied it.
type Operator struct {
	Config config.Config
	Logger *slog.Logger
	Store  *db.Store     // the worker's database, for reading
	Wait   time.Duration // how long to wait for the worker
}

// Document reads a document and all that is known of it. It fails with
// workflow.ErrNotFound if the document has not been created, and with
// workflow.ErrConflict if it was erased.
func (o *Operator) Document(ctx context.Context, sid workflow.SID) (db.Life, error) {
	life, err := o.Store.Life(ctx, sid)
	switch {
	case err != nil:
		return life, err
	case WasErased(life):
		return life, fmt.Errorf("%w: document %s was erased", workflow.ErrConflict, sid)
	case life.Document == nil:
		return life, fmt.Errorf("%w: document %s has not been created", workflow.ErrNotFound, sid)
	}
	return life, nil
}

// WasErased reports whether a document's erasure is all that is known of it.
func WasErased(l db.Life) bool {
	return l.Document == nil && slices.ContainsFunc(l.History, func(h db.HistoryLine) bool { return h.What == workflow.TypeErased })
}

// Check fails with a *workflow.Problem if an event of the plan is not valid, such
// as one with an address that is none.
func (p Plan) Check() error {
	for _, e := range p.Events {
		if err := e.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// Do publishes the events of a plan, each when the worker has applied the one
// before. It fails with a *workflow.Problem if one is refused, and with
// workflow.ErrUnavailable if the log or the worker does not answer; it may be
// planned and done again then.
func (o *Operator) Do(ctx context.Context, p Plan) error {
	for _, e := range p.Events {
		e.Time = time.Now()
		sequence, err := publish.Event(ctx, o.Config, o.Logger, e)
		if err != nil {
			return err
		}
		if _, err := publish.Result(ctx, o.Store, e, sequence, o.Wait); err != nil {
			return err
		}
	}
	return nil
}

// ActivateRules puts a newer version of the rules in force, with the settings that
// are in force, and returns the sequence of its entry on the log: 0 if the version
// is in force already, and with dryRun. It fails with workflow.ErrConflict if a
// newer version is in force, and with workflow.ErrUnavailable if the log does not
// answer or the worker does not apply the entry in time; the entry counts
// nevertheless.
func (o *Operator) ActivateRules(ctx context.Context, version int, dryRun bool) (sequence uint64, err error) {
	p := o.Store.Position()
	switch {
	case version < p.Rules:
		return 0, fmt.Errorf("%w: rules version %d is in force; an older version cannot be activated", workflow.ErrConflict, p.Rules)
	case version == p.Rules || dryRun:
		return 0, nil
	}
	next := p.InForce()
	next.Version = version
	e := eventlog.RulesActivated(fmt.Sprintf("rules.%d.after.%d", version, p.Rules), time.Now(), next)
	if sequence, err = publish.Event(ctx, o.Config, o.Logger, e); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Wait)
	defer cancel()
	if err := publish.WaitApplied(ctx, o.Store, sequence); err != nil {
		return sequence, notApplied(sequence, o.Wait)
	}
	return sequence, nil
}

// notApplied says that an entry waits for a worker.
func notApplied(sequence uint64, wait time.Duration) error {
	return fmt.Errorf("%w: the log has accepted this as entry %d, but no worker with this data directory has applied it within %s; start the worker (--data-dir) and look again: it counts, do not send it again", workflow.ErrUnavailable, sequence, wait)
}

// notFound reports whether an error says that something is not there.
func notFound(err error) bool { return errors.Is(err, workflow.ErrNotFound) }
