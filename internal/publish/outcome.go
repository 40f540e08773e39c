package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/db"
	"countersign/events"
	"countersign/internal/datadir"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

// Outcomes beside workflow's results, for a command that can read the log and no
// database. The log has the refusals; about the other events it only shows that
// a worker has gone on to later entries.
const (
	Duplicate  workflow.Result = "duplicate"   // its identity was met before
	NotRefused workflow.Result = "not_refused" // applied, unchanged or parked
	Unknown    workflow.Result = "unknown"     // no worker has shown that it has read the event
	Valid      workflow.Result = "valid"       // not sent; the documents decide whether it is refused
)

// Outcome is the outcome of one line.
type Outcome struct {
	Line     int             `json:"line"`
	Sequence uint64          `json:"sequence"` // of the event on the log; of a duplicate, of the first copy
	Subject  string          `json:"subject"`
	Source   string          `json:"event_source,omitempty"`
	EventID  string          `json:"event_id,omitempty"`
	Result   workflow.Result `json:"outcome,omitempty"` // left out with --no-wait
	Code     workflow.Code   `json:"code,omitempty"`
	Field    string          `json:"field,omitempty"`
	Message  string          `json:"message,omitempty"`

	of       workflow.Identity
	document workflow.SID
	at       time.Time // of the entry, by the log; zero while it was not read
}

// refuse notes that the event was refused or is a dead letter.
func (o *Outcome) refuse(p workflow.Problem) {
	o.Result, o.Code, o.Field, o.Message = workflow.ResultRefused, p.Code, p.Field, p.Message
	if p.Code.Dead() {
		o.Result = workflow.ResultDeadLetter
	}
}

// open reports whether the outcome is not known yet.
func (o *Outcome) open() bool { return o.Result == "" }

func newOutcome(l Line, sequence uint64) Outcome {
	var e struct{ ID, Source string }
	_ = json.Unmarshal(l.Msg.Data, &e) // what is no event has neither
	entry := events.Decode(events.Message{Subject: l.Msg.Subject, Header: l.Msg.Header, Data: l.Msg.Data})
	return Outcome{
		Line: l.Number, Sequence: sequence, Subject: l.Msg.Subject, Source: e.Source, EventID: e.ID,
		of: entry.Identity(), document: entry.Document,
	}
}

// Check returns the outcomes of lines as far as they are known before lines are
// sent: Valid, or workflow.ResultDeadLetter if no worker can read the event. No outcome has a
// Sequence.
func Check(lines []Line) []Outcome {
	list := make([]Outcome, len(lines))
	for i, l := range lines {
		list[i] = newOutcome(l, 0)
		list[i].Result = Valid
		m := events.Message{Subject: l.Msg.Subject, Header: l.Msg.Header, Data: l.Msg.Data}
		if bad, ok := events.Decode(m).Body.(workflow.Invalid); ok {
			list[i].refuse(bad.Problem)
		}
	}
	return list
}

// Learn finds out the outcomes of events that were sent: from the database of the
// worker on the data directory if it follows this log, else from the log. It
// waits at most as long as wait; an outcome that is not known by then is Unknown.
func Learn(ctx context.Context, dataDir string, nc *nats.Conn, list []Outcome, wait time.Duration) error {
	if len(list) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var err error
	if store := following(ctx, dataDir, nc); store != nil {
		err = errors.Join(learnFromStore(ctx, store, list), store.Close())
	} else {
		err = learnFromLog(ctx, nc, list)
	}
	for i := range list {
		if list[i].open() {
			list[i].Result = Unknown
		}
	}
	return err
}

// following opens the database of the worker that runs on the data directory,
// nil if there is none or it follows another log.
func following(ctx context.Context, dataDir string, nc *nats.Conn) *db.Store {
	if locked, err := datadir.InUse(dataDir); err != nil || !locked {
		return nil
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil
	}
	stream, err := js.Stream(ctx, events.StreamName)
	if err != nil {
		return nil
	}
	store, err := db.OpenReader(ctx, dataDir)
	if err != nil {
		return nil
	}
	if p := store.Position(); p.Sequence > 0 && p.Stream.UnixMilli() != stream.CachedInfo().Created.UnixMilli() {
		_ = store.Close() // it has read nothing
		return nil
	}
	return store
}

// learnFromStore waits until the worker has applied the events, and reads their
// outcomes.
func learnFromStore(ctx context.Context, store *db.Store, list []Outcome) error {
	var last uint64
	for _, o := range list {
		last = max(last, o.Sequence)
	}
	if err := WaitApplied(ctx, store, last); err != nil && ctx.Err() == nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	for i := range list {
		o := &list[i]
		result, first, err := store.WhatBecame(ctx, o.of)
		if errors.Is(err, workflow.ErrNotFound) { // not applied yet, or erased
			continue
		}
		if err != nil {
			return err
		}
		if first != o.Sequence {
			result = duplicateOf(result)
		}
		if o.Sequence = first; result != workflow.ResultRefused && result != workflow.ResultDeadLetter {
			if o.open() { // else the log has called it a duplicate
				o.Result = result
			}
			continue
		}
		l, err := store.DeadLetter(ctx, first)
		if err != nil {
			return err
		}
		o.refuse(workflow.Problem{Code: l.Code, Field: l.Field, Message: l.Message})
	}
	return nil
}

