package workflow_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/workflow"
)

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func TestDecide_LifeFromCreatedToRegistered(t *testing.T) {
	d := newDesk(t)
	d.do(created())
	want(t, "status before the mail server's word", string(d.state.Document.Status), "opened")
	d.accept()
	want(t, "status", string(d.state.Document.Status), "signing")
	want(t, "order", string(d.state.Document.Orders[0].Status), "pending-loa")
	d.do(workflow.StatusChanged{Status: workflow.Signed, Evidence: json.RawMessage(`{"name": "A <B>"}`), LetterDigest: "sha256:1"})
	want(t, "order before its register event", string(d.state.Document.Orders[0].Status), "pending-loa")
	d.do(workflow.Register{OrderSID: order1, DocumentSID: document})
	want(t, "order after it", string(d.state.Document.Orders[0].Status), "carrier-processing")
	d.do(workflow.OrderStatusChanged{Order: order1, Status: workflow.OrderCompleted, PhoneNumber: "+14155550100"})
	want(t, "order at the end", string(d.state.Document.Orders[0].Status), "completed")
	d.accept()
	want(t, "mails", d.mails(), "signature accepted signer@, sent accepted a@, sent accepted b@, signed accepted signer@, signed accepted a@, signed accepted b@")
	want(t, "events", d.owed(), "became.opened.1, became.signing.1, order."+string(order1)+".register, order."+string(order2)+".register, became.signed.1")
	want(t, "evidence", string(d.state.Document.Evidence), `{"name":"A \u003cB\u003e"}`)
}

// TestDecide_DeferredEmailDelaysItsRecipientOnly defers the notice to one cc: what
// the others get is pending, and what that cc gets next waits.
func TestDecide_DeferredEmailDelaysItsRecipientOnly(t *testing.T) {
	d := standing(t, workflow.Opened)
	d.do(workflow.StatusChanged{Status: workflow.Signing})
	want(t, "before the signature email is accepted", d.mails(), "signature pending signer@")
	d.settle(workflow.MailOutcome{Outcome: workflow.Accepted})
	want(t, "after it", d.mails(), "signature accepted signer@, sent pending a@, sent pending b@")
	d.settle(workflow.MailOutcome{Outcome: workflow.Deferred, RetryAfterMs: 60_000})
	want(t, "after a deferral", d.mails(), "signature accepted signer@, sent pending a@, sent pending b@")
	if got, want := d.state.Mails[0].Due, d.now.Add(time.Minute); !got.Equal(want) {
		t.Errorf("deferred mail is due at %s, want %s", got, want)
	}
	d.settleTo("b@", workflow.MailOutcome{Outcome: workflow.Accepted})
	d.do(workflow.StatusChanged{Status: workflow.Signed})
	want(t, "signed", d.mails(), "signature accepted signer@, sent pending a@, sent accepted b@, "+
		"signed pending signer@, signed waiting a@, signed pending b@")
	d.settle(workflow.MailOutcome{Outcome: workflow.Rejected, Reply: "550 no"})
	want(t, "after a rejection", d.mails(), "signature accepted signer@, sent rejected a@, sent accepted b@, "+
		"signed pending signer@, signed pending a@, signed pending b@")
	want(t, "a notice's rejection", string(d.state.Document.Status), "signed")
}

