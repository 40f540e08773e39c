package db_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/db"
	"countersign/workflow"
)

var (
	stream = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	start  = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
)

const account = workflow.SID("ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")

func px(n int) workflow.SID { return workflow.SID(fmt.Sprintf("PX%032x", n)) }
func hr(n int) workflow.SID { return workflow.SID(fmt.Sprintf("HR%032x", n)) }

// open opens a store of the test's own.
func open(t testing.TB, dir string) *db.Store {
	t.Helper()
	s, err := db.Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func apply(t testing.TB, s *db.Store, entries ...workflow.Entry) {
	t.Helper()
	if err := s.Apply(t.Context(), stream, entries); err != nil {
		t.Fatal(err)
	}
}

func dump(t testing.TB, s *db.Store) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.Dump(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// writer writes a log in memory.
type writer struct{ entries []workflow.Entry }

func (w *writer) add(doc workflow.SID, subject string, b workflow.Body) workflow.Entry {
	seq := uint64(len(w.entries) + 1)
	e := workflow.Entry{
		Sequence: seq, Time: start.Add(time.Duration(seq) * 1234567 * time.Nanosecond), Subject: workflow.SubjectPrefix + subject,
		Account: account, Document: doc, ID: fmt.Sprint("e", seq), Source: "/orders", Body: b,
	}
	if doc == "" {
		e.Account = ""
	}
	w.entries = append(w.entries, e)
	return e
}

func (w *writer) created(n int) {
	b := workflow.Created{
		AddressSID: "AD00000000000000000000000000000000", Email: fmt.Sprintf("s%d@example.com", n), CCEmails: []string{"cc@Example.com"},
		HostedNumberOrderSIDs: []workflow.SID{hr(2 * n), hr(2*n + 1)},
	}
	if n%2 == 1 { // whose numbers they are
		b.Locale, b.Subscriber, b.ServiceAddress = "es-MX", fmt.Sprint("Subscriber ", n), workflow.ServiceAddress{City: "Oakland", Country: "US"}
		b.HostedNumberOrders = []workflow.OrderRef{{SID: hr(2 * n), CurrentCarrier: "Pacific Voice"}}
	}
	w.add(px(n), string(account)+"."+string(px(n))+".created", b)
}

func (w *writer) status(n int, s workflow.Status) {
	w.add(px(n), string(account)+"."+string(px(n))+".status", workflow.StatusChanged{Status: s, Reason: "why\x00 not"})
}

// mails claims and settles mails.
func (w *writer) mails(outcome workflow.Outcome, ids ...workflow.MailID) {
	c := w.add("", "_.mail.claimed", workflow.Claimed{Worker: "w", Mails: ids})
	var outcomes []workflow.MailOutcome
	for _, id := range ids {
		outcomes = append(outcomes, workflow.MailOutcome{Mail: id, Outcome: outcome, Code: 250, Reply: "250 ok", RetryAfterMs: 5000})
	}
	w.add("", "_.mail.settled", workflow.Settled{Worker: "w", Claim: c.Sequence, Outcomes: outcomes})
}

// reports has mails reported on, and sent again.
func (w *writer) reports() {
	for _, n := range []int{3, 4, 5, 7, 8, 30} {
		id := mailID(n, 1, workflow.MailSignature, 0)
		w.add(px(n), string(account)+"."+string(px(n))+".bounced", workflow.Bounced{Mail: id, Action: workflow.ActionDelayed, Status: "4.4.1"})
		e := w.add(px(n), "_."+string(px(n))+".bounced", workflow.Bounced{Mail: id, Action: workflow.ActionFailed, Status: "5.1.1", Diagnostic: "550 no"})
		w.entries[e.Sequence-1].Account = ""
		w.add(px(n), string(account)+"."+string(px(n))+".resend", workflow.Resend{})
	}
	w.add(px(9), string(account)+"."+string(px(9))+".resend", workflow.Resend{})
	w.mails(workflow.Accepted, mailID(9, 1, workflow.MailSent, 0))
	again := mailID(9, 1, workflow.MailSignature, len(w.entries)-2)
	w.mails(workflow.Accepted, again)
	w.add(px(9), string(account)+"."+string(px(9))+".bounced", workflow.Bounced{Mail: again, Action: workflow.ActionFailed, Status: "5.7.1"})
}

func mailID(n, round int, kind workflow.MailKind, i int) workflow.MailID {
	return workflow.MailID(fmt.Sprintf("%s.%d.%s.%d", px(n), round, kind, i))
}

// day is a log with everything in it.
func day() []workflow.Entry {
	w := &writer{}
	w.webhook(1, workflow.WebhookEnabled)
	w.webhook(2, workflow.WebhookEnabled)
	for n := range 20 {
		w.created(n)
	}
	w.status(30, workflow.Signed) // parked: its document is never created
	w.status(3, workflow.Canceled)
	w.status(4, workflow.Signed) // parked until the mail is accepted
	w.add(px(5), "x", workflow.Invalid{Problem: workflow.Problem{Code: workflow.CodeInvalid, Field: "data.email", Message: "no"}})
	for n := range 10 {
		w.mails(workflow.Accepted, mailID(n, 1, workflow.MailSignature, 0))
	}
	w.mails(workflow.Deferred, mailID(10, 1, workflow.MailSignature, 0), mailID(11, 1, workflow.MailSignature, 0))
	w.mails(workflow.Rejected, mailID(12, 1, workflow.MailSignature, 0))
	w.status(6, workflow.Opened)
	w.status(7, workflow.Signed)
	w.add(px(7), string(account)+"."+string(px(7))+".order."+string(hr(14))+".register",
		workflow.Register{OrderSID: hr(14), DocumentSID: px(7)})
	w.add(px(7), "x", workflow.OrderStatusChanged{Order: hr(14), Status: workflow.OrderCompleted, PhoneNumber: "+14155550100"})
	w.add(px(40), "x", workflow.Created{ // takes the order that document 3 has released, and one that is taken
		AddressSID: "AD00000000000000000000000000000000", Email: "x@example.com", HostedNumberOrderSIDs: []workflow.SID{hr(6)},
	})
	w.add(px(41), "x", workflow.Created{
		AddressSID: "AD00000000000000000000000000000000", Email: "x@example.com", HostedNumberOrderSIDs: []workflow.SID{hr(6)},
	})
	w.add(px(6), "x", workflow.Updated{CCEmails: &[]string{}, HostedNumberOrders: &[]workflow.OrderRef{{SID: hr(12), PhoneNumber: "+14155550101"}}})
	w.status(6, workflow.Signing)
	w.add(px(30), "x", workflow.OrderStatusChanged{Order: hr(99), Status: workflow.OrderFailed})
	w.reports()
	w.deliveries()
	w.add("", "_.rules.activated", workflow.RulesActivated{Version: 1, ParkingLimitSeconds: 3600})
	return w.entries
}

// TestStoreApply_AnyBatchesGiveTheSameState folds one log in batches of any size,
// with restarts, and finds the same state to the letter.
func TestStoreApply_AnyBatchesGiveTheSameState(t *testing.T) {
	log := day()
	whole := open(t, t.TempDir())
	apply(t, whole, log...)
	want := dump(t, whole)
	for _, line := range []string{
		`"canceled"`, `"order_taken"`, `"dead_letter"`, `"withdrawn"`, `"parked"`, `completed`, `"rejected"`, `"mail_unknown"`,
		`["bounces",`, `["webhooks",`, `"waiting"`, `"dead"`, `"webhook delivered"`, `"webhook failed"`, `"webhook redriven"`, "the signature mail came back: 5.7.1",
	} {
		if !strings.Contains(want, line) {
			t.Errorf("the day has no %s", line)
		}
	}
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 0))
		dir := t.TempDir()
		s, err := db.Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		for rest := log; len(rest) > 0; {
			n := 1 + rng.IntN(min(len(rest), 1+int(seed)*3))
			apply(t, s, rest[:n]...)
			rest = rest[n:]
			if rng.IntN(10) == 0 {
				s.Close()
				if s, err = db.Open(t.Context(), dir); err != nil {
					t.Fatal(err)
				}
			}
		}
		if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(dump(t, s), "\n")); diff != "" {
			t.Errorf("seed %d: cut otherwise (+), the state differs:\n%s", seed, diff)
		}
		s.Close()
	}
}

