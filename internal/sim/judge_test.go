package sim

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"countersign/db"
	"countersign/workflow"
)

// judge checks what the schedule came to.
func (w *world) judge() {
	reference := newDisk(intact)
	defer reference.giveBack()
	database := reference.open(nil)
	defer database.Close()
	store, err := db.OpenOn(context.Background(), database, "reference")
	must(err)
	w.foldAll(store)
	if w.stream.lostOne { // what a worker had applied stays applied: the states may differ
		w.judgeInboxes()
		return
	}
	want := dump(store)
	for _, k := range w.workers {
		if w.broken == noMailOrder {
			break // its disk changes what the store writes: only what is sent counts
		}
		if got := dump(k.alive().store); got != want {
			w.violated("I2", "%s has folded the log to another state:\n%s", k.name, difference(want, got))
		}
	}
	w.judgeMails(database)
	w.judgeDocuments(store)
	w.judgeTimers(database)
	w.judgeExpiries(store)
}

func (w *world) foldAll(store *db.Store) {
	for at := 0; at < len(w.stream.entries); {
		n := min(1+w.rng.IntN(20), len(w.stream.entries)-at)
		var batch []workflow.Entry
		for _, e := range w.stream.entries[at : at+n] {
			batch = append(batch, e.Entry)
		}
		must(store.Apply(context.Background(), w.stream.created, batch))
		at += n
	}
}

func dump(s *db.Store) string {
	var b bytes.Buffer
	must(s.Dump(context.Background(), &b))
	return b.String()
}

// difference lists the lines that only one of two dumps has.
func difference(want, got string) string {
	var out []string
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for _, l := range a {
		if !slices.Contains(b, l) {
			out = append(out, "- "+l)
		}
	}
	for _, l := range b {
		if !slices.Contains(a, l) {
			out = append(out, "+ "+l)
		}
	}
	return strings.Join(out, "\n")
}

// judgeInboxes checks that no worker on a log that lost its tail has skipped
// an entry.
func (w *world) judgeInboxes() {
	if !w.stream.lostOne {
		return
	}
	for _, k := range w.workers {
		w.judgeInbox(k)
	}
}

func (w *world) judgeInbox(k *worker) {
	database := k.disk.open(nil)
	defer database.Close()
	for _, e := range w.stream.entries {
		var n int
		must(database.QueryRowContext(context.Background(), "SELECT count(*) FROM inbox WHERE account_sid = ? AND source = ? AND event_id = ?", e.Account, e.Source, e.ID).Scan(&n))
		if n != 1 {
			w.violated("I1", "%s has skipped entry %d, %s", k.name, e.Sequence, e.Subject)
		}
	}
}

// judgeMails compares the mails' states with what the mail server has taken.
func (w *world) judgeMails(database *sql.DB) {
	rows, err := database.QueryContext(context.Background(), "SELECT id, state, claim, doubts FROM mails ORDER BY id")
	must(err)
	defer rows.Close()
	doubled, known := 0, map[workflow.MailID]bool{}
	for rows.Next() {
		var id workflow.MailID
		var state workflow.MailState
		var claim uint64
		var doubts int
		must(rows.Scan(&id, &state, &claim, &doubts))
		known[id] = true
		times := len(w.post.accepted[id])
		doubled += max(0, times-1)
		switch {
		case !state.Done():
			w.violated("I4", "%s is %s at the end", id, state)
		case state == workflow.MailAccepted && times == 0:
			w.violated("I4", "%s is accepted, and the mail server never took it", id)
		case state == workflow.MailAccepted && w.outcome(claim, id) != workflow.Accepted:
			w.violated("I7", "%s is accepted, and its last claim %d says %s", id, claim, w.outcome(claim, id))
		case times > 1 && doubts == 0:
			w.violated("I5", "%s went out %d times and was never in doubt", id, times)
		case times > 0 && state != workflow.MailAccepted && doubts == 0:
			w.violated("I5", "%s went out, is %s and was never in doubt", id, state)
		}
	}
	must(rows.Err())
	if doubled > w.faults*poolSize {
		w.violated("I5", "%d mails were doubled by %d faults, with %d under way at a time", doubled, w.faults, poolSize)
	}
	for id := range w.post.accepted {
		if !known[id] {
			w.violated("I4", "%s went out, and nobody owed it", id)
		}
	}
}