// duplicateOf is the outcome of a second copy: that of a refused event is the
// first one's.
func duplicateOf(first workflow.Result) workflow.Result {
	if first == workflow.ResultRefused || first == workflow.ResultDeadLetter {
		return first
	}
	return Duplicate
}

const (
	// quiet is how long the log may show no sign that a worker has read the
	// events. A worker appends a refusal in less than a second.
	quiet = 5 * time.Second
	// nextLook is how often the log is read.
	nextLook = 100 * time.Millisecond
)

// learnFromLog reads what follows the events on the log: which were refused, and
// how far a worker has read. Each event that a worker appends has the time of the
// entry that caused it, and they are appended in the order of their causes.
func learnFromLog(ctx context.Context, nc *nats.Conn, list []Outcome) error {
	w := logWatch{nc: nc, want: map[uint64][]*Outcome{}, became: map[workflow.SID]time.Time{}}
	for i := range list {
		o := &list[i]
		w.want[o.Sequence] = append(w.want[o.Sequence], o)
		switch {
		case !o.open(): // a duplicate
			if err := w.refusedBefore(ctx, o); err != nil {
				return err
			}
		case w.next == 0 || o.Sequence < w.next:
			w.next = o.Sequence
		}
	}
	heard := time.Now()
	for once := false; w.next > 0; { // 0: all are duplicates
		before := w.passed
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			if last := nc.LastError(); errors.Is(last, nats.ErrPermissionViolation) {
				err = last
			}
			return fmt.Errorf("the events are on the log, but their outcomes cannot be read: %w; --no-wait does not read them", err)
		}
		if w.passed.After(before) {
			heard = time.Now()
		}
		done := w.open(list) == 0
		if done && once || ctx.Err() != nil || time.Since(heard) > quiet {
			break
		}
		once = done // look once more: an event that was sent again may be behind a later one
		_ = sleep(ctx, nextLook)
	}
	for i := range list {
		if o := &list[i]; o.open() && w.over(o) {
			o.Result = NotRefused
		}
	}
	return nil
}

// logWatch reads the log for the outcomes of events.
type logWatch struct {
	nc     *nats.Conn
	want   map[uint64][]*Outcome
	next   uint64                     // entry to read
	passed time.Time                  // a worker has applied entries up to this time of the log
	became map[workflow.SID]time.Time // the same for each document that was announced
}

// over reports whether a worker has gone past the event's entry. Entries may have
// the same time, which is known to the millisecond; within one document, that is
// a change made by the event itself or by one beside it.
func (w *logWatch) over(o *Outcome) bool {
	return !o.at.IsZero() && (w.passed.After(o.at) || !w.became[o.document].Before(o.at))
}

// open counts the events whose outcome is not known.
func (w *logWatch) open(list []Outcome) (n int) {
	for i := range list {
		if o := &list[i]; o.open() && !w.over(o) {
			n++
		}
	}
	return n
}

// look reads the entries that are new on the log.
func (w *logWatch) look(ctx context.Context) error {
	return eventlog.Read(ctx, w.nc, events.StreamName, eventlog.Range{From: w.next}, func(m events.Message) error {
		w.next = m.Sequence + 1
		for _, o := range w.want[m.Sequence] {
			o.at = m.Time.Truncate(time.Millisecond)
		}
		var e struct{ Time time.Time }
		_ = json.Unmarshal(m.Data, &e) // it was decoded if it counts
		switch b := events.Decode(m).Body.(type) {
		case workflow.Refused:
			for _, o := range w.want[b.Sequence] {
				o.refuse(b.Problem)
			}
		case workflow.Became:
			w.became[b.SID] = e.Time
		case workflow.Register, workflow.TimerDue, workflow.LetterStale:
		default:
			return nil
		}
		if e.Time.After(w.passed) {
			w.passed = e.Time
		}
		return nil
	})
}

// refusedBefore looks whether the first copy of an event was refused.
func (w *logWatch) refusedBefore(ctx context.Context, o *Outcome) error {
	subject := fmt.Sprintf("%s*.*.refused.%d", events.Prefix, o.Sequence)
	return eventlog.Read(ctx, w.nc, events.StreamName, eventlog.Range{From: o.Sequence, Subject: subject}, func(m events.Message) error {
		if b, ok := events.Decode(m).Body.(workflow.Refused); ok {
			o.refuse(b.Problem)
		}
		return nil
	})
}
