package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"countersign/db/internal/sqlc"
	"countersign/workflow"
)

// short returns the context for a read that takes microseconds: one that does not
// end, because a context that can end costs database/sql and the driver a goroutine
// each for each statement. It fails if ctx has ended.
func short(ctx context.Context) (context.Context, error) {
	return context.WithoutCancel(ctx), ctx.Err()
}

// Document reads one document. It fails with workflow.ErrNotFound if no
// event has created it.
func (s *Store) Document(ctx context.Context, sid workflow.SID) (workflow.Document, error) {
	ctx, err := short(ctx)
	if err != nil {
		return workflow.Document{}, err
	}
	r, err := s.rq.GetDocument(ctx, sid)
	if errors.Is(err, sql.ErrNoRows) {
		return workflow.Document{}, fmt.Errorf("%w: document %s", workflow.ErrNotFound, sid)
	}
	if err != nil {
		return workflow.Document{}, fmt.Errorf("read document %s: %w", sid, err)
	}
	return document(r)
}

// DocumentChanged returns a channel that is closed when the next batch has been
// applied that changes or erases a document. Call forget when nobody waits for it
// any more.
func (s *Store) DocumentChanged(sid workflow.SID) (changed <-chan struct{}, forget func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watched == nil {
		s.watched = make(map[workflow.SID][]chan struct{})
	}
	c := make(chan struct{})
	s.watched[sid] = append(s.watched[sid], c)
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		rest := slices.DeleteFunc(s.watched[sid], func(other chan struct{}) bool { return other == c })
		if s.watched[sid] = rest; len(rest) == 0 {
			delete(s.watched, sid)
		}
	}
}

// wakeDocuments wakes those who wait for documents that were changed. The caller
// holds s.mu.
func (s *Store) wakeDocuments(changed []workflow.SID) {
	for _, sid := range changed {
		for _, c := range s.watched[sid] {
			close(c)
		}
		delete(s.watched, sid)
	}
}

// Filter chooses documents. An empty field matches all.
type Filter struct {
	Account workflow.SID
	Status  workflow.Status
	Email   string // exact
	InDoubt bool   // only those with a mail whose outcome was lost at least once
	Limit   int    // maximum number of documents
}

// Documents lists documents, the newest first.
func (s *Store) Documents(ctx context.Context, f Filter) ([]workflow.Document, error) {
	rows, err := s.rq.ListDocuments(ctx, sqlc.ListDocumentsParams{
		AccountSID: string(f.Account), Status: string(f.Status), Email: f.Email, InDoubt: int64(bit(f.InDoubt)), Most: int64(f.Limit),
	})
	if err != nil {
		return nil, fmt.Errorf("list documents: %w", err)
	}
	return each(rows, document)
}

// HistoryLine is one line of a document's history.
type HistoryLine struct {
	Sequence uint64    `json:"sequence"` // the entry because of which it happened
	Time     time.Time `json:"time"`
	What     string    `json:"what"`
	Detail   string    `json:"detail,omitempty"`
}

// Refusal is an event that was refused, or a dead letter.
type Refusal struct {
	Sequence uint64        `json:"sequence"`
	Time     time.Time     `json:"time"`
	Dead     bool          `json:"dead_letter"`
	Source   string        `json:"event_source,omitempty"`
	EventID  string        `json:"event_id,omitempty"`
	Code     workflow.Code `json:"code"`
	Message  string        `json:"message"`
	Field    string        `json:"field,omitempty"`
}

// EventState says what became of an event that has to stand on the log.
type EventState string

// The states of an event in the outbox.
const (
	EventPending EventState = "pending" // it is not on the log yet
	EventDone    EventState = "done"    // it is on the log
	EventDropped EventState = "dropped" // it was not on the log yet, and is no longer needed
)

// OutboxEvent is an event that has to stand on the log, and what became of it.
type OutboxEvent struct {
	workflow.PendingEvent
	State    EventState
	Sequence uint64 // where it is on the log; 0 unless State is EventDone
}

func outboxEvent(r sqlc.OutboxEvent) (OutboxEvent, error) {
	o, err := pendingEvent(r)
	e := OutboxEvent{PendingEvent: o, State: EventPending}
	switch {
	case r.DoneSeq == droppedSeq:
		e.State = EventDropped
	case r.DoneSeq > 0:
		e.State, e.Sequence = EventDone, uint64(r.DoneSeq)
	}
	return e, err
}

