package workflow_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/workflow"
)

// machine is the workflow drawn as a table. A row is where a document stands, a
// column is the status that is asked for; created and updated ask for opened.
// Change the machine and this picture together.
const machine = `
          opened   signing  signed   canceled failed
unseen    x        park     park     park     park
opened    edit     send     park     x        x
signing   recall   =        x        x        x
signed    .        .        =        .        .
canceled  .        .        .        =        .
failed    .        .        .        .        =
`

func TestDecide_Machine(t *testing.T) {
	var got strings.Builder
	fmt.Fprintf(&got, "\n%-10s%-9s%-9s%-9s%-9s%s\n", "", "opened", "signing", "signed", "canceled", "failed")
	for _, from := range append([]workflow.Status{workflow.Unseen}, workflow.Statuses...) {
		name := string(from)
		if from == workflow.Unseen {
			name = "unseen"
		}
		line := fmt.Sprintf("%-10s", name)
		for _, to := range workflow.Statuses {
			line += fmt.Sprintf("%-9s", cell(t, from, to))
		}
		got.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	if got.String() != machine {
		t.Errorf("the machine has changed; it now draws as\n%s", got.String())
	}
}

// cell asks a document whose status is from to become to, and names what it did.
func cell(t *testing.T, from, to workflow.Status) string {
	t.Helper()
	d := standing(t, from)
	before := d.state.Document
	switch {
	case from == workflow.Unseen && to == workflow.Opened:
		d.do(created())
	case from == workflow.Opened && to == workflow.Opened:
		d.do(workflow.Updated{Email: new("new@example.com")})
	default:
		d.do(workflow.StatusChanged{Status: to})
	}
	after := d.state.Document
	switch d.last.Verdicts[0].Result {
	case workflow.ResultParked:
		return "park"
	case workflow.ResultRefused:
		return "."
	case workflow.ResultUnchanged:
		return "="
	}
	switch {
	case before.Status == workflow.Signing && after.Status == workflow.Opened && after.Hold && after.Round == before.Round+1:
		return "recall"
	case after.Status == to && before.Status != to:
		return "x"
	case after.Email == "new@example.com":
		return "edit"
	case after.Status == workflow.Opened && strings.Contains(d.mails(), "signature pending"):
		return "send"
	}
	return "?"
}

const (
	account  = workflow.SID("ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	document = workflow.SID("PXaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	order1   = workflow.SID("HR11111111111111111111111111111111")
	order2   = workflow.SID("HR22222222222222222222222222222222")
)

func created() workflow.Created {
	return workflow.Created{
		AddressSID: "AD00000000000000000000000000000000", Email: "signer@example.com",
		CCEmails: []string{"a@example.com", "b@example.com"}, HostedNumberOrderSIDs: []workflow.SID{order1, order2},
	}
}

func held() workflow.Created {
	c := created()
	c.Hold = true
	return c
}

// desk folds events about one document, as a store would.
type desk struct {
	t     *testing.T
	seq   uint64
	now   time.Time
	state workflow.State
	ledger
	last    workflow.Decision
	holders map[string]workflow.Holder
	facts   workflow.Facts // Timers, MailLimits and NotifyCC
}

// ledger is all that was ever owed.
type ledger struct {
	order  []workflow.MailID
	sent   map[workflow.MailID]workflow.Mail
	events []workflow.PendingEvent
}

func newDesk(t *testing.T) *desk {
	return &desk{
		t: t, now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC),
		ledger:  ledger{sent: map[workflow.MailID]workflow.Mail{}},
		holders: map[string]workflow.Holder{},
	}
}

// do folds one event, a minute after the last.
func (d *desk) do(b workflow.Body) workflow.Decision {
	return d.from(account, b)
}

func (d *desk) from(account workflow.SID, b workflow.Body) workflow.Decision {
	d.t.Helper()
	d.seq++
	d.now = d.now.Add(time.Minute)
	e := workflow.Entry{
		Sequence: d.seq, Time: d.now, Account: account, Document: document,
		ID: fmt.Sprint("e", d.seq), Source: "/orders", Body: b,
	}
	switch b.(type) {
	case workflow.Claimed, workflow.Settled:
		e.Account, e.Document = "", ""
	}
	f := workflow.Facts{Settings: d.facts.Settings, Holders: d.holders}
	f.ParkingLimit = 24 * time.Hour
	if b, ok := b.(workflow.Bounced); ok {
		f.Attempted = make(map[workflow.MailID]bool)
		for _, id := range b.Named() {
			f.Attempted[id] = d.sent[id].Attempts > 0
		}
	}
	d.last = workflow.Decide(d.state, e, f)
	d.state = d.last.State
	for _, m := range d.last.Mails {
		if _, known := d.sent[m.ID]; !known {
			d.order = append(d.order, m.ID)
		}
		d.sent[m.ID] = m
	}
	d.events = append(d.events, d.last.Pending...)
	return d.last
}

// settle claims the oldest mail, which must be owed, and settles it.
func (d *desk) settle(o workflow.MailOutcome) {
	d.t.Helper()
	d.settleTo("", o)
}

// settleTo claims the oldest mail to a recipient whose address begins so, which
// must be owed, and settles it.
func (d *desk) settleTo(recipient string, o workflow.MailOutcome) {
	d.t.Helper()
	i := slices.IndexFunc(d.state.Mails, func(m workflow.Mail) bool { return strings.HasPrefix(m.Recipient, recipient) })
	if i < 0 || d.state.Mails[i].State != workflow.MailPending {
		d.t.Fatalf("no mail to %q is owed: %s", recipient, d.mails())
	}
	o.Mail = d.state.Mails[i].ID
	d.do(workflow.Claimed{Worker: "w", Mails: []workflow.MailID{o.Mail}})
	d.do(workflow.Settled{Worker: "w", Claim: d.seq, Outcomes: []workflow.MailOutcome{o}})
}

// accept has the mail server accept mails until none is owed.
func (d *desk) accept() {
	d.t.Helper()
	for len(d.state.Mails) > 0 {
		d.settle(workflow.MailOutcome{Outcome: workflow.Accepted, Code: 250, Reply: "250 ok"})
	}
}

// mails lists all mails ever owed: "signature accepted signer@, sent pending a@".
func (d *desk) mails() string {
	var out []string
	for _, id := range d.order {
		m := d.sent[id]
		out = append(out, fmt.Sprintf("%s %s %s", m.Kind, m.State, strings.TrimSuffix(m.Recipient, "example.com")))
	}
	return strings.Join(out, ", ")
}

// owed lists all events ever owed.
func (d *desk) owed() string {
	var out []string
	for _, o := range d.events {
		out = append(out, o.What)
	}
	return strings.Join(out, ", ")
}

// standing brings a document to a status.
func standing(t *testing.T, s workflow.Status) *desk {
	t.Helper()
	d := newDesk(t)
	switch s {
	case workflow.Unseen:
	case workflow.Opened:
		d.do(held())
	case workflow.Signing:
		d.do(created())
		d.accept()
	case workflow.Signed:
		d = standing(t, workflow.Signing)
		d.do(workflow.StatusChanged{Status: s})
	default:
		d.do(held())
		d.do(workflow.StatusChanged{Status: s})
	}
	if d.state.Document.Status != s {
		t.Fatalf("document stands at %q, want %q", d.state.Document.Status, s)
	}
	return d
}