// TestStoreApply_EventMetTwiceChangesNothing replays the whole log behind itself, and
// applies a batch again.
func TestStoreApply_EventMetTwiceChangesNothing(t *testing.T) {
	log := day()
	s := open(t, t.TempDir())
	apply(t, s, log...)
	state := func() string { // all but how far the log was read
		_, rest, _ := strings.Cut(dump(t, s), "\n")
		return rest
	}
	before := state()
	apply(t, s, log...) // below the position
	last := log[len(log)-1].Sequence
	var again []workflow.Entry
	for i, e := range log {
		e.Sequence, e.Time = last+uint64(i)+1, e.Time.Add(24*time.Hour)
		again = append(again, e)
	}
	apply(t, s, again...)
	if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(state(), "\n")); diff != "" {
		t.Errorf("a replay changed the state:\n%s", diff)
	}
	c, err := s.Counts(t.Context(), start)
	if err != nil {
		t.Fatal(err)
	}
	if c.Duplicates != uint64(len(log)) {
		t.Errorf("counted %d duplicates, want %d", c.Duplicates, len(log))
	}
	if got, want := s.Position().Claim, claims(again); got != want {
		t.Errorf("the last claim is %d, want %d: a claim counts by its place even where it says nothing", got, want)
	}
}

func claims(log []workflow.Entry) (last uint64) {
	for _, e := range log {
		if e.Subject == workflow.ClaimsSubject {
			last = e.Sequence
		}
	}
	return last
}

