package main

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
	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

func (a *app) replay() *cobra.Command {
	var from, to string
	var r replay
	var asJSON bool
	c := &cobra.Command{
		Use:   "replay FILE|STREAM",
		Short: "Publish events again, those that the log does not have",
		Long: `Reads events from a JSON Lines file, as publish does, or from a JetStream stream on the log's servers, such as a copy of
the log, and publishes those that the log does not have, with the identities that they have. What is known changes nothing
and is left out. What Countersign itself wrote is left out, too: it follows from the rest.

With --dry-run it publishes nothing, folds the events into a copy of the database, and says what would change.
A time is compared with a stream's timestamps, and in a file with the events' own.`,
		Example: "  countersign replay --dry-run --from 2026-11-23T08:00:00Z --subject 'authdocs.v1.*.*.created' AUTHDOCS_COPY",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&from, "from", "", "first to take: a sequence (of a file, a line), or a time such as 2026-11-23T08:00:00Z")
	c.Flags().StringVar(&to, "to", "", "last to take, in the same ways")
	c.Flags().StringVar(&r.subject, "subject", "", "only these subjects; * and > as in NATS")
	c.Flags().BoolVar(&r.dry, "dry-run", false, "publish nothing, and say what would change")
	c.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if r.from, err = parseMark(from); err != nil {
			return usageError{fmt.Errorf("--from: %w", err)}
		}
		if r.to, err = parseMark(to); err != nil {
			return usageError{fmt.Errorf("--to: %w", err)}
		}
		cfg, err := a.load(c)
		if err != nil {
			return err
		}
		if r.bench, err = a.newBench(c.Context(), cfg, false); err != nil {
			return err
		}
		defer r.close()
		report, err := r.run(c.Context(), args[0])
		if err != nil {
			return err
		}
		if asJSON {
			return a.out.JSON(report)
		}
		for _, line := range report.lines() {
			a.out.Linef("%s", line)
		}
		return nil
	}
	return c
}

// mark is a place in what is replayed; zero for none.
type mark struct {
	sequence uint64
	at       time.Time
}

func parseMark(s string) (m mark, err error) {
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
	return m, fmt.Errorf("neither a sequence nor a time such as 2026-11-23T08:00:00Z: %q", s)
}

// replay publishes what the log does not have.
type replay struct {
	*bench
	from, to mark
	subject  string
	dry      bool

	store  *db.Store // a copy of our own, at the log's end
	seen   map[workflow.Identity]bool
	fresh  []candidate
	report replayReport
}

// candidate is an event that may be published.
type candidate struct {
	line  line
	entry workflow.Entry
}

// replayReport is what a replay came to, or would come to.
type replayReport struct {
	DryRun    bool             `json:"dry_run"`
	Read      int              `json:"read"`  // events that were asked for
	Own       int              `json:"own"`   // Countersign's own, left out
	Known     int              `json:"known"` // left out, for the log has them
	New       int              `json:"new"`   // published, or to be
	Documents []documentChange `json:"documents,omitempty"`
	Owing     *db.Owing        `json:"owed,omitempty"`
}

type documentChange struct {
	SID    workflow.SID    `json:"sid"`
	Before workflow.Status `json:"before"` // empty where it was not created
	After  workflow.Status `json:"after"`
}

// lines says it for people.
func (r replayReport) lines() []string {
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
			out = append(out, fmt.Sprintf("%d mails of the kind %s would be owed at once", n, k))
		}
	}
	if n := r.Owing.Events[workflow.TypeRegister]; n > 0 {
		out = append(out, fmt.Sprintf("%d numbers would be registered", n))
	}
	for _, code := range slices.Sorted(maps.Keys(r.Owing.Turned)) {
		out = append(out, fmt.Sprintf("%d events would be refused: %s", r.Owing.Turned[code], code))
	}
	return out
}

func (r *replay) run(ctx context.Context, source string) (replayReport, error) {
	dir, remove, err := scratch(r.cfg.DataDir)
	if err != nil {
		return r.report, err
	}
	defer remove()
	if r.store, err = r.current(ctx, dir); err != nil {
		return r.report, err
	}
	defer r.store.Close()
	r.seen, r.report.DryRun = map[workflow.Identity]bool{}, r.dry
	if err := r.read(ctx, source); err != nil {
		return r.report, err
	}
	r.report.New = len(r.fresh)
	if r.dry {
		return r.report, r.foretell(ctx)
	}
	lines := make([]line, len(r.fresh))
	for i, c := range r.fresh {
		lines[i] = c.line
	}
	return r.report, r.send(ctx, r.nc, lines, 0, time.Minute)
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
	lines, err := readLines(name)
	if err != nil {
		return err
	}
	for _, l := range lines {
		l.after = "" // what it came after has happened
		var e struct{ Time time.Time }
		_ = json.Unmarshal(l.msg.Data, &e) // an event without a time is of no time
		m := events.Message{Sequence: uint64(l.number), Time: e.Time, Subject: l.msg.Subject, Header: l.msg.Header, Data: l.msg.Data}
		if r.asked(m) {
			if err := take(candidate{l, events.Decode(m)}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *replay) readStream(ctx context.Context, name string, take func(candidate) error) error {
	return eventlog.Read(ctx, r.nc, name, eventlog.Range{From: r.from.sequence, Since: r.from.at, Subject: r.subject}, func(m events.Message) error {
		if !r.asked(m) {
			return nil
		}
		msg := &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{}}
		for name, values := range m.Header {
			if !strings.HasPrefix(name, "Nats-") {
				msg.Header[name] = values
			}
		}
		return take(candidate{line{number: int(m.Sequence), msg: msg}, events.Decode(m)})
	})
}

// asked reports whether an event is among those that were asked for.
func (r *replay) asked(m events.Message) bool {
	switch {
	case m.Sequence < r.from.sequence, r.to.sequence > 0 && m.Sequence > r.to.sequence,
		m.Time.Before(r.from.at), !r.to.at.IsZero() && m.Time.After(r.to.at):
		return false
	}
	return r.subject == "" || subjectMatches(r.subject, m.Subject)
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

// sift keeps of a page what is neither our own nor known.
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

// foretell folds what is new into the copy, as if it stood on the log now, and
// tells what changes.
func (r *replay) foretell(ctx context.Context) error {
	at, now := r.store.Position(), r.log.Now()
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
			r.report.Documents = append(r.report.Documents, documentChange{sid, b.Status, d.Status})
		}
	}
	owing, err := r.store.OwingSince(ctx, at.Sequence)
	r.report.Owing = &owing
	return err
}
