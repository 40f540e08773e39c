package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/db"
	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/publish"
	"countersign/internal/session"
	"countersign/workflow"
)

// Mark is a place in what is replayed: a sequence or a time. The zero value is
// none.
type Mark struct {
	sequence uint64
	at       time.Time
}

// ParseMark reads a mark: a sequence, or a time in RFC 3339 or a date. An empty
// text is no mark.
func ParseMark(s string) (m Mark, err error) {
	if s == "" {
		return m, nil
	}
	if m.sequence, err = strconv.ParseUint(s, 10, 64); err == nil {
		return m, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if m.at, err = time.Parse(layout, s); err == nil {
			return m, nil
		}
	}
	return m, fmt.Errorf("%q must be a sequence or a time such as 2026-11-23T08:00:00Z", s)
}

// Selection says which events a replay takes. The zero value takes all.
type Selection struct {
	From, To Mark
	Subject  string // with * and > as in NATS; empty for every subject
}

// replay publishes the events that the log does not have.
type replay struct {
	*session.Session
	Selection
	store  *db.Store // a database of our own, at the log's end
	seen   map[workflow.Identity]bool
	fresh  []candidate
	report Replayed
}

// candidate is an event that may be published.
type candidate struct {
	line  publish.Line
	entry workflow.Entry
}

// Replayed is the outcome of a replay, or what it would be.
type Replayed struct {
	DryRun    bool             `json:"dry_run"`
	Read      int              `json:"read"`  // events that were asked for
	Own       int              `json:"own"`   // Countersign's own, left out
	Known     int              `json:"known"` // left out, because the log has them
	New       int              `json:"new"`   // published, or to be
	Documents []DocumentChange `json:"documents,omitempty"`
	Owing     *db.Owing        `json:"owed,omitempty"`
}

// DocumentChange is what a replay would do to a document.
type DocumentChange struct {
	SID    workflow.SID    `json:"sid"`
	Before workflow.Status `json:"before"` // empty if it was not created
	After  workflow.Status `json:"after"`
}

// Lines describes the outcome for people.
func (r Replayed) Lines() []string {
	verb := "published"
	if r.DryRun {
		verb = "to be published"
	}
	out := []string{fmt.Sprintf("%d events: %d known, %d of Countersign's own, %d %s", r.Read, r.Known, r.Own, r.New, verb)}
	for _, d := range r.Documents {
		before := string(d.Before)
		if d.Before == workflow.Unseen {
			before = "not created"
		}
		out = append(out, fmt.Sprintf("%s: %s, then %s", d.SID, before, d.After))
	}
	if r.Owing == nil {
		return out
	}
	for _, k := range workflow.MailKinds {
		if n := r.Owing.Mails[k]; n > 0 {
			out = append(out, fmt.Sprintf("%d emails of the kind %s would be sent at once", n, k))
		}
	}
	if n := r.Owing.Events[workflow.TypeRegister]; n > 0 {
		out = append(out, fmt.Sprintf("%d numbers would be registered", n))
	}
	for _, code := range slices.Sorted(maps.Keys(r.Owing.Refusals)) {
		out = append(out, fmt.Sprintf("%d events would be refused: %s", r.Owing.Refusals[code], code))
	}
	return out
}

// Replay publishes the events of a source that the log does not have: of a JSON
// Lines file, or of a JetStream stream on the log's servers. Events that
// Countersign itself wrote are left out: they follow from the others. With dry
// nothing is published; the events are folded into a copy of the database, and
// the report tells what would change.
func Replay(ctx context.Context, s *session.Session, source string, which Selection, dry bool) (Replayed, error) {
	r := &replay{Session: s, Selection: which, seen: map[workflow.Identity]bool{}}
	dir, remove, err := Scratch(s.Config.DataDir)
	if err != nil {
		return r.report, err
	}
	defer remove()
	if r.store, err = Current(ctx, s, dir); err != nil {
		return r.report, err
	}
	defer r.store.Close()
	if err := r.read(ctx, source); err != nil {
		return r.report, err
	}
	r.report.DryRun, r.report.New = dry, len(r.fresh)
	if dry {
		return r.report, r.foretell(ctx)
	}
	lines := make([]publish.Line, len(r.fresh))
	for i, c := range r.fresh {
		lines[i] = c.line
	}
	_, err = publish.Send(ctx, s.Conn, lines, publish.Options{Wait: time.Minute, Notes: s.Notes})
	return r.report, err
}

