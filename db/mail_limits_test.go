package db_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/db"
	"countersign/workflow"
)

func TestAsked_WaysToWriteOneMailboxCountAsOne(t *testing.T) {
	for in, want := range map[string]string{
		"owner@example.com": "owner@example.com", "Owner@Example.com": "owner@example.com", "owner+1@example.com": "owner@example.com",
		"o.w.ner+a.b@example.com": "owner@example.com", "other@example.com": "other@example.com", `"a@b"@c.test`: `"a@b"@c.test`, "none": "none",
	} {
		if got, want := db.Asked(account, in), string(account)+" "+want; got != want {
			t.Errorf("Asked(%q) = %q, want %q", in, got, want)
		}
	}
}

// asking has an account create a document for a signer.
func (w *writer) asking(n int, by workflow.SID, email string) {
	w.add(px(n), "x", workflow.Created{AddressSID: "AD00000000000000000000000000000000", Email: email, HostedNumberOrderSIDs: []workflow.SID{hr(n)}})
	w.entries[len(w.entries)-1].Account = by
}

func TestAskedBefore_CountsTheEmailsOfAnAccountToOnePerson(t *testing.T) {
	s, w := open(t, t.TempDir()), &writer{}
	const other = workflow.SID("ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
	for n, email := range []string{"owner@example.com", "OWNER@example.com", "own.er+x@example.com"} {
		w.asking(n, account, email)
	}
	w.asking(3, account, "else@example.com")
	w.asking(4, other, "owner@example.com")
	w.mails(workflow.Accepted, workflow.MailID(px(1)+".1.signature.0"))
	w.status(2, workflow.Opened) // before its email was begun
	apply(t, s, w.entries...)
	began := w.entries[0].Time.Truncate(time.Millisecond)
	for _, c := range []struct {
		by    workflow.SID
		email string
		n     int
		since time.Time
		want  time.Time
	}{
		{account, "owner@example.com", 1, start, w.entries[1].Time.Truncate(time.Millisecond)},
		{account, "o.wner+1@Example.com", 2, start, began},
		{account, "owner@example.com", 3, start, time.Time{}},
		{account, "owner@example.com", 2, began, time.Time{}},
		{other, "owner@example.com", 2, start, time.Time{}},
		{account, "nobody@example.com", 1, start, time.Time{}},
	} {
		at, err := s.AskedBefore(t.Context(), c.by, c.email, c.n, c.since)
		if err != nil || !at.Equal(c.want) {
			t.Errorf("%s of %s, the %d. after %s: %s, %v; want %s", c.email, c.by, c.n, c.since, at, err, c.want)
		}
	}
}

func TestDueMails_LeavesOutWhoHasToWait(t *testing.T) {
	s, w := open(t, t.TempDir()), &writer{}
	for n := range 4 {
		w.asking(n, account, []string{"owner@example.com", "else@example.com"}[n/3])
	}
	w.mails(workflow.Deferred, workflow.MailID(px(0)+".1.signature.0"))
	apply(t, s, w.entries...)
	due := func(but ...string) (ids []string, asked string) {
		t.Helper()
		mails, err := s.DueMails(t.Context(), start.Add(time.Hour), but, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range mails {
			ids = append(ids, strings.TrimLeft(string(m.ID.Document()), "PX0")+":"+m.Asked)
			if strings.Contains(m.Asked, "owner@") {
				asked = m.Asked
			}
		}
		slices.Sort(ids)
		return ids, asked
	}
	all, owner := due()
	if len(all) != 4 || owner != string(account)+" owner@example.com" {
		t.Fatalf("due are %v", all)
	}
	rest, _ := due(owner)
	if diff := cmp.Diff([]string{"3:" + string(account) + " else@example.com", ":"}, rest); diff != "" {
		t.Errorf("without who has to wait (-want +got): one is tried again, and one is somebody else's\n%s", diff)
	}
}

// TestApply_MailLimitsAreDecidedAlikeByAReplicaThatReloads folds recalls and
// sends at once, and entry by entry by a store that is opened again before each.
func TestApply_MailLimitsAreDecidedAlikeByAReplicaThatReloads(t *testing.T) {
	w := &writer{}
	w.add("", "_.rules.activated", workflow.RulesActivated{Version: 1, ParkingLimitSeconds: 3600, MailLimits: &workflow.MailLimits{Interval: 10, PerDay: 30}})
	w.asking(2, account, "owner@example.com")
	for round := 1; round <= 2*workflow.MailBurst; round++ {
		if round%3 > 0 {
			w.mails(workflow.Accepted, workflow.MailID(fmt.Sprintf("%s.%d.signature.0", px(2), round)))
		}
		w.status(2, workflow.Opened)
		w.status(2, workflow.Signing)
		w.add(px(2), "x", workflow.Resend{})
	}
	whole := open(t, t.TempDir())
	apply(t, whole, w.entries...)
	want := dump(t, whole)
	if n := strings.Count(want, `"too_many_emails"`); n < 4 {
		t.Errorf("refused as too many: %d events, want some", n)
	}
	dir := t.TempDir()
	for _, e := range w.entries {
		s, err := db.Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		apply(t, s, e)
		if got := dump(t, s); e.Sequence == uint64(len(w.entries)) && got != want {
			t.Errorf("with reloads (+) the state differs:\n%s", cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
		}
		s.Close()
	}
	if l := whole.Position().InForce().MailLimits; l == nil || l.Interval != 10 || l.PerDay != 30 {
		t.Errorf("the limits in force are %+v", l)
	}
}
