package workflow_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"countersign/workflow"
)

// TestDecide_AnyOrderOfALifeEndsAlike publishes a document's events in every order:
// what comes too early is parked, and the end is the same.
func TestDecide_AnyOrderOfALifeEndsAlike(t *testing.T) {
	life := []workflow.Body{
		created(),
		workflow.StatusChanged{Status: workflow.Signed, Reason: "x"},
		workflow.OrderStatusChanged{Order: order1, Status: workflow.OrderCompleted},
		workflow.StatusChanged{Status: workflow.Signing},
	}
	n := 0
	permute(life, func(events []workflow.Body) {
		n++
		d := newDesk(t)
		for _, b := range events {
			d.do(b)
		}
		d.accept()
		name := fmt.Sprintf("%T", events)
		want(t, name+" status", string(d.state.Document.Status), "signed")
		want(t, name+" parked", fmt.Sprint(len(d.state.Parked)), "0")
		want(t, name+" order", string(d.state.Document.Orders[0].Status), "completed")
		want(t, name+" mails", fmt.Sprint(len(d.order)), "6")
	})
	if n != 24 {
		t.Errorf("tried %d orders, want 24", n)
	}
}

func permute(list []workflow.Body, f func([]workflow.Body)) {
	var rec func(int)
	rec = func(k int) {
		if k == len(list) {
			f(append([]workflow.Body(nil), list...))
			return
		}
		for i := k; i < len(list); i++ {
			list[k], list[i] = list[i], list[k]
			rec(k + 1)
			list[k], list[i] = list[i], list[k]
		}
	}
	rec(0)
}

// TestDecide_RandomEventsKeepTheInvariants throws random events at one document and
// checks after each what must always hold.
func TestDecide_RandomEventsKeepTheInvariants(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		d := newDesk(t)
		if seed%2 == 0 {
			d.facts.Timers = workflow.Timers{
				RemindAfter: rng.Int64N(300), RemindEvery: rng.Int64N(200), RemindMost: rng.IntN(4),
				ExpireAfter: rng.Int64N(2000), FreshFor: rng.Int64N(1000),
			}
			d.facts.NotifyCC = workflow.Notices
			d.facts.MailLimits = workflow.MailLimits{Interval: rng.Int64N(120), PerDay: rng.IntN(6)}
		}
		owed := map[string]bool{}
		ended := workflow.Document{}
		for range 40 {
			events := len(d.events)
			d.do(anything(rng, d))
			for _, o := range d.events[events:] {
				if owed[o.Subject()] {
					t.Fatalf("seed %d: %s is owed twice", seed, o.What)
				}
				owed[o.Subject()] = true
			}
			check(t, seed, d, &ended)
		}
	}
}

func check(t *testing.T, seed uint64, d *desk, ended *workflow.Document) {
	t.Helper()
	doc := d.state.Document
	checkOrder(t, seed, d)
	if doc.Status == workflow.Signing && !accepted(d, doc.Round) {
		t.Fatalf("seed %d: signing, and no signature mail of round %d was accepted: %s", seed, doc.Round, d.mails())
	}
	checkTimers(t, seed, d)
	checkLimits(t, d)
	if ended.Status != workflow.Unseen && ended.Status != doc.Status {
		t.Fatalf("seed %d: a document that was %s is %s", seed, ended.Status, doc.Status)
	}
	if doc.Status.Ended() {
		*ended = doc
	}
	if doc.Status == workflow.Unseen && (len(d.order) > 0) {
		t.Fatalf("seed %d: mails of a document that was not created", seed)
	}
	if d.seq%40 != 0 {
		return
	}
	again := workflow.Decide(d.state, workflow.Entry{
		Sequence: d.seq + 1, Time: d.now, Account: account, Document: document, Body: workflow.Became{},
	}, workflow.Facts{})
	if diff := cmp.Diff(d.state, again.State, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("seed %d: an event that says nothing changed the state:\n%s", seed, diff)
	}
}