// Life is all that is known of a document.
type Life struct {
	Document *workflow.Document // nil if it has not been created
	Mails    []workflow.Mail    // oldest first
	Bounces  []Bounce           // what was reported of them, oldest first
	Events   []OutboxEvent      // that have to stand on the log because of it, oldest first
	Parked   []workflow.Parked
	Timers   []workflow.Timer // that run, the soonest first
	Refusals []Refusal
	History  []HistoryLine
}

// Life reads all that is known of a document. It fails with
// workflow.ErrNotFound if no event has named it.
func (s *Store) Life(ctx context.Context, sid workflow.SID) (l Life, err error) {
	defer func() {
		if err != nil && !errors.Is(err, workflow.ErrNotFound) {
			err = fmt.Errorf("read the life of %s: %w", sid, err)
		}
	}()
	d, err := s.Document(ctx, sid)
	switch {
	case err == nil:
		l.Document = &d
	case !errors.Is(err, workflow.ErrNotFound):
		return l, err
	}
	mails, err := s.rq.DocumentMails(ctx, string(sid))
	if err != nil {
		return l, err
	}
	if l.Mails, err = each(mails, mail); err != nil {
		return l, err
	}
	if l.Bounces, err = s.bounces(ctx, sid); err != nil {
		return l, err
	}
	if l.Document != nil {
		if err := s.lifeEvents(ctx, d, &l); err != nil {
			return l, err
		}
	}
	return l, s.lifeRefusals(ctx, sid, &l)
}

func (s *Store) lifeEvents(ctx context.Context, d workflow.Document, l *Life) error {
	events, err := s.rq.DocumentOutboxEvents(ctx, workflow.SubjectPrefix+string(d.AccountSID)+"."+string(d.SID))
	if err != nil {
		return err
	}
	running, err := s.rq.LoadTimers(ctx, encode([]workflow.SID{d.SID}))
	if err != nil {
		return err
	}
	for _, r := range running {
		l.Timers = append(l.Timers, timer(r))
	}
	l.Events, err = each(events, outboxEvent)
	return err
}

func (s *Store) lifeRefusals(ctx context.Context, sid workflow.SID, l *Life) error {
	waiting, err := s.rq.DocumentParked(ctx, sid)
	if err != nil {
		return err
	}
	if l.Parked, err = each(waiting, parked); err != nil {
		return err
	}
	turned, err := s.rq.DocumentRefusals(ctx, sid)
	if err != nil {
		return err
	}
	for _, t := range turned {
		l.Refusals = append(l.Refusals, Refusal{
			uint64(t.Sequence), fromMS(t.AtMS), t.Dead, t.Source, t.EventID, t.Code, t.Message, t.Field,
		})
	}
	if l.History, err = s.history(ctx, sid); err != nil {
		return err
	}
	if l.Document == nil && len(l.Parked) == 0 && len(l.Refusals) == 0 && len(l.History) == 0 {
		return fmt.Errorf("%w: document %s", workflow.ErrNotFound, sid)
	}
	return nil
}

// History reads what happened to a document, the oldest first: nothing if no
// event has named it.
func (s *Store) History(ctx context.Context, sid workflow.SID) ([]HistoryLine, error) {
	lines, err := s.history(ctx, sid)
	if err != nil {
		return nil, fmt.Errorf("read the history of %s: %w", sid, err)
	}
	return lines, nil
}

func (s *Store) history(ctx context.Context, sid workflow.SID) (lines []HistoryLine, err error) {
	rows, err := s.rq.DocumentHistory(ctx, sid)
	for _, j := range rows {
		lines = append(lines, HistoryLine{uint64(j.Sequence), fromMS(j.AtMS), j.What, j.Detail})
	}
	return lines, err
}

