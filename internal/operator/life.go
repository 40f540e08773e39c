package operator

import (
	"time"

	"countersign/db"
	"countersign/workflow"
)

// Life is all that is known of a document, as programs read it: documents show
// --json prints it, and archives of evidence have its Mails.
type Life struct {
	Document *workflow.Document `json:"document"` // null if it has not been created
	Mails    []LifeMail         `json:"mails"`
	Events   []LifeEvent        `json:"events"`
	Parked   []LifeParked       `json:"parked"`
	Timers   []LifeTimer        `json:"timers"` // that are running, the soonest first
	Refusals []db.Refusal       `json:"refusals"`
	History  []db.HistoryLine   `json:"history"`
}

// LifeMail is an email about a document.
type LifeMail struct {
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

// LifeEvent is an event that a document caused.
type LifeEvent struct {
	Subject  string        `json:"subject"`
	Due      time.Time     `json:"date_due"`
	State    db.EventState `json:"state"`
	Sequence uint64        `json:"sequence,omitempty"` // left out unless it is on the log
	Cause    uint64        `json:"cause"`
}

// LifeTimer is a timer that is running.
type LifeTimer struct {
	Timer string    `json:"timer"`
	Due   time.Time `json:"date_due"`
	More  int       `json:"more,omitempty"` // reminders that may follow
}

// LifeParked is an event that waits for the one it builds on.
type LifeParked struct {
	Sequence uint64    `json:"sequence"`
	Type     string    `json:"type"`
	Source   string    `json:"event_source"`
	ID       string    `json:"event_id"`
	Until    time.Time `json:"date_until"`
}

// LifeOf returns a document's life as programs read it.
func LifeOf(l db.Life) Life {
	out := Life{
		Document: l.Document, Mails: []LifeMail{}, Events: []LifeEvent{}, Parked: []LifeParked{}, Timers: []LifeTimer{},
		Refusals: append([]db.Refusal{}, l.Refusals...), History: append([]db.HistoryLine{}, l.History...),
	}
	reported := map[workflow.MailID][]db.Bounce{}
	for _, b := range l.Bounces {
		reported[b.Mail] = append(reported[b.Mail], b)
	}
	for _, m := range l.Mails {
		j := LifeMail{
			ID: m.ID, Kind: m.Kind, Round: m.Round, Recipient: m.Recipient, State: m.State, Owed: m.CausedAt, Due: m.Due,
			Attempts: m.Attempts, InDoubt: m.Doubts, Code: m.Code, Reply: m.Reply, Reported: reported[m.ID],
		}
		if !m.DoneAt.IsZero() {
			j.Settled = &m.DoneAt
		}
		out.Mails = append(out.Mails, j)
	}
	for _, e := range l.Events {
		out.Events = append(out.Events, LifeEvent{e.Subject(), e.Due, e.State, e.Sequence, e.Cause})
	}
	for _, t := range l.Timers {
		out.Timers = append(out.Timers, LifeTimer{t.Name(), t.Due, t.More})
	}
	for _, p := range l.Parked {
		e := p.Entry
		out.Parked = append(out.Parked, LifeParked{e.Sequence, e.Body.Type(), e.Source, e.ID, p.Until})
	}
	return out
}
