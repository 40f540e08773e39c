package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/private"
)

// How often checks run, and how long one may take.
const (
	lookOften  = 2 * time.Second
	lookSeldom = 10 * time.Second
	lookWithin = 5 * time.Second
	holdWithin = 30 * time.Second // the database: the sweep after an erasure writes all of it
)

// How long these may last before a check fails.
const (
	appendWithin = 10 * time.Second // an election takes 4 to 9 s
	behindWithin = 15 * time.Second
)

var errNotOpened = errors.New("the log has not been opened yet; the worker's log says why, if that takes long")

// newChecks returns the checks of all that the worker needs. The state of the mail
// server is a warning: emails wait for it, and all else goes on.
func (w *Worker) newChecks() *admin.Checks {
	often := func(name string, look func(context.Context) error) admin.Check {
		return admin.Check{Name: name, Look: look, Every: lookOften, Within: lookWithin}
	}
	return admin.NewChecks(w.Now, w.logger,
		often("nats", w.checkNATS),
		often("log", (&logReader{Worker: w}).check),
		often("append", w.checkAppend),
		often("follower", (&following{Worker: w}).check),
		admin.Check{Name: "store", Look: func(ctx context.Context) error { return w.store.Probe(ctx) }, Every: lookSeldom, Within: holdWithin},
		often("clock", w.checkClock),
		often("keys", w.checkKeys),
		often("accounts", (&accountsFile{Worker: w}).check),
		admin.Check{Name: "letters", Look: w.checkLetters, Every: lookSeldom, Within: lookWithin},
		often("mail", w.checkMail),
	)
}

// checkNATS fails if there is no connection to NATS.
func (w *Worker) checkNATS(context.Context) error {
	if w.nc.IsConnected() {
		return nil
	}
	where := strings.Join(w.nc.Servers(), ",")
	if w.server != nil {
		where = "the embedded server"
	}
	if last := w.nc.LastError(); last != nil {
		return fmt.Errorf("not connected to NATS at %s: %w", where, last)
	}
	return fmt.Errorf("not connected to NATS at %s", where)
}

// logReader tells whether the log can be read. It keeps the log's clock and its end
// up to date while nothing is appended. Its check must not be called by two at once.
type logReader struct {
	*Worker
	read time.Time // when an entry was read last: it may have megabytes
}

func (r *logReader) check(ctx context.Context) error {
	log := r.log.Load()
	if log == nil {
		return errNotOpened
	}
	_, err := log.Tail(ctx)
	if err == nil && time.Since(r.read) >= lookSeldom {
		if err = log.ProbeEntry(ctx); err == nil {
			r.read = time.Now()
		}
	}
	if err != nil {
		return fmt.Errorf("the log does not answer: %w", err)
	}
	return nil
}

// checkAppend fails if the log does not acknowledge what the worker appends.
func (w *Worker) checkAppend(context.Context) error {
	log := w.log.Load()
	if log == nil {
		return errNotOpened
	}
	since, err := log.Unacknowledged()
	if waited := time.Since(since); err != nil && waited > appendWithin {
		return fmt.Errorf("the log has not acknowledged an event for %s; is the stream there, and is there room on the NATS server's disk: %w", waited.Round(time.Second), err)
	}
	return nil
}

// following tells whether the follower keeps up: what was the log's end must be
// applied soon after. Its check must not be called by two at once.
type following struct {
	*Worker
	end uint64    // of the log
	at  time.Time // when it was so; read for its monotonic part
}

func (f *following) check(context.Context) error {
	log := f.log.Load()
	if log == nil {
		return errNotOpened
	}
	last, applied := log.Stats().Last, f.store.Position().Sequence
	if !f.hasCaughtUp() {
		return fmt.Errorf("the log is being read: entry %d of %d is applied", applied, last)
	}
	if applied >= f.end {
		f.end, f.at = last, time.Now()
	}
	if behind := time.Since(f.at); behind > behindWithin {
		return fmt.Errorf("entry %d of %d is applied: entry %d has waited for %s", applied, last, f.end, behind.Round(time.Second))
	}
	return nil
}

// checkClock compares this machine's clock with the log's.
func (w *Worker) checkClock(context.Context) error {
	ahead, unknown := w.offset()
	switch {
	case unknown:
		return errNotOpened
	case ahead.Abs() >= clockFails:
		return w.signable()
	case ahead.Abs() >= clockWarns:
		return admin.Warning(fmt.Errorf("this machine's clock is %s the log's; signatures are refused from %s on: set it, or the NATS server's, with NTP", aheadOf(ahead), clockFails))
	}
	return nil
}

// checkKeys fails if the keys of links or of the seal cannot be read.
func (w *Worker) checkKeys(context.Context) error {
	if !w.hasCaughtUp() && w.keys.Missing() {
		return nil // catchUp makes them once the log has been read, or fails if documents need the old ones
	}
	return w.keys.Check()
}

// checkLetters fails if signed letters are missing from the object store.
func (w *Worker) checkLetters(ctx context.Context) error {
	if w.log.Load() == nil {
		return errNotOpened
	}
	return w.letters.Probe(ctx)
}

// accountsFile tells whether the accounts can be read. There need not be any, but
// a file that was there must not vanish.
type accountsFile struct {
	*Worker
	used bool
}

func (a *accountsFile) check(context.Context) error {
	there := private.Exists(a.cfg.AccountsFile)
	a.used = a.used || there
	if a.used && !there {
		return fmt.Errorf("the accounts file %s was removed: the REST API refuses every request; restore it, or restart the worker to go on without", a.cfg.AccountsFile)
	}
	return a.accounts.Reload()
}

// checkMail warns if the last attempts to use the mail server failed.
func (w *Worker) checkMail(context.Context) error {
	if trouble, is := w.mailTrouble(); is {
		return admin.Warning(errors.New(trouble.String()))
	}
	return nil
}