// read reads the source, and keeps what is new.
func (r *replay) read(ctx context.Context, source string) error {
	var page []candidate
	take := func(c candidate) error {
		if page = append(page, c); len(page) < 500 {
			return nil
		}
		full := page
		page = nil
		return r.sift(ctx, full)
	}
	err := r.readFile(source, take)
	if errors.Is(err, os.ErrNotExist) {
		err = r.readStream(ctx, source, take)
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrInvalidStreamName) {
		return fmt.Errorf("%w: %q is neither a file nor a stream", workflow.ErrNotFound, source)
	}
	if err != nil {
		return err
	}
	return r.sift(ctx, page)
}

func (r *replay) readFile(name string, take func(candidate) error) error {
	lines, err := publish.ReadFile(name)
	if err != nil {
		return err
	}
	for _, l := range lines {
		l.After = "" // the event that it waited for is on the log
		var e struct{ Time time.Time }
		_ = json.Unmarshal(l.Msg.Data, &e) // an event without a time has the zero time
		m := events.Message{Sequence: uint64(l.Number), Time: e.Time, Subject: l.Msg.Subject, Header: l.Msg.Header, Data: l.Msg.Data}
		if r.asked(m) {
			if err := take(candidate{l, events.Decode(m)}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *replay) readStream(ctx context.Context, name string, take func(candidate) error) error {
	return eventlog.Read(ctx, r.Conn, name, eventlog.Range{From: r.From.sequence, Since: r.From.at, Subject: r.Subject}, func(m events.Message) error {
		if !r.asked(m) {
			return nil
		}
		if err := publish.OnLog(m.Subject); err != nil {
			return fmt.Errorf("entry %d of stream %s: %w; choose events with --subject", m.Sequence, name, err)
		}
		msg := &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{}}
		for name, values := range m.Header {
			if !strings.HasPrefix(name, "Nats-") {
				msg.Header[name] = values
			}
		}
		return take(candidate{publish.Line{Number: int(m.Sequence), Msg: msg}, events.Decode(m)})
	})
}

// asked reports whether the selection has the event.
func (r *replay) asked(m events.Message) bool {
	switch {
	case m.Sequence < r.From.sequence, r.To.sequence > 0 && m.Sequence > r.To.sequence,
		m.Time.Before(r.From.at), !r.To.at.IsZero() && m.Time.After(r.To.at):
		return false
	}
	return r.Subject == "" || subjectMatches(r.Subject, m.Subject)
}

// subjectMatches matches as NATS does.
func subjectMatches(filter, subject string) bool {
	want, got := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, w := range want {
		switch {
		case w == ">":
			return len(got) > i
		case i >= len(got) || w != "*" && w != got[i]:
			return false
		}
	}
	return len(want) == len(got)
}

// sift keeps those events of a page that are neither our own nor known.
func (r *replay) sift(ctx context.Context, page []candidate) error {
	entries := make([]workflow.Entry, len(page))
	for i, c := range page {
		entries[i] = c.entry
	}
	met, err := r.store.Met(ctx, entries)
	if err != nil {
		return err
	}
	for i, c := range page {
		key := c.entry.Identity()
		r.report.Read++
		switch {
		case c.entry.Source == events.Source:
			r.report.Own++
		case met[i] || r.seen[key]:
			r.report.Known++
		default:
			r.seen[key] = true
			r.fresh = append(r.fresh, c)
		}
	}
	return nil
}

// foretell applies the new events to the copy, as if they were on the log now, and
// tells what changes.
func (r *replay) foretell(ctx context.Context) error {
	at, now := r.store.Position(), r.Log.Now()
	before := map[workflow.SID]workflow.Document{}
	var touched []workflow.SID
	var entries []workflow.Entry
	for i, c := range r.fresh {
		e := c.entry
		e.Sequence, e.Time = at.Sequence+uint64(i)+1, now
		entries = append(entries, e)
		if _, ok := before[e.Document]; ok || e.Document == "" {
			continue
		}
		d, err := r.store.Document(ctx, e.Document)
		if err != nil && !errors.Is(err, workflow.ErrNotFound) {
			return err
		}
		before[e.Document], touched = d, append(touched, e.Document)
	}
	if err := r.store.Apply(ctx, at.Stream, entries); err != nil {
		return err
	}
	for _, sid := range touched {
		d, err := r.store.Document(ctx, sid)
		if err != nil && !errors.Is(err, workflow.ErrNotFound) {
			return err
		}
		if b := before[sid]; b.Status != d.Status || !b.DateUpdated.Equal(d.DateUpdated) {
			r.report.Documents = append(r.report.Documents, DocumentChange{sid, b.Status, d.Status})
		}
	}
	owing, err := r.store.OwingSince(ctx, at.Sequence)
	r.report.Owing = &owing
	return err
}
