package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/db"
	"countersign/events"
	"countersign/internal/config"
	"countersign/internal/datadir"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

// What became of an event, beside workflow's results. They are for those who see
// the log and no database: it tells refusals, and of the rest no more than that
// a worker has gone on to later entries.
const (
	notRefused workflow.Result = "not_refused" // applied, unchanged or parked
	unknown    workflow.Result = "unknown"     // no worker has shown that it has read so far
)

// outcome is what became of one line.
type outcome struct {
	Line     int             `json:"line"`
	Sequence uint64          `json:"sequence"` // where the event stands on the log: of a duplicate, where it was met first
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

// turn notes that the event was refused or is a dead letter.
func (o *outcome) turn(p workflow.Problem) {
	o.Result, o.Code, o.Field, o.Message = workflow.Turned, p.Code, p.Field, p.Message
	if p.Code.Dead() {
		o.Result = workflow.Dead
	}
}

// open reports whether it is not known yet what became of the event.
func (o *outcome) open() bool { return o.Result == "" }

func newOutcome(l line, sequence uint64) outcome {
	var e struct{ ID, Source string }
	_ = json.Unmarshal(l.msg.Data, &e) // what is no event has neither
	entry := events.Decode(events.Message{Subject: l.msg.Subject, Header: l.msg.Header, Data: l.msg.Data})
	return outcome{
		Line: l.number, Sequence: sequence, Subject: l.msg.Subject, Source: e.Source, EventID: e.ID,
		of: entry.Identity(), document: entry.Document,
	}
}

// learn finds out what became of events, from the database of the worker on the
// data directory if it follows this log, else from the log. It takes as long as
// wait; what is not known by then is unknown.
func (a *app) learn(ctx context.Context, cfg config.Config, nc *nats.Conn, list []outcome, wait time.Duration) error {
	if len(list) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var err error
	if store := a.following(ctx, cfg, nc); store != nil {
		err = errors.Join(learnFromStore(ctx, store, list), store.Close())
	} else {
		err = learnFromLog(ctx, nc, list)
	}
	for i := range list {
		if list[i].open() {
			list[i].Result = unknown
		}
	}
	return err
}

// following opens the database of the worker that runs on the data directory,
// nil if there is none or it follows another log.
func (a *app) following(ctx context.Context, cfg config.Config, nc *nats.Conn) *db.Store {
	if locked, err := datadir.InUse(cfg.DataDir); err != nil || !locked {
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
	store, err := db.OpenReader(ctx, cfg.DataDir)
	if err != nil {
		return nil
	}
	if p := store.Position(); p.Sequence > 0 && p.Stream.UnixMilli() != stream.CachedInfo().Created.UnixMilli() {
		_ = store.Close() // it has read nothing
		return nil
	}
	return store
}

// learnFromStore waits until the worker has applied the events, and reads what
// became of them.
func learnFromStore(ctx context.Context, store *db.Store, list []outcome) error {
	var last uint64
	for _, o := range list {
		last = max(last, o.Sequence)
	}
	if err := appliedBy(ctx, store, last); err != nil && ctx.Err() == nil {
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
		if o.Sequence = first; result != workflow.Turned && result != workflow.Dead {
			if o.open() { // else the log has called it a duplicate
				o.Result = result
			}
			continue
		}
		l, err := store.Letter(ctx, first)
		if err != nil {
			return err
		}
		o.turn(workflow.Problem{Code: l.Code, Field: l.Field, Message: l.Message})
	}
	return nil
}

// duplicateOf is what becomes of an event that was met before: what was turned
// down stays so.
func duplicateOf(first workflow.Result) workflow.Result {
	if first == workflow.Turned || first == workflow.Dead {
		return first
	}
	return workflow.Duplicate
}

const (
	// quiet is how long the log may tell nothing of a worker that has read the
	// events. One that is at work answers a refused event in less than a second.
	quiet = 5 * time.Second
	// nextLook is how often the log is read.
	nextLook = 100 * time.Millisecond
)

// learnFromLog reads what follows the events on the log: who was refused, and
// how far a worker has read. Each event that a worker owes carries the time of
// the entry that caused it, and they are appended in the order of their causes.
func learnFromLog(ctx context.Context, nc *nats.Conn, list []outcome) error {
	w := logWatch{nc: nc, want: map[uint64][]*outcome{}, became: map[workflow.SID]time.Time{}}
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
			return fmt.Errorf("the events are on the log, and it cannot be read what became of them; --no-wait does not ask: %w", err)
		}
		if w.passed.After(before) {
			heard = time.Now()
		}
		done := w.open(list) == 0
		if done && once || ctx.Err() != nil || time.Since(heard) > quiet {
			break
		}
		once = done // one look more: an event that was sent again may stand behind a later one
		_ = sleep(ctx, nextLook)
	}
	for i := range list {
		if o := &list[i]; o.open() && w.over(o) {
			o.Result = notRefused
		}
	}
	return nil
}

