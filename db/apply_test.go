package db_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

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
	for n := range 20 {
		w.created(n)
	}
	w.status(30, workflow.Signed) // parked for ever
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
	w.add("", "_.rules.activated", workflow.RulesActivated{Version: 1, ParkingLimitSeconds: 3600})
	return w.entries
}

// TestHoweverALogIsCutTheStateIsTheSame folds one log in batches of any size,
// with restarts, and finds the same state to the letter.
func TestHoweverALogIsCutTheStateIsTheSame(t *testing.T) {
	log := day()
	whole := open(t, t.TempDir())
	apply(t, whole, log...)
	want := dump(t, whole)
	for _, line := range []string{
		`"canceled"`, `"order_taken"`, `"dead_letter"`, `"withdrawn"`, `"parked"`, `completed`, `"rejected"`, `"mail_unknown"`,
		`["bounces",`, "the signature mail came back: 5.7.1",
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

// TestAnEventMetTwiceChangesNothing replays the whole log behind itself, and
// applies a batch again.
func TestAnEventMetTwiceChangesNothing(t *testing.T) {
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

func TestABatchThatFailsLeavesNothing(t *testing.T) {
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

func TestWhatIsOwedAndWhatIsSettled(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	w.created(1)
	apply(t, s, w.entries...)
	owed, err := s.DueEvents(t.Context(), start.Add(time.Hour), start.Add(time.Hour), 0, 10)
	if err != nil || len(owed) != 1 || owed[0].What != "became.opened.1" {
		t.Fatalf("owed %+v, %v", owed, err)
	}
	w.add(px(1), strings.TrimPrefix(owed[0].Subject(), workflow.SubjectPrefix), owed[0].Body)
	apply(t, s, w.entries[1:]...)
	if owed, _ := s.DueEvents(t.Context(), start.Add(time.Hour), start.Add(time.Hour), 0, 10); len(owed) != 0 {
		t.Errorf("owed still: %+v", owed)
	}
	due, err := s.DueMails(t.Context(), start.Add(time.Hour), nil, 10)
	if err != nil || len(due) != 1 || due[0].Domain != "example.com" {
		t.Fatalf("due mails %+v, %v", due, err)
	}
	if due, _ := s.DueMails(t.Context(), start.Add(time.Hour), []string{"example.com"}, 10); len(due) != 0 {
		t.Errorf("a domain that is left out is listed: %+v", due)
	}
	claim := w.add("", "_.mail.claimed", workflow.Claimed{Worker: "w", Mails: []workflow.MailID{due[0].ID}})
	apply(t, s, claim)
	mails, err := s.ClaimedMails(t.Context(), claim.Sequence)
	if err != nil || len(mails) != 1 || mails[0].About == nil || mails[0].About.Email != "s1@example.com" {
		t.Fatalf("claimed %+v, %v", mails, err)
	}
	if open, _ := s.OpenClaims(t.Context()); !cmp.Equal(open, []uint64{claim.Sequence}) {
		t.Errorf("open claims %v", open)
	}
}

// TestMailsThatAreTriedAgainKeepAQuarterOfThePlaces has eight documents whose
// mails were deferred and are due again, and eight whose mails are new.
func TestMailsThatAreTriedAgainKeepAQuarterOfThePlaces(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	var deferred []workflow.MailID
	for n := range 8 {
		w.created(n)
		deferred = append(deferred, mailID(n, 1, workflow.MailSignature, 0))
	}
	w.mails(workflow.Deferred, deferred...)
	for i := range deferred { // due again before the others are owed
		w.entries[len(w.entries)-1].Body.(workflow.Settled).Outcomes[i].RetryAfterMs = 0
	}
	for n := range 8 {
		w.created(8 + n)
	}
	apply(t, s, w.entries...)
	for most, want := range map[int][]int{
		16: {8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7},
		12: {8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3},
		8:  {8, 9, 10, 11, 12, 13, 0, 1},
		4:  {8, 9, 10, 0},
		2:  {0, 1}, // the longest due
	} {
		due, err := s.DueMails(t.Context(), start.Add(time.Hour), nil, most)
		if err != nil {
			t.Fatal(err)
		}
		var got, ids []workflow.MailID
		for _, d := range due {
			got = append(got, d.ID)
		}
		for _, n := range want {
			ids = append(ids, mailID(n, 1, workflow.MailSignature, 0))
		}
		if diff := cmp.Diff(ids, got); diff != "" {
			t.Errorf("of %d places (-want +got):\n%s", most, diff)
		}
	}
	if next, err := s.NextDueMail(t.Context()); err != nil || next.After(start.Add(time.Hour)) {
		t.Errorf("the next is due at %v, %v", next, err)
	}
}

func TestRewindGoesBackToWhatStillStands(t *testing.T) {
	log := day()
	s := open(t, t.TempDir())
	apply(t, s, log...)
	owedBefore := owedSubjects(t, s)
	register, subject := uint64(0), ""
	for _, e := range log {
		if _, ok := e.Body.(workflow.Register); ok {
			register, subject = e.Sequence, e.Subject
		}
	}
	if strings.Contains(owedBefore, subject) {
		t.Fatalf("%s stands on the log, and is owed", subject)
	}
	p, err := s.Rewind(t.Context(), 1000, func(seq uint64, at time.Time, source, id string) (bool, error) {
		return seq < register, nil
	})
	if err != nil || p.Sequence != register-1 || s.Position().Sequence != register-1 {
		t.Fatalf("rewound to %d, %v", p.Sequence, err)
	}
	if owed := owedSubjects(t, s); !strings.Contains(owed, subject) {
		t.Errorf("a register event that the log lost is not owed again: %s", owed)
	}
	states := func() string { // documents and mails
		var out []string
		for line := range strings.Lines(dump(t, s)) {
			if strings.HasPrefix(line, `["documents"`) || strings.HasPrefix(line, `["mails"`) || strings.HasPrefix(line, `["holders"`) {
				out = append(out, line)
			}
		}
		return strings.Join(out, "")
	}
	before := states()
	apply(t, s, log[register-1:]...)
	if diff := cmp.Diff(before, states()); diff != "" {
		t.Errorf("folding on changed what was applied:\n%s", diff)
	}
	if diff := cmp.Diff(sorted(owedBefore), sorted(owedSubjects(t, s))); diff != "" {
		t.Errorf("owed after folding on:\n%s", diff)
	}
	_, err = s.Rewind(t.Context(), 1000, func(uint64, time.Time, string, string) (bool, error) { return false, nil })
	if !errors.Is(err, workflow.ErrConflict) {
		t.Errorf("nothing matches: %v", err)
	}
}

// TestARewindForgetsWhatChangedNothing: what the log lost and was refused, or
// waited, has changed nothing, and another entry takes its place. Nobody is told of
// that one what was said of the other, and it does not get lost for it.
func TestARewindForgetsWhatChangedNothing(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	w.created(1)
	w.created(1) // refused
	w.status(2, workflow.Canceled)
	w.add(px(1), "x", workflow.Invalid{Problem: workflow.Problem{Code: workflow.CodeInvalid, Field: "data.email", Message: "no"}})
	lost := w.entries[1:]
	apply(t, s, w.entries...)
	if p, err := s.Refusal(t.Context(), 2); p == nil || err != nil {
		t.Fatalf("entry 2 was not refused: %v", err)
	}
	if _, err := s.Rewind(t.Context(), 1, func(seq uint64, _ time.Time, _, _ string) (bool, error) { return seq == 1, nil }); err != nil {
		t.Fatal(err)
	}
	again := &writer{entries: w.entries[:1:1]}
	again.created(5) // where the refused one stood
	again.created(6)
	again.created(7)
	for _, e := range lost { // published again
		e.Sequence = uint64(len(again.entries) + 1)
		again.entries = append(again.entries, e)
	}
	for i := range again.entries[1:4] {
		again.entries[i+1].ID += " anew"
	}
	apply(t, s, again.entries[1:]...)
	fresh := open(t, t.TempDir())
	apply(t, fresh, again.entries...)
	for _, table := range []string{"turned_down", "tallies", "closed", "parked"} {
		if diff := cmp.Diff(rowsOf(t, fresh, table), rowsOf(t, s, table)); diff != "" {
			t.Errorf("%s of a store that never met the others (-), and of this one (+):\n%s", table, diff)
		}
	}
	for _, seq := range []uint64{2, 4} {
		if p, err := s.Refusal(t.Context(), seq); p != nil || err != nil {
			t.Errorf("entry %d is said to be refused: %v %v", seq, p, err)
		}
	}
	owed, err := s.DueEvents(t.Context(), start.Add(48*time.Hour), start.Add(48*time.Hour), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var what []string
	for _, o := range owed {
		if !strings.HasPrefix(o.What, "became.") {
			what = append(what, o.What)
		}
	}
	if diff := cmp.Diff([]string{"refused.5", "due.parked-6.1", "refused.7"}, what); diff != "" {
		t.Errorf("owed (-want +got):\n%s", diff)
	}
}

func rowsOf(t *testing.T, s *db.Store, table string) (rows []string) {
	t.Helper()
	for line := range strings.Lines(dump(t, s)) {
		if strings.HasPrefix(line, `["`+table+`"`) {
			rows = append(rows, line)
		}
	}
	return rows
}

// TestNoSettingsUndoAVersionOfTheRules: a worker that starts while a new version
// is activated may put its settings behind it, with the version that it knew.
func TestNoSettingsUndoAVersionOfTheRules(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	w.add("", "_.rules.activated", workflow.RulesActivated{Version: 1, ParkingLimitSeconds: 3600})
	w.add("", "_.rules.activated", workflow.RulesActivated{Version: 0, ParkingLimitSeconds: 60}) // stands for an older version
	apply(t, s, w.entries...)
	if p := s.Position(); p.Rules != 1 || p.Parking != time.Minute {
		t.Errorf("version %d is in force, and the limit is %s", p.Rules, p.Parking)
	}
}

// TestATimerIsNotAppendedBeforeTheLogWouldStampIt: a leader whose clock was days
// ahead has stamped an entry, and the next one's clock is right.
func TestATimerIsNotAppendedBeforeTheLogWouldStampIt(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	w.status(1, workflow.Canceled) // parked for a day
	w.created(2)
	apply(t, s, w.entries...)
	for stamp, want := range map[time.Duration]int{time.Hour: 1, 25 * time.Hour: 2} {
		owed, err := s.DueEvents(t.Context(), start.Add(48*time.Hour), start.Add(stamp), 0, 10)
		if err != nil || len(owed) != want {
			t.Errorf("%s later %d events are due, want %d: %v", stamp, len(owed), want, err)
		}
	}
}

// TestATimerIsAsOldAsItIsDue: what was owed a month ago for today is no arrear.
func TestATimerIsAsOldAsItIsDue(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	w.status(1, workflow.Canceled) // parked for a day
	apply(t, s, w.entries...)
	for later, want := range map[time.Duration]int{23 * time.Hour: 0, 25 * time.Hour: 1} {
		c, err := s.Counts(t.Context(), start.Add(later))
		if err != nil || c.OwedEvents != want {
			t.Fatalf("%s later %d events are due, want %d: %v", later, c.OwedEvents, want, err)
		}
		if age := start.Add(later).Sub(c.OldestEvent); want > 0 && (age < 0 || age > time.Hour) {
			t.Errorf("%s later the oldest event is said to be late by %s", later, age)
		}
	}
}

// A timer that came early, and then is not wanted any more.
func TestWhatSettlesATimerDoesNotDependOnTheBatch(t *testing.T) {
	w := &writer{}
	w.status(1, workflow.Canceled) // parked
	due := workflow.TimerDue{Timer: "parked-1", Round: 1, DueAt: start.Add(24 * time.Hour)}
	w.add(px(1), string(account)+"."+string(px(1))+".due.parked-1.1", due)
	w.created(1)
	together, apart := open(t, t.TempDir()), open(t, t.TempDir())
	apply(t, together, w.entries...)
	for _, e := range w.entries {
		apply(t, apart, e)
	}
	if diff := cmp.Diff(dump(t, apart), dump(t, together)); diff != "" {
		t.Errorf("one by one, and together:\n%s", diff)
	}
}

// After a log has lost its tail, another replica may have owed an event
// earlier than this one does.
func TestWhatStandsAlreadyIsNotOwed(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	became := w.add(px(1), string(account)+"."+string(px(1))+".became.opened.1",
		workflow.Became{Document: workflow.Document{SID: px(1), AccountSID: account, Status: workflow.Opened, Round: 1}})
	became.Source, became.ID = workflow.Source, strings.TrimPrefix(became.Subject, workflow.SubjectPrefix)
	apply(t, s, became)
	w.created(1)
	apply(t, s, w.entries[1:]...)
	if owed := owedSubjects(t, s); owed != "" {
		t.Errorf("owed, and on the log already: %s", owed)
	}
}

func sorted(lines string) []string { return slices.Sorted(strings.SplitSeq(lines, "\n")) }

func owedSubjects(t *testing.T, s *db.Store) string {
	t.Helper()
	owed, err := s.DueEvents(t.Context(), start.Add(time.Hour), start.Add(time.Hour), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, o := range owed {
		out = append(out, o.Subject())
	}
	return strings.Join(out, "\n")
}

func TestWaitApplied(t *testing.T) {
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

func TestADamagedOrNewerFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, db.FileName), bytes.Repeat([]byte("not a database "), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged file: %v", err)
	}
	if _, err := db.OpenReader(t.Context(), t.TempDir()); !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("a missing file: %v", err)
	}
}

// TestAStoreOfANewerProgramIsRefused: one whose tables are newer, and one that
// was folded by rules that this program does not know.
func TestAStoreOfANewerProgramIsRefused(t *testing.T) {
	for name, change := range map[string]string{
		"tables": "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)",
		"rules":  "UPDATE position SET rules = 2",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := open(t, dir).Close(); err != nil {
				t.Fatal(err)
			}
			raw, err := sql.Open("sqlite3", filepath.Join(dir, db.FileName))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := raw.Exec(change); err != nil {
				t.Fatal(err)
			}
			if err := raw.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Open(t.Context(), dir); !errors.Is(err, db.ErrNewer) {
				t.Errorf("opened: %v", err)
			}
		})
	}
}

// TestAStoreOfAnotherProgramIsNotRead: while a fleet is upgraded a command may
// meet a database that its worker, of another version, has open.
func TestAStoreOfAnotherProgramIsNotRead(t *testing.T) {
	dir := t.TempDir()
	raw, err := sql.Open("sqlite3", filepath.Join(dir, db.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	before, err := goose.NewProvider(goose.DialectSQLite3, raw, os.DirFS("migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.UpTo(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if _, err := db.OpenReader(t.Context(), dir); !errors.Is(err, db.ErrOlder) {
		t.Errorf("an older one: %v", err)
	}
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	if s, err := db.OpenReader(t.Context(), dir); err != nil {
		t.Errorf("brought up to date: %v", err)
	} else if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := raw.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.OpenReader(t.Context(), dir); !errors.Is(err, db.ErrNewer) {
		t.Errorf("a newer one: %v", err)
	}
}

func TestLifeTellsEverything(t *testing.T) {
	s := open(t, t.TempDir())
	apply(t, s, day()...)
	l, err := s.Life(t.Context(), px(7))
	if err != nil {
		t.Fatal(err)
	}
	if l.Document == nil || l.Document.Status != workflow.Signed || len(l.Mails) == 0 || len(l.History) == 0 || len(l.Events) != len(l.Settled) {
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