// checkOrder: the oldest unfinished email to each recipient is pending or claimed,
// and the others to the same recipient wait.
func checkOrder(t *testing.T, seed uint64, d *desk) {
	t.Helper()
	older := map[string]bool{}
	for i, m := range d.state.Mails {
		to := strings.ToLower(m.Recipient)
		if m.State.Done() {
			t.Fatalf("seed %d: settled mail %s is among the pending", seed, m.ID)
		}
		if waits := m.State == workflow.MailWaiting; waits != older[to] {
			t.Fatalf("seed %d: mail %d of %d is %s: %s", seed, i, len(d.state.Mails), m.State, d.mails())
		}
		older[to] = true
	}
}

// checkTimers: a document that is out has the timers of its round, one that is
// signed none but the freshness, any other none; and the event of each is owed.
func checkTimers(t *testing.T, seed uint64, d *desk) {
	t.Helper()
	doc, kinds := d.state.Document, map[workflow.TimerKind]bool{}
	for _, timer := range d.state.Timers {
		out := doc.Status == workflow.Signing && timer.Kind != workflow.TimerFreshness
		signed := doc.Status == workflow.Signed && timer.Kind == workflow.TimerFreshness
		if !out && !signed || kinds[timer.Kind] {
			t.Fatalf("seed %d: %s runs for a document that is %s: %v", seed, timer.Name(), doc.Status, d.state.Timers)
		}
		kinds[timer.Kind] = true
		if what := fmt.Sprintf("due.%s.%d", timer.Name(), doc.Round); !strings.Contains(d.owed()+",", what+",") {
			t.Fatalf("seed %d: %s is not owed: %s", seed, what, d.owed())
		}
	}
	if expires := doc.ExpiresAt != nil; doc.Status == workflow.Signing && expires != kinds[workflow.TimerExpiry] {
		t.Fatalf("seed %d: a document that expires at %v has the timers %v", seed, doc.ExpiresAt, d.state.Timers)
	}
}

func accepted(d *desk, round int) bool {
	for _, m := range d.sent {
		if m.Kind == workflow.MailSignature && m.Round == round && m.State == workflow.MailAccepted {
			return true
		}
	}
	return false
}

// anything is a random event, biased to what a document can meet.
func anything(rng *rand.Rand, d *desk) workflow.Body {
	switch rng.IntN(11) {
	case 0:
		c := created()
		c.Hold = rng.IntN(2) == 0
		return c
	case 1:
		return workflow.Updated{Email: new(fmt.Sprintf("s%d@example.com", rng.IntN(3)))}
	case 2, 3:
		s := workflow.Statuses[rng.IntN(len(workflow.Statuses))]
		if s.Ended() && rng.IntN(3) > 0 {
			s = workflow.Opened
		}
		return workflow.StatusChanged{Status: s}
	case 4:
		return workflow.OrderStatusChanged{Order: order1, Status: workflow.OrderStatuses[rng.IntN(10)]}
	case 5:
		if due := timers(d); len(due) > 0 && rng.IntN(2) == 0 {
			return due[len(due)-1]
		}
		return workflow.TimerDue{Timer: []string{fmt.Sprint("reminder-", d.seq), "expiry", "freshness"}[rng.IntN(3)], Round: d.state.Document.Round}
	case 6:
		return workflow.Resend{Round: rng.IntN(2) * d.state.Document.Round}
	}
	if len(d.order) == 0 {
		return created()
	}
	id := d.order[rng.IntN(len(d.order))]
	if rng.IntN(6) == 0 {
		return workflow.Bounced{Mail: id, Action: workflow.Actions[rng.IntN(2)], Status: []string{"5.1.1", "4.2.2"}[rng.IntN(2)]}
	}
	if rng.IntN(2) == 0 {
		return workflow.Claimed{Worker: "w", Mails: []workflow.MailID{id}}
	}
	return workflow.Settled{Worker: "w", Claim: d.sent[id].Claim, Outcomes: []workflow.MailOutcome{
		{Mail: id, Outcome: workflow.Outcomes[rng.IntN(len(workflow.Outcomes))], RetryAfterMs: rng.Int64N(1000)},
	}}
}