// TestDecide_EmailsToOneRecipientKeepTheirOrder has one person sign and be in cc,
// written in another case, and a resend and a reminder at the same time.
func TestDecide_EmailsToOneRecipientKeepTheirOrder(t *testing.T) {
	d := newDesk(t)
	c := created()
	c.CCEmails = []string{"SIGNER@example.com", "a@example.com"}
	d.do(c)
	d.settle(workflow.MailOutcome{Outcome: workflow.Accepted})
	d.do(workflow.Resend{})
	d.do(workflow.TimerDue{Timer: "reminder-1", Round: 1})
	want(t, "out", d.mails(), "signature accepted signer@, sent pending SIGNER@, sent pending a@, signature waiting signer@, reminder waiting signer@")
	d.settle(workflow.MailOutcome{Outcome: workflow.Accepted})
	want(t, "the next one", d.mails(), "signature accepted signer@, sent accepted SIGNER@, sent pending a@, signature pending signer@, reminder waiting signer@")
	d.do(workflow.Claimed{Worker: "w", Mails: []workflow.MailID{d.state.Mails[1].ID}})
	claim, second := d.seq, d.state.Mails[1].ID
	d.do(workflow.StatusChanged{Status: workflow.Signed})
	want(t, "signed while the link is in flight", d.mails(), "signature accepted signer@, sent accepted SIGNER@, sent pending a@, "+
		"signature claimed signer@, reminder withdrawn signer@, signed waiting signer@, signed waiting a@")
	d.do(workflow.Settled{Claim: claim, Outcomes: []workflow.MailOutcome{{Mail: second, Outcome: workflow.Deferred, RetryAfterMs: 1000}}})
	want(t, "the link is not sent again", d.mails(), "signature accepted signer@, sent accepted SIGNER@, sent pending a@, "+
		"signature withdrawn signer@, reminder withdrawn signer@, signed pending signer@, signed waiting a@")
}

// TestDecide_OneEntrySettlesSeveralEmailsOfADocument claims and settles emails of a
// document together.
func TestDecide_OneEntrySettlesSeveralEmailsOfADocument(t *testing.T) {
	d := standing(t, workflow.Signed)
	var claim workflow.Claimed
	var outcomes []workflow.MailOutcome
	for i, m := range d.state.Mails {
		claim.Mails = append(claim.Mails, m.ID)
		outcomes = append(outcomes, workflow.MailOutcome{
			Mail: m.ID, Outcome: []workflow.Outcome{workflow.Accepted, workflow.Deferred, workflow.Unknown}[i], RetryAfterMs: 1000,
		})
	}
	d.do(claim)
	d.do(workflow.Settled{Claim: d.seq, Outcomes: outcomes})
	want(t, "mails", d.mails(), "signature accepted signer@, sent accepted a@, sent accepted b@, "+
		"signed accepted signer@, signed pending a@, signed pending b@")
	want(t, "doubts", fmt.Sprint(d.state.Mails[0].Doubts, d.state.Mails[1].Doubts), "0 1")
}

func TestDecide_AddressGetsOneEmailOfAKind(t *testing.T) {
	d := newDesk(t)
	c := created()
	c.CCEmails = []string{"A@example.com", "Signer@example.com", "a@example.com"}
	d.do(c)
	d.accept()
	d.do(workflow.StatusChanged{Status: workflow.Signed})
	d.accept()
	want(t, "mails", d.mails(), "signature accepted signer@, sent accepted A@, sent accepted Signer@, signed accepted signer@, signed accepted A@")
}

func TestDecide_RejectedSignatureEmailEndsTheDocument(t *testing.T) {
	d := newDesk(t)
	d.do(created())
	d.settle(workflow.MailOutcome{Outcome: workflow.Rejected, Code: 550, Reply: "550 5.1.1 no such user"})
	want(t, "status", string(d.state.Document.Status), "failed")
	want(t, "reason", d.state.Document.Reason, "the signature mail was rejected: 550 5.1.1 no such user")
	want(t, "events", d.owed(), "became.opened.1, became.failed.1")
}

func TestDecide_RecallEndsTheLinkAndBeginsARound(t *testing.T) {
	d := standing(t, workflow.Signing)
	d.do(workflow.StatusChanged{Status: workflow.Opened})
	want(t, "order", string(d.state.Document.Orders[0].Status), "received")
	d.do(workflow.Updated{Email: new("right@example.com")})
	d.do(workflow.StatusChanged{Status: workflow.Signing})
	d.accept()
	d.do(workflow.StatusChanged{Status: workflow.Signed})
	want(t, "events", d.owed(), "became.opened.1, became.signing.1, became.opened.2, became.signing.2, order."+
		string(order1)+".register, order."+string(order2)+".register, became.signed.2")
	want(t, "mails", d.mails(), "signature accepted signer@, sent accepted a@, sent accepted b@, signature accepted right@, "+
		"sent accepted a@, sent accepted b@, signed pending right@, signed pending a@, signed pending b@")
}

