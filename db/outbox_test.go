package db_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/db"
	"countersign/workflow"
)

func TestStoreDueEvents(t *testing.T) {
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

// TestStoreDueMails_OneEmailToEachRecipientOfADocument claims all notices of a signed
// document at once. One
// recipient has an email that is deferred, and one has one that is not sent yet:
// what they get next waits.
func TestStoreDueMails_OneEmailToEachRecipientOfADocument(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	w.add(px(1), "created", workflow.Created{
		Email: "owner@example.com", CCEmails: []string{"a@example.com", "b@example.com", "c@example.com"}, HostedNumberOrderSIDs: []workflow.SID{hr(1)},
	})
	w.mails(workflow.Accepted, mailID(1, 1, workflow.MailSignature, 0))
	w.mails(workflow.Deferred, mailID(1, 1, workflow.MailSent, 0))
	w.mails(workflow.Accepted, mailID(1, 1, workflow.MailSent, 1))
	w.status(1, workflow.Signed)
	apply(t, s, w.entries...)
	due, err := s.DueMails(t.Context(), start.AddDate(0, 0, 1), nil, 10)
	var ids []workflow.MailID
	for _, m := range due {
		ids = append(ids, m.ID)
	}
	want := []workflow.MailID{ // those that were not tried before come first
		mailID(1, 1, workflow.MailSent, 2), mailID(1, 1, workflow.MailSigned, 0), mailID(1, 1, workflow.MailSigned, 2), mailID(1, 1, workflow.MailSent, 0),
	}
	if diff := cmp.Diff(want, ids); err != nil || diff != "" {
		t.Fatalf("due, %v:\n%s", err, diff)
	}
	claim := w.add("", "_.mail.claimed", workflow.Claimed{Worker: "w", Mails: ids})
	apply(t, s, claim)
	mails, err := s.ClaimedMails(t.Context(), claim.Sequence)
	if err != nil || len(mails) != 4 {
		t.Fatalf("claimed %+v, %v", mails, err)
	}
	for _, m := range mails {
		if m.About == nil || m.About.SID != px(1) || m.About.Status != workflow.Signed {
			t.Errorf("%s is about %+v", m.ID, m.About)
		}
	}
}

// TestStoreClaimedMails_EachIsAboutItsDocument claims emails of several documents at once.
func TestStoreClaimedMails_EachIsAboutItsDocument(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	want := map[workflow.MailID]string{}
	for n := range 3 {
		w.created(n)
		want[mailID(n, 1, workflow.MailSignature, 0)] = fmt.Sprintf("s%d@example.com", n)
	}
	claim := w.add("", "_.mail.claimed", workflow.Claimed{Worker: "w", Mails: slices.Collect(maps.Keys(want))})
	apply(t, s, w.entries...)
	mails, err := s.ClaimedMails(t.Context(), claim.Sequence)
	got := map[workflow.MailID]string{}
	for _, m := range mails {
		if m.About != nil {
			got[m.ID] = m.About.Email
		}
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("emails and the signer whom their document names, %v:\n%s", err, diff)
	}
}

// TestStoreDueMails_RetriesKeepQuarterOfSlots has eight documents whose
// mails were deferred and are due again, and eight whose mails are new.
func TestStoreDueMails_RetriesKeepQuarterOfSlots(t *testing.T) {
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

// TestStoreDueEvents_TimerWaitsForTheLogsClock: a leader whose clock was days
// ahead has stamped an entry, and the next one's clock is right.
func TestStoreDueEvents_TimerWaitsForTheLogsClock(t *testing.T) {
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

// TestStoreCounts_TimerIsAsOldAsItIsDue: what was owed a month ago for today is no arrear.
func TestStoreCounts_TimerIsAsOldAsItIsDue(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	w.status(1, workflow.Canceled) // parked for a day
	apply(t, s, w.entries...)
	for later, want := range map[time.Duration]int{23 * time.Hour: 0, 25 * time.Hour: 1} {
		c, err := s.Counts(t.Context(), start.Add(later))
		if err != nil || c.PendingEvents != want {
			t.Fatalf("%s later %d events are due, want %d: %v", later, c.PendingEvents, want, err)
		}
		if age := start.Add(later).Sub(c.OldestEvent); want > 0 && (age < 0 || age > time.Hour) {
			t.Errorf("%s later the oldest event is said to be late by %s", later, age)
		}
	}
}

// A timer that came early, and then is no longer needed.
func TestStoreApply_EndOfATimerDoesNotDependOnTheBatch(t *testing.T) {
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
func TestStoreApply_EventOnTheLogIsNotPending(t *testing.T) {
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

func TestStoreMailsChanged_WakesForWorkAlone(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	w.created(1)
	signature := mailID(1, 1, workflow.MailSignature, 0)
	w.add(px(1), string(account)+"."+string(px(1))+".became.opened.1", workflow.Became{Document: workflow.Document{SID: px(1), Status: workflow.Opened}})
	w.mails(workflow.Accepted, signature)
	w.add("", "_.mail.claimed", workflow.Claimed{Worker: "another"})
	w.add("", "_.mail.claimed", workflow.Claimed{Worker: s.Position().Worker})
	own := w.add("", "_.mail.claimed", workflow.Claimed{Worker: s.Position().Worker, Mails: []workflow.MailID{mailID(1, 1, workflow.MailSent, 0)}})
	w.add("", "_.mail.settled", workflow.Settled{Worker: s.Position().Worker, Claim: own.Sequence, Outcomes: []workflow.MailOutcome{{Mail: mailID(1, 1, workflow.MailSent, 0), Outcome: workflow.Accepted}}})
	closed := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	for i, want := range []struct {
		what          string
		mails, events bool
	}{
		{"a document is created", true, true},
		{"the event that says so is on the log", false, false},
		{"another worker claims", true, true}, // this one stands by from now on
		{"the signature email is accepted", true, true},
		{"a third worker claims", true, false},
		{"this worker claims", true, true},
		{"it claims again", false, false},
		{"the other email is accepted", false, false},
	} {
		mails, events := s.MailsChanged(), s.EventsChanged()
		apply(t, s, w.entries[i])
		if closed(mails) != want.mails || closed(events) != want.events {
			t.Errorf("%s: mails changed %v, want %v; events changed %v, want %v", want.what, closed(mails), want.mails, closed(events), want.events)
		}
	}
}