// logWatch looks at the log for what becomes of events.
type logWatch struct {
	nc     *nats.Conn
	want   map[uint64][]*outcome
	next   uint64                     // entry to read
	passed time.Time                  // a worker has applied entries up to this time of the log
	became map[workflow.SID]time.Time // the same for each document that was announced
}

// over reports whether a worker has gone past the event's entry. Entries may have
// the same time, to the millisecond that is told; of one document that is a change
// that the event has made, or another event beside it.
func (w *logWatch) over(o *outcome) bool {
	return !o.at.IsZero() && (w.passed.After(o.at) || !w.became[o.document].Before(o.at))
}

// open counts the events of which nothing is known.
func (w *logWatch) open(list []outcome) (n int) {
	for i := range list {
		if o := &list[i]; o.open() && !w.over(o) {
			n++
		}
	}
	return n
}

// look reads what the log has by now.
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
				o.turn(b.Problem)
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

// refusedBefore looks whether an event that stood on the log before was refused
// there.
func (w *logWatch) refusedBefore(ctx context.Context, o *outcome) error {
	subject := fmt.Sprintf("%s*.*.refused.%d", events.Prefix, o.Sequence)
	return eventlog.Read(ctx, w.nc, events.StreamName, eventlog.Range{From: o.Sequence, Subject: subject}, func(m events.Message) error {
		if b, ok := events.Decode(m).Body.(workflow.Refused); ok {
			o.turn(b.Problem)
		}
		return nil
	})
}

// sayOutcomes prints what became of the events, and fails if one was refused.
func (a *app) sayOutcomes(list []outcome, asJSON bool) error {
	count := map[workflow.Result]int{}
	for _, o := range list {
		count[o.Result]++
	}
	var err error
	if asJSON {
		err = eachJSON(a.out, list)
	} else {
		err = a.listOutcomes(list, count)
	}
	if err != nil {
		return err
	}
	if n := count[notRefused]; n > 0 {
		a.err.Linef("not refused: a worker has read past these %d events; whether they were applied, changed nothing or are parked stands in its database alone (--data-dir, on its machine)", n)
	}
	if n := count[unknown]; n > 0 {
		a.err.Linef("unknown: %d events are on the log, and no worker has shown that it has read them; a worker that starts later applies them. countersign dead list, on its machine, then shows what was refused", n)
	}
	if n := count[workflow.Turned] + count[workflow.Dead]; n > 0 {
		return fmt.Errorf("%d of %d events were refused; countersign dead show SEQUENCE, on a worker's machine, says what to do", n, len(list))
	}
	return nil
}

func (a *app) listOutcomes(list []outcome, count map[workflow.Result]int) error {
	if count[workflow.Turned]+count[workflow.Dead]+count[workflow.Parking] > 0 {
		t := a.out.Table("LINE", "SEQUENCE", "OUTCOME", "CODE", "FIELD", "SUBJECT", "REASON")
		for _, o := range list {
			switch o.Result {
			case workflow.Turned, workflow.Dead, workflow.Parking:
				t.Row(o.Line, o.Sequence, resultWords(o.Result, 1), o.Code, o.Field, o.Subject, o.Message)
			}
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	var parts []string
	for _, r := range []workflow.Result{workflow.Applied, workflow.Unchanged, workflow.Parking, workflow.Duplicate, notRefused, workflow.Turned, workflow.Dead, unknown} {
		if n := count[r]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, resultWords(r, n)))
		}
	}
	return a.out.Linef("published %d: %s", len(list), strings.Join(parts, ", "))
}

func resultWords(r workflow.Result, n int) string {
	text := strings.ReplaceAll(string(r), "_", " ")
	if n > 1 && (r == workflow.Dead || r == workflow.Duplicate) {
		text += "s"
	}
	return text
}