func TestDecide_EditOfWhatIsBeingSentBeginsARound(t *testing.T) {
	d := newDesk(t)
	d.do(created())
	first := d.state.Mails[0].ID
	d.do(workflow.Claimed{Worker: "w", Mails: []workflow.MailID{first}})
	claim := d.seq
	d.do(workflow.Updated{Email: new("right@example.com")})
	want(t, "mails while the first is in flight", d.mails(), "signature claimed signer@, signature pending right@")
	d.do(workflow.Settled{Claim: claim, Outcomes: []workflow.MailOutcome{{Mail: first, Outcome: workflow.Accepted}}})
	want(t, "status: the first round's acceptance says nothing of the second", string(d.state.Document.Status), "opened")
	want(t, "mails", d.mails(), "signature accepted signer@, signature pending right@")
	d.accept()
	want(t, "events", d.owed(), "became.opened.1, became.opened.2, became.signing.2")
}

func TestDecide_OpenedHoldsADocumentThatIsBeingSent(t *testing.T) {
	d := newDesk(t)
	d.do(created())
	d.do(workflow.StatusChanged{Status: workflow.Opened})
	want(t, "mails", d.mails(), "signature withdrawn signer@")
	if !d.state.Document.Hold {
		t.Error("the document is not held")
	}
	d.do(workflow.StatusChanged{Status: workflow.Opened})
	want(t, "asked again", string(d.last.Verdicts[0].Result), "unchanged")
	d.do(workflow.StatusChanged{Status: workflow.Signing})
	d.accept()
	want(t, "status", string(d.state.Document.Status), "signing")
}

func TestDecide_EventBeforeItsCauseIsParked(t *testing.T) {
	d := newDesk(t)
	d.do(workflow.OrderStatusChanged{Order: order1, Status: workflow.OrderVerified})
	d.do(workflow.StatusChanged{Status: workflow.Signed, Reason: "early"})
	early := d.now
	want(t, "parked", fmt.Sprint(len(d.state.Parked)), "2")
	d.do(created())
	want(t, "still parked until the mail is accepted", fmt.Sprint(len(d.state.Parked)), "1")
	want(t, "order", string(d.state.Document.Orders[0].Status), "verified")
	d.settle(workflow.MailOutcome{Outcome: workflow.Accepted})
	want(t, "status", string(d.state.Document.Status), "signed")
	if got := d.state.Document.DateSigned; got == nil || !got.Equal(early) {
		t.Errorf("signed at %v, want the time of the event, %v", got, early)
	}
	want(t, "verdicts", results(d.last), "applied, applied")
	want(t, "events", d.owed(), "due.parked-1.1, due.parked-2.1, became.opened.1, became.signing.1, order."+
		string(order1)+".register, order."+string(order2)+".register, became.signed.1")
	want(t, "timers taken back", fmt.Sprint(len(d.last.Dropped)), "1")
}

func TestDecide_ParkingEndsByTheLogsClock(t *testing.T) {
	d := newDesk(t)
	d.do(workflow.StatusChanged{Status: workflow.Signed})
	timer := d.events[0].Body.(workflow.TimerDue)
	if want := d.now.Add(24 * time.Hour); !timer.DueAt.Equal(want) {
		t.Errorf("due at %s, want %s", timer.DueAt, want)
	}
	d.do(timer)
	want(t, "a timer before its time is owed again", d.owed(), "due.parked-1.1, due.parked-1.2")
	if want := timer.DueAt.Add(timer.DueAt.Sub(d.events[1].At) + time.Second); !d.events[1].Due.Equal(want) {
		t.Errorf("owed again at %s, want %s: as much later as it was early, and a second", d.events[1].Due, want)
	}
	d.now = d.now.Add(24 * time.Hour)
	d.do(timer)
	want(t, "events", d.owed(), "due.parked-1.1, due.parked-1.2, refused.1")
	want(t, "verdicts", results(d.last), "dead_letter, applied")
	want(t, "code", string(d.events[2].Body.(workflow.Refused).Code), "parked_too_long")
	d.do(created())
	d.accept()
	want(t, "status", string(d.state.Document.Status), "signing")
}