func TestStoreApply_FailedBatchLeavesNothing(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	w.created(1)
	w.add("", "_.rules.activated", workflow.RulesActivated{Version: workflow.RulesVersion() + 1})
	before := dump(t, s)
	err := s.Apply(t.Context(), stream, w.entries)
	if !errors.Is(err, workflow.ErrUnavailable) || !strings.Contains(err.Error(), "start a newer one") {
		t.Errorf("unknown rules: %v", err)
	}
	if diff := cmp.Diff(before, dump(t, s)); diff != "" {
		t.Errorf("half a batch was applied:\n%s", diff)
	}
	if s.Position().Sequence != 0 {
		t.Errorf("the position moved to %d", s.Position().Sequence)
	}
}

// TestStoreApply_KeepsFewDocumentsInMemory: a backlog may have any number of documents.
func TestStoreApply_KeepsFewDocumentsInMemory(t *testing.T) {
	s, w := open(t, t.TempDir()), &writer{}
	kept := false
	for n := range 9 * 500 {
		w.created(n)
		if len(w.entries)%500 == 0 {
			apply(t, s, w.entries[n-499:]...)
			n, most := s.Lately()
			kept = kept || n > 0
			if n > most {
				t.Errorf("%d documents are in memory, want %d at most", n, most)
			}
		}
	}
	if !kept {
		t.Error("no document was ever kept in memory")
	}
}

// TestStoreApply_SettingsKeepTheVersionOfTheRules: a worker that starts while a new version
// is activated may put its settings behind it, with the version that it knew.
func TestStoreApply_SettingsKeepTheVersionOfTheRules(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	w.add("", "_.rules.activated", workflow.RulesActivated{Version: 1, ParkingLimitSeconds: 3600})
	w.add("", "_.rules.activated", workflow.RulesActivated{Version: 0, ParkingLimitSeconds: 60}) // stands for an older version
	apply(t, s, w.entries...)
	if p := s.Position(); p.Rules != 1 || p.ParkingLimit != time.Minute {
		t.Errorf("version %d is in force, and the limit is %s", p.Rules, p.ParkingLimit)
	}
}

func TestStoreWaitApplied(t *testing.T) {
	s := open(t, t.TempDir())
	done := make(chan error)
	go func() { done <- s.WaitApplied(t.Context(), 2) }()
	w := &writer{}
	w.created(1)
	w.created(2)
	apply(t, s, w.entries[:1]...)
	select {
	case <-done:
		t.Fatal("returned one entry too early")
	default:
	}
	apply(t, s, w.entries[1:]...)
	if err := <-done; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.WaitApplied(ctx, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %v", err)
	}
}

func TestStoreLife(t *testing.T) {
	s := open(t, t.TempDir())
	apply(t, s, day()...)
	l, err := s.Life(t.Context(), px(7))
	if err != nil {
		t.Fatal(err)
	}
	if l.Document == nil || l.Document.Status != workflow.Signed || len(l.Mails) == 0 || len(l.History) == 0 || len(l.Events) == 0 {
		t.Errorf("life of a signed document: %+v", l)
	}
	if d := l.Document; d.Locale != "es-MX" || d.Subscriber != "Subscriber 7" || d.ServiceAddress.City != "Oakland" || d.Orders[0].CurrentCarrier != "Pacific Voice" {
		t.Errorf("whose numbers they are: %+v", d)
	}
	if l, err := s.Life(t.Context(), px(8)); err != nil || len(l.Bounces) != 2 || l.Bounces[1].Diagnostic != "550 no" || l.Bounces[0].Action != workflow.ActionDelayed {
		t.Errorf("life of a document whose mail came back: %+v, %v", l.Bounces, err)
	}
	if l, err := s.Life(t.Context(), px(30)); err != nil || l.Document != nil || len(l.Parked) != 2 {
		t.Errorf("life of a document that was not created: %+v, %v", l, err)
	}
	if _, err := s.Life(t.Context(), px(999)); !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("an unknown document: %v", err)
	}
	docs, err := s.Documents(t.Context(), db.Filter{Status: workflow.Failed, Limit: 10})
	if err != nil || len(docs) != 4 || docs[0].SID != px(12) || len(docs[0].Orders) != 2 {
		t.Errorf("failed documents: %+v, %v", docs, err)
	}
}

func TestStoreLife_EventsHaveTheirStates(t *testing.T) {
	s, w := open(t, t.TempDir()), &writer{}
	w.status(1, workflow.Canceled) // is parked, and its limit runs
	w.created(1)
	w.created(1) // is refused
	w.add(px(1), string(account)+"."+string(px(1))+".refused.3", workflow.Refused{Sequence: 3})
	apply(t, s, w.entries...)
	l, err := s.Life(t.Context(), px(1))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range l.Events {
		got[e.What] = fmt.Sprint(e.State, " ", e.Sequence)
	}
	want := map[string]string{"due.parked-1.1": "dropped 0", "refused.3": "done 4", "became.opened.1": "pending 0", "became.canceled.1": "pending 0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