// judgeDocuments checks that what follows from a document stands on the log.
func (w *world) judgeDocuments(store *db.Store) {
	documents, err := store.Documents(context.Background(), db.Filter{Limit: 1000})
	must(err)
	holders := make(map[string]workflow.SID)
	for _, d := range documents {
		w.judgeHeld(d, holders)
		w.judgeLetter(store, d)
		prefix := workflow.SubjectPrefix + string(d.AccountSID) + "." + string(d.SID) + "."
		if d.Status != workflow.Opened || d.Round > 1 {
			w.stands(fmt.Sprintf("%sbecame.%s.%d", prefix, d.Status, d.Round))
		}
		for _, o := range d.Orders {
			if d.Status == workflow.Signed {
				w.stands(prefix + "order." + string(o.SID) + ".register")
			}
		}
	}
	w.judgeOrders(store, documents)
}

// judgeHeld checks by the documents themselves that an order, and the number of
// one that has not failed, is on one live document.
func (w *world) judgeHeld(d workflow.Document, holders map[string]workflow.SID) {
	if d.Status == workflow.Canceled || d.Status == workflow.Failed {
		return
	}
	for _, o := range d.Orders {
		for _, key := range []string{string(o.SID), o.PhoneNumber} {
			number := key != string(o.SID)
			if key == "" || number && (o.Status == workflow.OrderFailed || d.LetterStale) {
				continue
			}
			if other := holders[key]; other != "" && other != d.SID {
				w.violated("I11", "%s is on %s and on %s", key, other, d.SID)
			}
			holders[key] = d.SID
		}
	}
}

func (w *world) stands(subject string) {
	if !slices.ContainsFunc(w.stream.entries, func(e entry) bool { return e.Subject == subject && e.Source == workflow.Source }) {
		w.violated("I6", "%s does not stand on the log", subject)
	}
}

// judgeTimers checks what came of timers by the entries that say so: none was
// early and counted, and no reminder came after the end or without its entry.
func (w *world) judgeTimers(database *sql.DB) {
	type mail struct {
		id    workflow.MailID
		owed  uint64
		round int
	}
	var reminders []mail
	rows, err := database.QueryContext(context.Background(), "SELECT id, cause_seq FROM mails WHERE kind = 'reminder' ORDER BY id")
	must(err)
	defer rows.Close()
	for rows.Next() {
		var m mail
		must(rows.Scan(&m.id, &m.owed))
		m.round = m.id.Round()
		reminders = append(reminders, m)
	}
	must(rows.Err())
	for _, m := range reminders {
		e := w.stream.entries[m.owed-1]
		b, ok := e.Body.(workflow.TimerDue)
		switch {
		case !ok || e.Document != m.id.Document() || b.Round != m.round || !strings.HasPrefix(b.Timer, "reminder-"):
			w.violated("I10", "%s is owed because of entry %d, %s", m.id, m.owed, e.Subject)
		case e.Time.Before(b.DueAt):
			w.violated("I10", "%s is owed because of entry %d, which was %s early", m.id, m.owed, b.DueAt.Sub(e.Time))
		}
	}
	var running int
	must(database.QueryRowContext(context.Background(), "SELECT count(*) FROM timers").Scan(&running))
	if running > 0 {
		w.violated("I10", "%d timers run at the end", running)
	}
}

// judgeExpiries checks each document that ended because nobody signed in time.
func (w *world) judgeExpiries(store *db.Store) {
	documents, err := store.Documents(context.Background(), db.Filter{Limit: 1000})
	must(err)
	for _, d := range documents {
		due := 0
		for _, e := range w.stream.entries {
			b, ok := e.Body.(workflow.TimerDue)
			if ok && e.Document == d.SID && b.Round == d.Round && strings.HasPrefix(b.Timer, "expiry") && !e.Time.Before(b.DueAt) {
				due++
			}
		}
		switch late := d.ExpiresAt != nil && d.Status == workflow.Failed && d.EndedBy == workflow.EndedExpired; {
		case late && (due != 1 || d.DateUpdated.Before(*d.ExpiresAt)):
			w.violated("I10", "%s expired at %s, and was to at %s, by %d entries", d.SID, d.DateUpdated, d.ExpiresAt, due)
		case !late && d.ExpiresAt != nil && !d.Status.Ended():
			w.violated("I10", "%s is %s at the end, and was to expire at %s", d.SID, d.Status, d.ExpiresAt)
		}
	}
}