// TestDecide_ParkingTimerOfAClockDaysAhead fills the log with few events.
func TestDecide_ParkingTimerOfAClockDaysAhead(t *testing.T) {
	d := newDesk(t)
	d.do(workflow.StatusChanged{Status: workflow.Signed})
	until := d.events[0].Due
	for tries := 0; len(d.state.Parked) > 0; tries++ {
		next := d.events[len(d.events)-1]
		if ahead := d.now.AddDate(0, 0, 5); next.Due.After(ahead) { // the clock that sets it off
			d.now = d.now.Add(next.Due.Sub(ahead))
		}
		d.do(next.Body)
		if tries > 10 {
			t.Fatalf("after %d events the timer is due at %s still", tries, next.Due)
		}
	}
	if d.now.Before(until) {
		t.Errorf("a dead letter at %s, before %s", d.now, until)
	}
}

func results(d workflow.Decision) string {
	var out []string
	for _, v := range d.Verdicts {
		out = append(out, string(v.Result))
	}
	return strings.Join(out, ", ")
}

func TestDecide_OrderIsOnOneLiveDocument(t *testing.T) {
	d := newDesk(t)
	c := created()
	c.Hold, c.Locale, c.Subscriber = true, "es-MX", "Bayview Law"
	c.ServiceAddress = workflow.ServiceAddress{Street: "1 Market Street", City: "Oakland", Region: "CA", PostalCode: "94607", Country: "US"}
	c.HostedNumberOrders = []workflow.OrderRef{{SID: order1, PhoneNumber: "+14155550100", CurrentCarrier: "Pacific Voice"}}
	d.do(c)
	doc := &d.state.Document
	want(t, "whose they are", fmt.Sprint(doc.Locale, ", ", doc.Subscriber, ", ", strings.Join(doc.ServiceAddress.Lines(), " / ")),
		"es-MX, Bayview Law, 1 Market Street / Oakland, CA 94607 / US")
	want(t, "carrier", doc.Orders[0].CurrentCarrier, "Pacific Voice")
	d.do(workflow.Updated{HostedNumberOrderSIDs: &[]workflow.SID{order1, order2}})
	want(t, "carrier of an order that is listed again", doc.Orders[0].CurrentCarrier, "Pacific Voice")
	d.do(workflow.Updated{HostedNumberOrders: &[]workflow.OrderRef{{SID: order1, CurrentCarrier: "Bay Telephone"}}})
	want(t, "carrier and number", doc.Orders[0].CurrentCarrier+" "+doc.Orders[0].PhoneNumber, "Bay Telephone +14155550100")
	d.do(workflow.Updated{Locale: new(""), Subscriber: new("Bayview Law LLP"), ServiceAddress: &workflow.ServiceAddress{City: "Reno", PostalCode: "89501"}})
	want(t, "after an update", fmt.Sprintf("%q, %s, %v", doc.Locale, doc.Subscriber, doc.ServiceAddress.Lines()), `"", Bayview Law LLP, [Reno, 89501]`)
	for _, u := range []workflow.Updated{{Subscriber: new("Bayview Law LLP")}, {Locale: new("")}, {ServiceAddress: new(doc.ServiceAddress)}} {
		if out := d.do(u); !out.Unchanged {
			t.Errorf("%+v changes something", u)
		}
	}
}