func each[R, T any](rows []R, f func(R) (T, error)) ([]T, error) {
	var out []T
	for _, r := range rows {
		t, err := f(r)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// Counts is what there is, for an operator.
type Counts struct {
	Position        Position
	Documents       map[workflow.Status]int
	Waiting         map[workflow.LetterPart]int // documents that are not sent, by what their letters lack
	Mails           map[workflow.MailKind]map[workflow.MailState]int
	DeadLetters     int
	OpenDeadLetters int // dead letters that nobody has sent again or discarded
	Refused         map[workflow.Code]int
	Registers       int // register events that stand on the log
	PendingMails    int // mails
	InDoubt         int // mails whose outcome was lost at least once, settled since or not
	PendingEvents   int // due and not on the log yet
	Parked          int
	OldestMail      time.Time // when the oldest pending mail became owed; zero if there is none
	OldestEvent     time.Time // when the first of PendingEvents was due; zero if there is none
	Duplicates      uint64    // met by this process since it started
	Applied         uint64    // entries that this process applied since it started
}

// Counts counts. now is the log's time.
func (s *Store) Counts(ctx context.Context, now time.Time) (c Counts, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("count: %w", err)
		}
	}()
	c = Counts{
		Position: s.Position(), Documents: map[workflow.Status]int{}, Refused: map[workflow.Code]int{}, Waiting: map[workflow.LetterPart]int{},
		Mails: map[workflow.MailKind]map[workflow.MailState]int{},
	}
	s.mu.Lock()
	c.Duplicates, c.Applied = s.duplicates, s.appliedCount
	s.mu.Unlock()
	tallies, err := s.rq.Tallies(ctx)
	if err != nil {
		return c, err
	}
	for _, t := range tallies {
		c.add(t)
	}
	b, err := s.rq.Backlog(ctx, ms(now))
	if err != nil {
		return c, err
	}
	c.InDoubt, c.PendingEvents, c.Parked = int(b.Doubts), int(b.Events), int(b.Parked)
	c.OldestMail, c.OldestEvent = fromMS(b.OldestPendingMS), fromMS(b.OldestEventMS)
	if claimed := fromMS(b.OldestClaimedMS); c.OldestMail.IsZero() || !claimed.IsZero() && claimed.Before(c.OldestMail) {
		c.OldestMail = claimed
	}
	closed, err := s.rq.CountClosedDead(ctx)
	c.OpenDeadLetters = c.DeadLetters - int(closed)
	return c, err
}

func (c *Counts) add(t sqlc.Tally) {
	n := int(t.N)
	switch t.What {
	case tallyDocuments:
		c.Documents[workflow.Status(t.Kind)] = n
	case tallyWaiting:
		c.Waiting[workflow.LetterPart(t.Kind)] = n
	case tallyRegisters:
		c.Registers = n
	case tallyRefusals:
		if code := workflow.Code(t.Kind); code.Dead() {
			c.DeadLetters += n
		} else {
			c.Refused[code] = n
		}
	case tallyMails:
		kind, state := workflow.MailKind(t.Kind), workflow.MailState(t.More)
		if c.Mails[kind] == nil {
			c.Mails[kind] = map[workflow.MailState]int{}
		}
		c.Mails[kind][state] = n
		if !state.Done() {
			c.PendingMails += n
		}
	}
}

// Bounce is what a mail server reported of a mail that it had taken.
type Bounce struct {
	workflow.Bounced
	Sequence uint64    `json:"sequence"` // the entry that says so
	Time     time.Time `json:"time"`     // of that entry
}

// bounces lists what was reported of a document's mails, oldest first.
func (s *Store) bounces(ctx context.Context, sid workflow.SID) ([]Bounce, error) {
	rows, err := s.rq.DocumentBounces(ctx, string(sid))
	var out []Bounce
	for _, r := range rows {
		out = append(out, Bounce{
			Bounced:  workflow.Bounced{Mail: r.MailID, Action: r.Action, Status: r.Status, Diagnostic: r.Diagnostic},
			Sequence: uint64(r.Sequence), Time: fromMS(r.AtMS),
		})
	}
	return out, err
}

// LinksOut counts the documents whose link to sign was mailed, or may have been,
// and is still good.
func (s *Store) LinksOut(ctx context.Context) (int, error) {
	n, err := s.rq.LinksOut(ctx)
	if err != nil {
		return 0, fmt.Errorf("count the documents whose link is out: %w", err)
	}
	return int(n), nil
}

// KeptLetter returns the oldest document whose signed letter is in the object store.
// It fails with workflow.ErrNotFound if there is none.
func (s *Store) KeptLetter(ctx context.Context) (workflow.Document, error) {
	row, err := s.rq.KeptLetter(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return workflow.Document{}, fmt.Errorf("%w: no letter has been signed", workflow.ErrNotFound)
	}
	if err != nil {
		return workflow.Document{}, fmt.Errorf("look for a signed letter: %w", err)
	}
	return document(row)
}
