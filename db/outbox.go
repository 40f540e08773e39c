package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"countersign/db/internal/sqlc"
	"countersign/workflow"
)

// DueMail is a mail that may be claimed.
type DueMail struct {
	ID     workflow.MailID
	Domain string // of its recipient
	Asked  string // if it asks for a signature, and was never tried: the account and the mailbox, for limits; else empty
	Due    time.Time
}

// DueMails lists at most most mails that are due at now. It leaves out those to
// one of the domains in but, and those never tried with one of the values of
// Asked in but. Mails that were never tried come before those that are
// tried again, each kind the longest due first; as long as there are both, a
// quarter of the places is kept for the second kind, so that neither holds up
// the other. Where there are fewer than four places, only the time counts.
func (s *Store) DueMails(ctx context.Context, now time.Time, but []string, most int) ([]DueMail, error) {
	if but == nil {
		but = []string{}
	}
	p := sqlc.DueMailsParams{NowMS: ms(now), ButDomains: encode(but), ButAsked: encode(but), Most: int64(most)}
	first, err := s.rq.DueMails(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("read due mails: %w", err)
	}
	again, err := s.rq.DueMailsAgain(ctx, sqlc.DueMailsAgainParams{NowMS: p.NowMS, ButDomains: p.ButDomains, Most: p.Most})
	if err != nil {
		return nil, fmt.Errorf("read mails due again: %w", err)
	}
	if most >= 4 {
		again = again[:min(len(again), max(most-len(first), most/4))]
		first = first[:min(len(first), most-len(again))]
	}
	rows := first
	for _, r := range again {
		rows = append(rows, sqlc.DueMailsRow(r))
	}
	if most < 4 {
		slices.SortStableFunc(rows, func(a, b sqlc.DueMailsRow) int { return cmp.Compare(a.DueMS, b.DueMS) })
	}
	due := make([]DueMail, min(most, len(rows)))
	for i := range due {
		due[i] = DueMail{rows[i].ID, rows[i].Domain, rows[i].Asked, fromMS(rows[i].DueMS)}
	}
	return due, nil
}

// NextDueMail returns when the next owed mail is due; zero if none is owed.
func (s *Store) NextDueMail(ctx context.Context) (time.Time, error) {
	due, err := s.rq.NextDueMail(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the next due mail: %w", err)
	}
	return fromMS(due), nil
}