func TestDecide_Refusals(t *testing.T) {
	other := workflow.SID("PXbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
	for _, tt := range []struct {
		name  string
		from  workflow.Status
		event workflow.Body
		code  workflow.Code
		says  string
	}{
		{"created twice", workflow.Signing, created(), workflow.CodeExists, "was created before"},
		{"edited while out", workflow.Signing, workflow.Updated{Email: new("x@example.com")}, workflow.CodeImmutable, "ask for status opened first"},
		{"edited at the end", workflow.Signed, workflow.Updated{Email: new("x@example.com")}, workflow.CodeImmutable, "is signed and cannot be changed"},
		{"no way back", workflow.Canceled, workflow.StatusChanged{Status: workflow.Signed}, workflow.CodeStatus, "is canceled and cannot become signed"},
		{"a stranger's order", workflow.Signing, workflow.OrderStatusChanged{Order: "HR99", Status: workflow.OrderFailed}, workflow.CodeOrderUnknown, "HR99 is not on document"},
		{"a released order", workflow.Failed, workflow.OrderStatusChanged{Order: order1, Status: workflow.OrderFailed}, workflow.CodeOrderUnknown, "has released its orders"},
		{"an order of another", workflow.Unseen, created(), workflow.CodeOrderTaken, string(other)},
		{"edited to an order of another", workflow.Opened, workflow.Updated{HostedNumberOrderSIDs: &[]workflow.SID{order2}}, workflow.CodeOrderTaken, string(other)},
		{"edited to another's number", workflow.Opened, workflow.Updated{HostedNumberOrders: &[]workflow.OrderRef{{SID: "HR77", PhoneNumber: "+14155550199"}}}, workflow.CodeNumberTaken, "the telephone number of order HR77 is on document " + string(other)},
		{"a report of another's number", workflow.Signed, workflow.OrderStatusChanged{Order: order1, Status: workflow.OrderCompleted, PhoneNumber: "+14155550199"}, workflow.CodeNumberTaken, string(other)},
		{"what cannot be read", workflow.Opened, workflow.Invalid{Problem: workflow.Problem{Code: workflow.CodeInvalid, Message: "data.email: no"}}, workflow.CodeInvalid, "data.email: no"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := standing(t, tt.from)
			d.holders[string(order2)] = workflow.Holder{Document: other, Account: account}
			d.holders["+14155550199"] = workflow.Holder{Document: other, Account: account}
			before := d.state
			d.do(tt.event)
			v := d.last.Verdicts[0]
			if v.Problem == nil || v.Problem.Code != tt.code || !strings.Contains(v.Problem.Message, tt.says) {
				t.Fatalf("verdict %s, problem %+v", v.Result, v.Problem)
			}
			if diff := cmp.Diff(before.Document, d.state.Document); tt.from != workflow.Unseen && diff != "" {
				t.Errorf("a refused event changed the document:\n%s", diff)
			}
			want(t, "owed", d.last.Pending[0].What, fmt.Sprint("refused.", d.seq))
			if len(d.last.Pending) != 1 {
				t.Errorf("owed %d events, want the refusal alone", len(d.last.Pending))
			}
		})
	}
}

