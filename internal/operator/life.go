package main

import (
	"time"

	"countersign/db"
	"countersign/workflow"
)

// lifeJSON is what documents show --json prints.
type lifeJSON struct {
	Document *workflow.Document `json:"document"` // null where it has not been created
	Mails    []mailJSON         `json:"mails"`
	Events   []eventJSON        `json:"events"`
	Parked   []parkedJSON       `json:"parked"`
	Timers   []timerJSON        `json:"timers"` // that run, the soonest first
	Turned   []db.Turned        `json:"turned_down"`
	History  []db.Happening     `json:"history"`
}

type mailJSON struct {
	ID        workflow.MailID    `json:"id"`
	Kind      workflow.MailKind  `json:"kind"`
	Round     int                `json:"round"`
	Recipient string             `json:"recipient"`
	State     workflow.MailState `json:"state"`
	Owed      time.Time          `json:"date_owed"`
	Due       time.Time          `json:"date_due"`
	Settled   *time.Time         `json:"date_settled,omitempty"`
	Attempts  int                `json:"attempts"`
	InDoubt   int                `json:"in_doubt"`
	Code      int                `json:"smtp_code,omitempty"`
	Reply     string             `json:"smtp_reply,omitempty"`
	Reported  []db.Bounce        `json:"reported,omitempty"` // by mail servers since, oldest first
}

type eventJSON struct {
	Subject  string    `json:"subject"`
	Due      time.Time `json:"date_due"`
	Sequence int64     `json:"sequence"` // 0 while owed, -1 where it is not wanted any more
	Cause    uint64    `json:"cause"`
}

type timerJSON struct {
	Timer string    `json:"timer"`
	Due   time.Time `json:"date_due"`
	More  int       `json:"more,omitempty"` // reminders that may follow
}

type parkedJSON struct {
	Sequence uint64    `json:"sequence"`
	Type     string    `json:"type"`
	Source   string    `json:"event_source"`
	ID       string    `json:"event_id"`
	Until    time.Time `json:"date_until"`
}

func jsonLife(l db.Life) lifeJSON {
	out := lifeJSON{
		Document: l.Document, Mails: []mailJSON{}, Events: []eventJSON{}, Parked: []parkedJSON{}, Timers: []timerJSON{},
		Turned: append([]db.Turned{}, l.Turned...), History: append([]db.Happening{}, l.History...),
	}
	reported := map[workflow.MailID][]db.Bounce{}
	for _, b := range l.Bounces {
		reported[b.Mail] = append(reported[b.Mail], b)
	}
	for _, m := range l.Mails {
		j := mailJSON{
			ID: m.ID, Kind: m.Kind, Round: m.Round, Recipient: m.Recipient, State: m.State, Owed: m.OwedAt, Due: m.Due,
			Attempts: m.Attempts, InDoubt: m.Doubts, Code: m.Code, Reply: m.Reply, Reported: reported[m.ID],
		}
		if !m.SettledAt.IsZero() {
			j.Settled = &m.SettledAt
		}
		out.Mails = append(out.Mails, j)
	}
	for i, e := range l.Events {
		out.Events = append(out.Events, eventJSON{e.Subject(), e.Due, l.Settled[i], e.Cause})
	}
	for _, t := range l.Timers {
		out.Timers = append(out.Timers, timerJSON{t.Name(), t.Due, t.More})
	}
	for _, p := range l.Parked {
		e := p.Entry
		out.Parked = append(out.Parked, parkedJSON{e.Sequence, e.Body.Type(), e.Source, e.ID, p.Until})
	}
	return out
}
