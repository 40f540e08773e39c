package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"countersign/workflow"
)

// landed checks an entry against what stands on the log before it.
func (w *world) landed(by string, e workflow.Entry) {
	s := &w.stream
	switch b := e.Body.(type) {
	case workflow.Register:
		w.once(e)
		if !s.lostOne && !slices.ContainsFunc(s.entries, func(o entry) bool {
			c, ok := o.Body.(workflow.StatusChanged)
			return ok && c.Status == workflow.Signed && o.Document == b.DocumentSID && o.Time.UnixMilli() <= b.DateSigned.UnixMilli()
		}) {
			w.violated("I6", "%s has no signature before it", e.Subject)
		}
	case workflow.Became:
		w.once(e)
		signature := workflow.MailID(fmt.Sprintf("%s.%d.signature.0", b.SID, b.Round))
		if b.Status == workflow.Signing && len(w.post.accepted[signature]) == 0 {
			w.violated("I6", "%s, and the mail server has not accepted the mail", e.Subject)
		}
	case workflow.Refused:
		w.once(e)
		if b.Sequence >= e.Sequence && !s.lostOne {
			w.violated("I6", "%s stands before its cause", e.Subject)
		}
	case workflow.TimerDue, workflow.LetterStale:
		w.once(e)
	case workflow.Settled:
		w.settled(e, b)
	}
}

func (w *world) once(e workflow.Entry) {
	for _, o := range w.stream.entries[:e.Sequence-1] {
		if o.Subject == e.Subject && o.Body.Type() == e.Body.Type() {
			w.violated("I6", "%s stands on the log twice, at %d and %d", e.Subject, o.Sequence, e.Sequence)
		}
	}
}

// claimed is the claim at a sequence, if it claimed the mail.
func (w *world) claimed(seq uint64, id workflow.MailID) (entry, bool) {
	if seq == 0 || seq > uint64(len(w.stream.entries)) {
		return entry{}, false
	}
	e := w.stream.entries[seq-1]
	c, ok := e.Body.(workflow.Claimed)
	return e, ok && slices.Contains(c.Mails, id)
}

func (w *world) settled(e workflow.Entry, b workflow.Settled) {
	for _, o := range b.Outcomes {
		if _, ok := w.claimed(b.Claim, o.Mail); !ok && !w.stream.lostOne {
			w.violated("I7", "entry %d settles %s by a claim %d that did not take it", e.Sequence, o.Mail, b.Claim)
		}
		if o.Outcome == workflow.Accepted && !slices.ContainsFunc(w.post.accepted[o.Mail], func(a acceptance) bool { return a.claim == b.Claim }) {
			w.violated("I7", "entry %d says that %s was accepted, and it was not", e.Sequence, o.Mail)
		}
	}
}

// outcome is the first outcome on the log of a mail under a claim.
func (w *world) outcome(claim uint64, id workflow.MailID) workflow.Outcome {
	for _, e := range w.stream.entries {
		if b, ok := e.Body.(workflow.Settled); ok && b.Claim == claim {
			for _, o := range b.Outcomes {
				if o.Mail == id {
					return o.Outcome
				}
			}
		}
	}
	return ""
}

// begins checks that a mail may be begun by this run, now.
func (w *world) begins(r *run, m workflow.Mail) {
	if w.stream.lostOne {
		return
	}
	if older := r.worker.disk.unfinishedBefore(m); len(older) > 0 {
		w.violated("I4", "%s begins %s, and what the recipient gets before it is not done: %s", r.name, m.ID, older)
	}
	claim, ok := w.claimed(m.Claim, m.ID)
	switch {
	case !ok:
		w.violated("I7", "%s begins %s by the claim %d, which is not on the log", r.name, m.ID, m.Claim)
		return
	case !strings.Contains(claim.ID, "."+r.name+".claim."):
		w.violated("I7", "%s begins %s by the claim of another run, %s", r.name, m.ID, claim.ID)
	case time.Since(claim.landed) > deadline:
		w.violated("I7", "%s begins %s %s after its claim", r.name, m.ID, time.Since(claim.landed))
	}
	for _, later := range w.stream.entries[m.Claim:] {
		if _, again := w.claimed(later.Sequence, m.ID); again {
			w.violated("I7", "%s begins %s by claim %d, and claim %d has it in hand", r.name, m.ID, m.Claim, later.Sequence)
		}
	}
	if o := w.outcome(m.Claim, m.ID); o != "" {
		w.violated("I7", "%s begins %s, which claim %d has settled: %s", r.name, m.ID, m.Claim, o)
	}
	for _, a := range w.post.accepted[m.ID] {
		before, _ := w.claimed(a.claim, m.ID)
		switch o := w.outcome(a.claim, m.ID); {
		case a.claim == m.Claim:
			w.violated("I5", "%s begins %s twice by claim %d", r.name, m.ID, m.Claim)
		case o == workflow.Accepted:
			w.violated("I5", "%s begins %s, which was accepted by claim %d, and that is on the log", r.name, m.ID, a.claim)
		case o == "" && time.Since(before.landed) < deadline+deadline/10:
			w.violated("I5", "%s begins %s, accepted %s ago, while claim %d still has time", r.name, m.ID, time.Since(a.at), a.claim)
		}
	}
}