// TestDecide_OtherAccountsDocumentIsNotNamed: who holds an order or a number of
// another account learns nothing about that account.
func TestDecide_OtherAccountsDocumentIsNotNamed(t *testing.T) {
	other := workflow.Holder{Document: "PXbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", Account: "ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}
	for _, key := range []string{string(order1), "+14155550199"} {
		d := newDesk(t)
		d.holders[key] = other
		d.do(workflow.Created{Email: "signer@example.com", HostedNumberOrders: []workflow.OrderRef{{SID: order1, PhoneNumber: "+14155550199"}}})
		v := d.last.Verdicts[0]
		p := v.Problem
		if p == nil || p.Document != "" || v.Holder != other.Document || p.Order != order1 || strings.Contains(p.Message, string(other.Document)) {
			t.Errorf("%s on another account's document: %+v", key, p)
		}
	}
}

func TestHeldKeys_NumberIsFreeForNewLetter(t *testing.T) {
	doc := workflow.Document{Status: workflow.Signed, Orders: []workflow.Order{
		{SID: "HR1", PhoneNumber: "+14155550101", Status: workflow.OrderCarrierProcessing},
		{SID: "HR2", PhoneNumber: "+14155550102", Status: workflow.OrderFailed},
		{SID: "HR3", PhoneNumber: "+14155550103", Status: workflow.OrderCompleted},
		{SID: "HR4", PhoneNumber: "+14155550103", Status: workflow.OrderReceived},
		{SID: "HR5"},
	}}
	want(t, "signed", fmt.Sprint(workflow.HeldKeys(doc)), "[HR1 +14155550101 HR2 HR3 +14155550103 HR4 HR5]")
	doc.LetterStale = true
	want(t, "too old", fmt.Sprint(workflow.HeldKeys(doc)), "[HR1 HR2 HR3 +14155550103 HR4 HR5]")
	doc.Status = workflow.Canceled
	want(t, "canceled", fmt.Sprint(workflow.HeldKeys(doc)), "[]")
}

func TestDecide_OtherAccountsEventIsRefused(t *testing.T) {
	d := standing(t, workflow.Signing)
	stranger := workflow.SID("ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
	d.from(stranger, workflow.StatusChanged{Status: workflow.Signed})
	want(t, "code", string(d.last.Verdicts[0].Problem.Code), "wrong_account")
	want(t, "told to", string(d.last.Pending[0].Account), string(stranger))
	want(t, "status", string(d.state.Document.Status), "signing")
	if len(d.last.Notes) != 0 {
		t.Error("a stranger's event is in the document's history")
	}
}

// TestDecide_RefusalIsNotRefused: the refused event of another account's event stands
// under that account. If it were refused in turn, the refusals would never end.
func TestDecide_RefusalIsNotRefused(t *testing.T) {
	d := standing(t, workflow.Opened)
	got := workflow.Decide(d.state, workflow.Entry{
		Sequence: 100, Time: d.now, Account: "ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", Document: document, ID: "refused.99", Source: workflow.Source,
		Body: workflow.Refused{Sequence: 99, Problem: workflow.Problem{Code: workflow.CodeAccount}},
	}, workflow.Facts{})
	want(t, "results", results(got), "unchanged")
	if len(got.Pending) > 0 {
		t.Errorf("it owes %v", got.Pending)
	}
}

func TestDecide_OutcomeCountsForTheLastClaim(t *testing.T) {
	d := newDesk(t)
	d.do(created())
	id := d.state.Mails[0].ID
	d.do(workflow.Claimed{Worker: "slow", Mails: []workflow.MailID{id}})
	slow := d.seq
	d.do(workflow.Claimed{Worker: "next", Mails: []workflow.MailID{id}})
	next := d.seq
	want(t, "doubts", fmt.Sprint(d.state.Mails[0].Doubts), "1")
	d.do(workflow.Settled{Claim: slow, Outcomes: []workflow.MailOutcome{{Mail: id, Outcome: workflow.Rejected}}})
	want(t, "after the slow one's word", d.mails(), "signature claimed signer@")
	d.do(workflow.Settled{Claim: next, Outcomes: []workflow.MailOutcome{{Mail: id, Outcome: workflow.Unknown, RetryAfterMs: 1000}}})
	want(t, "in doubt", d.mails(), "signature pending signer@")
	want(t, "doubts", fmt.Sprint(d.state.Mails[0].Doubts), "2")
	d.settle(workflow.MailOutcome{Outcome: workflow.Released})
	want(t, "a mail handed back unbegun is no attempt", fmt.Sprint(d.state.Mails[0].Attempts), "2")
	d.settle(workflow.MailOutcome{Outcome: workflow.Held})
	want(t, "held", d.mails(), "signature held signer@")
	d.do(workflow.StatusChanged{Status: workflow.Opened})
	d.do(workflow.StatusChanged{Status: workflow.Signing})
	d.accept()
	want(t, "an operator can send it anew", string(d.state.Document.Status), "signing")
}

func TestDecide_Timers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		from  workflow.Status
		timer workflow.TimerDue
		want  string
	}{
		{"a reminder is owed to the signer", workflow.Signing, workflow.TimerDue{Timer: "reminder-1", Round: 1}, "applied signing PX….1.reminder.1"},
		{"none once signed", workflow.Signed, workflow.TimerDue{Timer: "reminder-1", Round: 1}, "unchanged signed"},
		{"nor for an earlier round", workflow.Signing, workflow.TimerDue{Timer: "reminder-1", Round: 0}, "unchanged signing"},
		{"expiry ends it", workflow.Signing, workflow.TimerDue{Timer: "expiry", Round: 1}, "applied failed"},
		{"even unsent", workflow.Opened, workflow.TimerDue{Timer: "expiry", Round: 1}, "applied failed"},
		{"but not what has ended", workflow.Canceled, workflow.TimerDue{Timer: "expiry", Round: 1}, "unchanged canceled"},
		{"an old letter is flagged", workflow.Signed, workflow.TimerDue{Timer: "freshness", Round: 1}, "applied signed stale"},
		{"an unknown timer says nothing", workflow.Signing, workflow.TimerDue{Timer: "tea", Round: 1}, "unchanged signing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := standing(t, tt.from)
			d.do(tt.timer)
			got := fmt.Sprintf("%s %s", d.last.Verdicts[0].Result, d.state.Document.Status)
			for _, m := range d.last.Mails {
				got += " " + strings.Replace(string(m.ID), string(document), "PX…", 1)
			}
			if d.state.Document.LetterStale {
				got += " stale"
			}
			want(t, "answer", got, tt.want)
		})
	}
}

