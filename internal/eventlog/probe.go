package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/workflow"
)

// ProbeEntry reads the log's last entry, once. It fails with
// workflow.ErrUnavailable if the log does not answer until ctx ends; an empty
// log is no error.
func (l *Log) ProbeEntry(ctx context.Context) error {
	stream, err := l.handle(ctx)
	if last := l.last.Load(); err == nil && last > 0 {
		_, err = stream.GetMsg(ctx, last)
		if errors.Is(err, jetstream.ErrMsgNotFound) { // the entry was erased, or the log has become empty
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("read the log's last entry: %w: %w", workflow.ErrUnavailable, l.away(err))
	}
	return nil
}

// ProbeLetters asks whether the object store of letters has a letter of a name.
// It fails with workflow.ErrNotFound if the store or the letter is gone, and
// with workflow.ErrUnavailable if there is no answer until ctx ends. If name is
// empty, it asks whether the store answers; then it is no error if the store
// does not exist yet.
func (l *Log) ProbeLetters(ctx context.Context, name string) error {
	store, err := l.broker.JS.ObjectStore(ctx, LettersBucket)
	if err == nil && name != "" {
		err = withObject(ctx, l.broker.JS, LettersBucket, name, func() error {
			_, err := objectInfo(ctx, store, name)
			return err
		})
	}
	switch {
	case err == nil, name == "" && errors.Is(err, jetstream.ErrBucketNotFound):
		return nil
	case errors.Is(err, jetstream.ErrBucketNotFound):
		return fmt.Errorf("%w: the object store %s was removed", workflow.ErrNotFound, LettersBucket)
	case errors.Is(err, jetstream.ErrObjectNotFound):
		return fmt.Errorf("%w: the object store %s has lost letter %s", workflow.ErrNotFound, LettersBucket, name)
	}
	return fmt.Errorf("%w: %w", workflow.ErrUnavailable, l.away(err))
}

// forgetAfter is how long an append counts as failed after it was given up.
// Without this limit it would count until the next append, which may never
// come.
const forgetAfter = 5 * time.Minute

// appends has the appends that the log has not acknowledged.
type appends struct {
	mu      sync.Mutex
	pending map[*appending]bool
	failed  *appending // the oldest that was given up since the log last acknowledged one
	ended   time.Time  // when the newest such was given up
}

// appending is an append that is retried until the log answers.
type appending struct {
	since time.Time
	err   error // of the last attempt; nil before the first has failed
}

// begin records the start of an append.
func (a *appends) begin() *appending {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := &appending{since: time.Now()}
	if a.pending == nil {
		a.pending = map[*appending]bool{}
	}
	a.pending[p] = true
	return p
}

// failing records that an attempt has failed, and that another follows.
func (a *appends) failing(p *appending, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p.err = err
}

// end records that the log has answered, or that the append was given up.
func (a *appends) end(p *appending, answered bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.pending, p)
	switch {
	case answered:
		a.failed = nil
	case p.err != nil && time.Since(p.since) >= answerWait: // else the caller gave up before an answer could come
		if a.failed == nil {
			a.failed = p
		}
		a.failed.err, a.ended = p.err, time.Now()
	}
}

// Unacknowledged returns since when the log has not acknowledged an append, and
// why. The error is nil if there is no such append. It forgets an append that
// was given up when the log acknowledges another, or five minutes later.
func (l *Log) Unacknowledged() (since time.Time, err error) {
	a := &l.appends
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.failed; p != nil && time.Since(a.ended) < forgetAfter {
		since, err = p.since, p.err
	}
	for p := range a.pending {
		if since.IsZero() || p.since.Before(since) {
			since, err = p.since, p.err
		}
	}
	if err == nil && !since.IsZero() {
		err = errNoAnswer
	}
	return since, err
}

var errNoAnswer = errors.New("the log has not answered yet")