// timers lists the timers that were ever owed.
func timers(d *desk) []workflow.TimerDue {
	var out []workflow.TimerDue
	for _, o := range d.events {
		if b, ok := o.Body.(workflow.TimerDue); ok {
			out = append(out, b)
		}
	}
	return out
}

// TestDecide_EventHasOneFinalResultInAnyOrder shuffles the events of a life in which
// many contradict each other. Whatever their order, when the mails are out and
// the limit of parking is over nothing waits, and each event is applied, changes
// nothing, was refused or is a dead letter: one of them, once.
func TestDecide_EventHasOneFinalResultInAnyOrder(t *testing.T) {
	life := []workflow.Body{
		created(), created(),
		workflow.Updated{Email: new("other@example.com")},
		workflow.StatusChanged{Status: workflow.Opened},
		workflow.StatusChanged{Status: workflow.Signing},
		workflow.StatusChanged{Status: workflow.Signed},
		workflow.StatusChanged{Status: workflow.Canceled},
		workflow.OrderStatusChanged{Order: order1, Status: workflow.OrderVerified},
		workflow.OrderStatusChanged{Order: "HR99999999999999999999999999999999", Status: workflow.OrderVerified},
	}
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 2))
		list := append([]workflow.Body(nil), life...)
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		if rng.IntN(4) == 0 {
			list = list[:rng.IntN(len(list))+1]
		}
		d, words := newDesk(t), map[uint64][]workflow.Result{}
		hear := func(b workflow.Body) {
			for _, v := range d.do(b).Verdicts {
				words[v.Entry.Sequence] = append(words[v.Entry.Sequence], v.Result)
			}
		}
		var sent []uint64
		for _, b := range list {
			hear(b)
			sent = append(sent, d.seq)
			for rng.IntN(2) == 0 && len(d.state.Mails) > 0 {
				id := d.state.Mails[0].ID
				hear(workflow.Claimed{Worker: "w", Mails: []workflow.MailID{id}})
				hear(workflow.Settled{Worker: "w", Claim: d.seq, Outcomes: []workflow.MailOutcome{{Mail: id, Outcome: workflow.Accepted}}})
			}
		}
		d.now = d.now.Add(25 * time.Hour)
		for _, timer := range timers(d) {
			hear(timer)
		}
		if len(d.state.Parked) > 0 {
			t.Fatalf("seed %d: %d events wait for ever", seed, len(d.state.Parked))
		}
		for i, seq := range sent {
			said := words[seq]
			if len(said) > 0 && said[0] == workflow.ResultParked {
				said = said[1:]
			}
			if len(said) != 1 || said[0] == workflow.ResultParked {
				t.Fatalf("seed %d: of %+v it was said %v", seed, list[i], words[seq])
			}
		}
	}
}

// TestDecide_AnyInterleavingSendsOneEmailOfAKindToEachRecipient has several emails of a
// document in flight at a time, and their outcomes in any order: deferred, in
// doubt, released, claimed again without an outcome. However they interleave, each
// recipient gets one email of a kind in a round, in order, and no notice goes out
// before the signature email of its round.
func TestDecide_AnyInterleavingSendsOneEmailOfAKindToEachRecipient(t *testing.T) {
	together := 0
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 3))
		d := newDesk(t)
		c := created()
		c.CCEmails = []string{"a@example.com", "b@example.com", "A@EXAMPLE.COM", "Signer@example.com", "c@example.com"}[:2+rng.IntN(4)]
		d.do(c)
		events := []workflow.Body{
			workflow.TimerDue{Timer: "reminder-1", Round: 1},
			workflow.StatusChanged{Status: workflow.Opened},
			workflow.StatusChanged{Status: workflow.Signing},
			workflow.TimerDue{Timer: "reminder-1", Round: 2},
			workflow.StatusChanged{Status: workflow.Signed},
		}[2*rng.IntN(2):]
		var accepted []workflow.Mail
		for step := 0; len(events)+len(d.state.Mails) > 0; step++ {
			if step == 2000 {
				t.Fatalf("seed %d: it never ends: %s", seed, d.mails())
			}
			signing := d.state.Document.Status == workflow.Signing
			if len(events) > 0 && (len(d.state.Mails) == 0 || rng.IntN(6) == 0) && (signing || d.state.Document.Hold) {
				d.do(events[0])
				events = events[1:]
			} else {
				accepted = append(accepted, postman(rng, d)...)
			}
			checkOrder(t, seed, d)
			if n := inFlight(d); n > 1 {
				together++
			}
		}
		checkAccepted(t, seed, d, accepted)
	}
	if together == 0 {
		t.Error("no document had two emails in flight")
	}
}