// takes checks that a mail says what is so.
func (w *world) takes(m workflow.Mail) {
	if w.stream.lostOne {
		return
	}
	switch m.Kind {
	case workflow.MailSent, workflow.MailReminder:
		if len(w.post.accepted[workflow.MailID(fmt.Sprintf("%s.%d.signature.0", m.Document, m.Round))]) == 0 {
			w.violated("I4", "%s went out before the signature mail", m.ID)
		}
	case workflow.MailSigned:
		if !slices.ContainsFunc(w.stream.entries, func(e entry) bool {
			b, ok := e.Body.(workflow.StatusChanged)
			return ok && e.Document == m.Document && b.Status == workflow.Signed
		}) {
			w.violated("I4", "%s went out, and nobody has signed", m.ID)
		}
	}
}

// unfinishedBefore lists the mails of a document to one recipient that became owed
// before this one and have no final outcome.
func (d *disk) unfinishedBefore(m workflow.Mail) (ids []string) {
	database := d.open(nil)
	defer database.Close()
	rows, err := database.QueryContext(context.Background(), `-- name: UnfinishedBefore :many
		SELECT id FROM mails WHERE id > ? || '.' AND id < ? || '/' AND lower(recipient) = lower(?)
			AND (cause_seq, cause_index) < (?, ?) AND state IN ('waiting', 'pending', 'claimed') ORDER BY cause_seq, cause_index`,
		string(m.Document), string(m.Document), m.Recipient, m.CauseSeq, m.CauseIndex)
	must(err)
	defer rows.Close()
	for rows.Next() {
		ids = append(ids, "")
		must(rows.Scan(&ids[len(ids)-1]))
	}
	must(rows.Err())
	return ids
}

// owed counts what a disk still owes.
func (d *disk) owed() (n int) {
	database := d.open(nil)
	defer database.Close()
	must(database.QueryRowContext(context.Background(), `-- name: Owed :one
		SELECT (SELECT count(*) FROM mails WHERE done_ms = 0) + (SELECT count(*) FROM outbox_events WHERE done_seq = 0)`).Scan(&n))
	return n
}

// owes lists what a disk still owes.
func (d *disk) owes() (what []string) {
	database := d.open(nil)
	defer database.Close()
	rows, err := database.QueryContext(context.Background(), `SELECT id || ' ' || state || ' ' || due_ms FROM mails WHERE done_ms = 0
		UNION ALL SELECT subject || ' ' || due_ms FROM outbox_events WHERE done_seq = 0`)
	must(err)
	defer rows.Close()
	for rows.Next() {
		what = append(what, "")
		must(rows.Scan(&what[len(what)-1]))
	}
	must(rows.Err())
	return what
}

// drained reports whether nothing is left to be done.
func (w *world) drained() bool {
	if len(w.traffic) > 0 {
		return false
	}
	for _, k := range w.workers {
		r := k.alive()
		if r == nil || r.store.Position().Sequence != uint64(len(w.stream.entries)) || k.disk.owed() > 0 {
			return false
		}
	}
	return true
}

// left says what is left to be done.
func (w *world) left() string {
	out := fmt.Sprintf("%d events to publish, %d entries", len(w.traffic), len(w.stream.entries))
	for _, k := range w.workers {
		at := uint64(0)
		if r := k.alive(); r != nil {
			at = r.store.Position().Sequence
		}
		out += fmt.Sprintf("; %s is at %d and owes %q", k.name, at, k.disk.owes())
	}
	return out
}