// ClaimedMails lists the mails that the claim at seq holds, with what
// they are about.
func (s *Store) ClaimedMails(ctx context.Context, seq uint64) ([]workflow.Mail, error) {
	ctx, err := short(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.rq.ClaimedMails(ctx, int64(seq))
	if err != nil {
		return nil, fmt.Errorf("read the mails of claim %d: %w", seq, err)
	}
	slices.SortFunc(rows, func(a, b sqlc.Mail) int {
		return cmp.Or(cmp.Compare(a.CauseSeq, b.CauseSeq), cmp.Compare(a.CauseIndex, b.CauseIndex))
	})
	mails, err := each(rows, mail)
	if err != nil {
		return nil, err
	}
	about, err := s.documents(ctx, mails)
	if err != nil {
		return nil, err
	}
	for i := range mails {
		m := &mails[i]
		if m.About != nil {
			continue
		}
		if m.About = about[m.Document]; m.About == nil {
			return nil, fmt.Errorf("%w: document %s of mail %s", workflow.ErrNotFound, m.Document, m.ID)
		}
	}
	return mails, nil
}

// documents reads the documents of the mails that keep no copy of theirs, in one
// query. Several mails may be about one document.
func (s *Store) documents(ctx context.Context, mails []workflow.Mail) (map[workflow.SID]*workflow.Document, error) {
	found := make(map[workflow.SID]*workflow.Document)
	var sids []workflow.SID
	for _, m := range mails {
		if _, met := found[m.Document]; m.About == nil && !met {
			found[m.Document] = nil
			sids = append(sids, m.Document)
		}
	}
	if len(sids) == 0 {
		return found, nil
	}
	rows, err := s.rq.LoadDocuments(ctx, encode(sids))
	if err != nil {
		return nil, fmt.Errorf("read the documents of claimed mails: %w", err)
	}
	for _, r := range rows {
		d, err := document(r)
		if err != nil {
			return nil, err
		}
		found[d.SID] = &d
	}
	return found, nil
}

// OpenClaims lists the claims that have mails without an outcome, oldest first.
func (s *Store) OpenClaims(ctx context.Context) ([]uint64, error) {
	rows, err := s.rq.OpenClaims(ctx)
	if err != nil {
		return nil, fmt.Errorf("read open claims: %w", err)
	}
	claims := make([]uint64, len(rows))
	for i, r := range rows {
		claims[i] = uint64(r)
	}
	return claims, nil
}

// PlacedEvent is an owed event and its place in the outbox; later ones have
// greater places.
type PlacedEvent struct {
	Place int64
	workflow.PendingEvent
}

// DueEvents lists at most most events that are owed and due at now, in places
// after after. Timers have to be due at stamp too, which is what the log would
// stamp them with: one that is there too early does not count.
func (s *Store) DueEvents(ctx context.Context, now, stamp time.Time, after int64, most int) ([]PlacedEvent, error) {
	rows, err := s.rq.DueEvents(ctx, sqlc.DueEventsParams{NowMS: ms(now), StampMS: ms(stamp), After: after, Most: int64(most)})
	if err != nil {
		return nil, fmt.Errorf("read due events: %w", err)
	}
	return each(rows, func(r sqlc.OutboxEvent) (PlacedEvent, error) {
		o, err := pendingEvent(r)
		return PlacedEvent{r.Place, o}, err
	})
}

// NextDueEvent returns when the next event that is not due at now will be;
// zero if there is none.
func (s *Store) NextDueEvent(ctx context.Context, now time.Time) (time.Time, error) {
	due, err := s.rq.NextDueEvent(ctx, ms(now))
	if err != nil {
		return time.Time{}, fmt.Errorf("read the next due event: %w", err)
	}
	return fromMS(due), nil
}

// MailsInDoubt lists the mails whose outcome was lost at least once.
func (s *Store) MailsInDoubt(ctx context.Context) ([]workflow.Mail, error) {
	rows, err := s.rq.MailsInDoubt(ctx)
	if err != nil {
		return nil, fmt.Errorf("read mails in doubt: %w", err)
	}
	return each(rows, mail)
}

// Asked names an account and a mailbox, for the limits of how many emails of
// the account ask one person to sign. Accounts are counted apart, so that none
// can use up what another needs.
func Asked(account workflow.SID, email string) string { return string(account) + " " + mailbox(email) }

// mailbox is an email address as limits count it. Ways to write one mailbox
// count as one: case, what follows a plus sign (RFC 5233), and dots in the
// local part, which some providers ignore.
func mailbox(email string) string {
	email = strings.ToLower(email)
	at := strings.LastIndexByte(email, '@')
	if at < 0 {
		return email
	}
	local, _, _ := strings.Cut(email[:at], "+")
	return strings.ReplaceAll(local, ".", "") + email[at:]
}

// AskedBefore returns when the email was owed that is the n-th newest of those
// by which the account asked one person to sign after since: signature emails
// and reminders, sent or still to be sent. It is zero if there are fewer; n is
// at least 1.
func (s *Store) AskedBefore(ctx context.Context, account workflow.SID, email string, n int, since time.Time) (time.Time, error) {
	ctx, err := short(ctx)
	if err != nil {
		return time.Time{}, err
	}
	at, err := s.rq.AskedBefore(ctx, sqlc.AskedBeforeParams{Asked: Asked(account, email), SinceMS: ms(since), Skip: int64(n - 1)})
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("count the emails to one person: %w", err)
	}
	return fromMS(at), nil
}

// Owing is what entries made the store owe, and what they were refused.
type Owing struct {
	Mails    map[workflow.MailKind]int `json:"mails"`
	Events   map[string]int            `json:"events"` // by type
	Refusals map[workflow.Code]int     `json:"refusals"`
}

// OwingSince tells what the entries after a sequence made the store owe.
func (s *Store) OwingSince(ctx context.Context, sequence uint64) (o Owing, err error) {
	o = Owing{map[workflow.MailKind]int{}, map[string]int{}, map[workflow.Code]int{}}
	mails, err := s.rq.MailsSince(ctx, int64(sequence))
	for _, r := range mails {
		o.Mails[r.Kind] = int(r.N)
	}
	if err == nil {
		events, errEvents := s.rq.OutboxEventsSince(ctx, int64(sequence))
		for _, r := range events {
			o.Events[r.Type] = int(r.N)
		}
		err = errEvents
	}
	if err == nil {
		turned, errTurned := s.rq.RefusalsSince(ctx, int64(sequence))
		for _, r := range turned {
			o.Refusals[r.Code] = int(r.N)
		}
		err = errTurned
	}
	if err != nil {
		return o, fmt.Errorf("read what is owed since entry %d: %w", sequence, err)
	}
	return o, nil
}