// postman claims an email, or a few, that may be claimed, or has a claimed one come
// to an outcome. It returns the email if it was accepted.
func postman(rng *rand.Rand, d *desk) []workflow.Mail {
	var may []workflow.MailID
	for _, m := range d.state.Mails {
		if m.State == workflow.MailPending || m.State == workflow.MailClaimed && rng.IntN(10) == 0 {
			may = append(may, m.ID)
		}
	}
	if len(may) > 0 && rng.IntN(2) == 0 {
		rng.Shuffle(len(may), func(i, j int) { may[i], may[j] = may[j], may[i] })
		d.do(workflow.Claimed{Worker: "w", Mails: may[:1+rng.IntN(len(may))]})
		return nil
	}
	if len(d.state.Mails) == 0 {
		return nil
	}
	m := d.state.Mails[rng.IntN(len(d.state.Mails))]
	outcome := []workflow.Outcome{workflow.Accepted, workflow.Accepted, workflow.Deferred, workflow.Unknown, workflow.Released}[rng.IntN(5)]
	d.do(workflow.Settled{Worker: "w", Claim: m.Claim, Outcomes: []workflow.MailOutcome{{Mail: m.ID, Outcome: outcome}}})
	if m = d.sent[m.ID]; m.State == workflow.MailAccepted {
		return []workflow.Mail{m}
	}
	return nil
}

func inFlight(d *desk) (n int) {
	for _, m := range d.state.Mails {
		if m.State == workflow.MailClaimed {
			n++
		}
	}
	return n
}

// checkAccepted checks the emails that were accepted, in that order.
func checkAccepted(t *testing.T, seed uint64, d *desk, accepted []workflow.Mail) {
	t.Helper()
	once, last, asked := map[string]bool{}, map[string]workflow.Mail{}, map[int]bool{}
	for _, m := range accepted {
		to := strings.ToLower(m.Recipient)
		key := fmt.Sprintf("%s %d %s", to, m.Round, m.Kind)
		before, any := last[to]
		switch {
		case once[key]:
			t.Fatalf("seed %d: %s got two: %s", seed, key, d.mails())
		case any && (before.CauseSeq > m.CauseSeq || before.CauseSeq == m.CauseSeq && before.CauseIndex > m.CauseIndex):
			t.Fatalf("seed %d: %s after %s: %s", seed, m.ID, before.ID, d.mails())
		case m.Kind != workflow.MailSignature && !asked[m.Round]:
			t.Fatalf("seed %d: %s before the signature email: %s", seed, m.ID, d.mails())
		}
		once[key], last[to], asked[m.Round] = true, m, asked[m.Round] || m.Kind == workflow.MailSignature
	}
	for _, id := range d.order {
		if m := d.sent[id]; m.State != workflow.MailAccepted && m.Kind != workflow.MailReminder {
			t.Fatalf("seed %d: %s is %s", seed, id, m.State)
		}
	}
	if got := len(once); d.state.Document.Status != workflow.Signed || got < len(recipientsOf(d))*2+1 {
		t.Fatalf("seed %d: %s with %d emails: %s", seed, d.state.Document.Status, got, d.mails())
	}
}

// recipientsOf lists the different addresses in cc.
func recipientsOf(d *desk) map[string]bool {
	set := map[string]bool{}
	for _, cc := range d.state.Document.CCEmails {
		set[strings.ToLower(cc)] = true
	}
	return set
}
