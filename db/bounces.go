package db

import (
	"context"
	"time"

	"countersign/workflow"
)

// Bounce is what a mail server reported of a mail that it had taken.
type Bounce struct {
	workflow.Bounced
	Sequence uint64    `json:"sequence"` // the entry that says so
	Time     time.Time `json:"time"`     // of that entry
}

// loadAttempted reads which of the mails that the entries report on have been
// begun.
func (b *batch) loadAttempted(ctx context.Context, entries []workflow.Entry) error {
	var ids []workflow.MailID
	for _, e := range entries {
		if body, ok := e.Body.(workflow.Bounced); ok {
			ids = append(ids, body.Named()...)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := b.q.AttemptedMails(ctx, encode(ids))
	b.attempted = make(map[workflow.MailID]bool, len(rows))
	for _, id := range rows {
		b.attempted[id] = true
	}
	return err
}

// begun tells which of the mails that a bounced event names have been begun.
func (b *batch) begun(body workflow.Body) map[workflow.MailID]bool {
	bounced, ok := body.(workflow.Bounced)
	if !ok {
		return nil
	}
	begun := make(map[workflow.MailID]bool)
	for _, id := range bounced.Named() {
		m, touched := b.mails[id]
		begun[id] = touched && m.Attempts > 0 || !touched && b.attempted[id]
	}
	return begun
}

func (b *batch) flushBounces(ctx context.Context) error {
	var list [][]any
	for _, x := range b.bounces {
		list = append(list, []any{x.Mail, x.Entry.Sequence, ms(x.Entry.Time), x.Action, x.Status, x.Diagnostic})
	}
	return rows(ctx, b.q.AddBounces, list)
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