// TestDecide_RefusalOfOtherAccountsEventIsFinal: what Countersign says of it
// stands on the other account's subjects, and is not refused in its turn.
func TestDecide_RefusalOfOtherAccountsEventIsFinal(t *testing.T) {
	const other = workflow.SID("ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
	d := newDesk(t)
	d.from(other, workflow.StatusChanged{Status: workflow.Signed}) // parked, there is no document yet
	parked := d.events[0].Body
	d.do(created())
	d.accept()
	d.from(other, workflow.StatusChanged{Status: workflow.Canceled})
	refused := d.last.Pending
	if len(refused) != 1 || refused[0].Account != other || d.last.Verdicts[0].Problem.Code != workflow.CodeAccount {
		t.Fatalf("another account's event: %+v", d.last)
	}
	for _, b := range []workflow.Body{refused[0].Body, workflow.Discarded{Sequence: 2, Reason: "x"}, parked} {
		d.from(other, b)
		if len(d.last.Pending) > 0 || d.last.Verdicts[0].Problem != nil {
			t.Errorf("%s: %+v", b.Type(), d.last)
		}
	}
}

// TestDecide_SignatureIsForTheRoundThatWasSeen has a letter signed and declined whose
// document was recalled and sent again meanwhile: neither counts for the new
// round, and neither waits for it.
func TestDecide_SignatureIsForTheRoundThatWasSeen(t *testing.T) {
	for _, status := range []workflow.Status{workflow.Signed, workflow.Canceled} {
		d := standing(t, workflow.Signing)
		d.do(workflow.StatusChanged{Status: workflow.Opened})
		old := d.do(workflow.StatusChanged{Status: status, Round: 1})
		want(t, "for the old round", results(old), "refused")
		d.do(workflow.StatusChanged{Status: workflow.Signing})
		d.accept()
		want(t, "the new round", string(d.state.Document.Status), "signing")
		d.do(workflow.StatusChanged{Status: status, Round: 2})
		want(t, "for the new round", string(d.state.Document.Status), string(status))
	}
}
