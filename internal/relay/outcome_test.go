package relay

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"countersign/db"
	"countersign/internal/delivery"
	"countersign/internal/test/eventstest"
	"countersign/internal/test/logtest"
	"countersign/workflow"
)

const (
	account  = workflow.SID("ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	document = workflow.SID("PX00000000000000000000000000000001")
)

// desk is a relay of mails on a store that a test folds entries into.
type desk struct {
	t    *testing.T
	seq  uint64
	at   time.Time // of the next entry
	mail *Mails

	claimer *claimer
}

// newDesk has a store with a document that was created so long ago.
func newDesk(t *testing.T, ago time.Duration) *desk {
	t.Helper()
	log := eventstest.Log(t)
	if _, err := log.Tail(t.Context()); err != nil {
		t.Fatal(err)
	}
	store, err := db.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	d := &desk{t: t, at: log.Now().Add(-ago), mail: &Mails{
		Store: store, Log: log, Logger: eventstest.Logger(), Deadline: 30 * time.Second,
		Retry:  Retry{First: time.Minute, Max: 4 * time.Hour, GiveUp: 48 * time.Hour},
		Sender: nobody{t},
	}}
	flight := newFlight(1, d.mail.Deadline)
	d.claimer = newClaimer(d.mail, "w", flight, newSettler(d.mail, "w", flight))
	d.fold(document, workflow.Created{AddressSID: "AD00000000000000000000000000000000", Email: "owner@example.com", CCEmails: []string{"cc@example.com"}})
	return d
}

func (d *desk) fold(doc workflow.SID, b workflow.Body) uint64 {
	d.t.Helper()
	d.seq++
	e := workflow.Entry{Sequence: d.seq, Time: d.at, Document: doc, ID: b.Type() + string(rune('a'+d.seq)), Source: "/test", Body: b}
	if doc != "" {
		e.Account = account
	}
	if err := d.mail.Store.Apply(d.t.Context(), d.at, []workflow.Entry{e}); err != nil {
		d.t.Fatal(err)
	}
	return d.seq
}

// claim claims an email.
func (d *desk) claim(kind workflow.MailKind) workflow.Mail {
	d.t.Helper()
	seq := d.fold("", workflow.Claimed{Worker: "w", Mails: []workflow.MailID{d.id(kind)}})
	mails, err := d.mail.Store.ClaimedMails(d.t.Context(), seq)
	if err != nil || len(mails) != 1 {
		d.t.Fatalf("%d mails are claimed: %v", len(mails), err)
	}
	return mails[0]
}

func (d *desk) id(kind workflow.MailKind) workflow.MailID {
	return workflow.MailID(string(document) + ".1." + string(kind) + ".0")
}

// settle writes an outcome down, some time later.
func (d *desk) settle(m workflow.Mail, o workflow.MailOutcome, later time.Duration) {
	d.t.Helper()
	d.at = d.at.Add(later)
	d.fold("", workflow.Settled{Worker: "w", Claim: m.Claim, Outcomes: []workflow.MailOutcome{o}})
}

// comes is what a result comes to.
func (d *desk) comes(m workflow.Mail, r delivery.Result) workflow.MailOutcome {
	return d.mail.outcome(m, r)
}

var (
	later = delivery.Result{Outcome: workflow.Deferred, Code: 451, Reply: "451 greylisted, come back later"}
	lost  = delivery.Result{Outcome: workflow.Unknown, Reply: "no reply to the dot"}
)

// TestMailsOutcome_GivenUpAfterItsTries: a mail server that defers a mail which comes
// to it for the first time has not deferred it for two days, however long ago
// the mail became owed.
func TestMailsOutcome_GivenUpAfterItsTries(t *testing.T) {
	d := newDesk(t, 100*time.Hour) // no worker ran until now
	m := d.claim(workflow.MailSignature)
	o := d.comes(m, later)
	if o.Outcome != workflow.Deferred || o.RetryAfterMs == 0 {
		t.Errorf("the first try was deferred: %+v", o)
	}
	d.settle(m, o, time.Hour) // 99 hours ago
	if o = d.comes(d.claim(workflow.MailSignature), later); o.Outcome != workflow.Rejected || !strings.HasPrefix(o.Reply, "deferred for 48h") {
		t.Errorf("deferred for four days: %+v", o)
	}
}

// TestMailsOutcome_WaitingBehindAnotherEmailIsNoTry has the people in cc told days later,
// because a mail before theirs was deferred for so long.
func TestMailsOutcome_WaitingBehindAnotherEmailIsNoTry(t *testing.T) {
	d := newDesk(t, 100*time.Hour)
	d.settle(d.claim(workflow.MailSignature), workflow.MailOutcome{Mail: d.id(workflow.MailSignature), Outcome: workflow.Accepted}, 0)
	d.fold(document, workflow.StatusChanged{Status: workflow.Signed})
	sent := d.claim(workflow.MailSent)
	d.settle(sent, workflow.MailOutcome{Mail: sent.ID, Outcome: workflow.Deferred}, time.Minute)
	sent = d.claim(workflow.MailSent)
	d.settle(sent, workflow.MailOutcome{Mail: sent.ID, Outcome: workflow.Rejected}, 90*time.Hour)
	if o := d.comes(d.claim(workflow.MailSigned), later); o.Outcome != workflow.Deferred {
		t.Errorf("a notice that waited for 90 hours is deferred once: %+v", o)
	}
}

// TestMailsOutcome_DoubtAgainWaitsLongerAndEnds: a mail server that takes mails and never
// says so gets copies ever more seldom, and none any more when the mail has been
// tried for as long as it may.
func TestMailsOutcome_DoubtAgainWaitsLongerAndEnds(t *testing.T) {
	d := newDesk(t, time.Hour)
	var waits []time.Duration
	for range 12 {
		m := d.claim(workflow.MailSignature)
		o := d.comes(m, lost)
		if o.Outcome != workflow.Unknown {
			t.Fatalf("within an hour: %+v", o)
		}
		waits = append(waits, time.Duration(o.RetryAfterMs)*time.Millisecond)
		d.settle(m, o, 0)
	}
	if waits[0] != d.mail.doubt() || waits[5] < 10*time.Minute || waits[11] < 3*time.Hour {
		t.Errorf("it is sent again after %s", waits)
	}
	d = newDesk(t, 100*time.Hour)
	for _, want := range []workflow.Outcome{workflow.Unknown, workflow.Held} {
		m := d.claim(workflow.MailSignature)
		o := d.comes(m, lost)
		if o.Outcome != want {
			t.Errorf("after days: %+v, want %s", o, want)
		}
		d.settle(m, o, 0)
	}
}

// TestClaimerStep_LogsNothingWhileTheServerIsAway has a mail in doubt while the
// mail server is away: it is not sent again, and nobody says so at each look.
func TestClaimerStep_LogsNothingWhileTheServerIsAway(t *testing.T) {
	d := newDesk(t, time.Hour)
	m := d.claim(workflow.MailSignature)
	var said logtest.Buffer
	d.mail.Logger = slog.New(slog.NewTextHandler(&said, nil))
	d.claimer.seen = map[uint64]time.Time{m.Claim: time.Now().Add(-time.Hour)}
	d.mail.server.failures, d.mail.server.until = 1, time.Now().Add(time.Hour)
	for range 3 {
		if wait, err := d.claimer.step(t.Context()); err != nil || wait <= 0 {
			t.Fatalf("a look while the server is away: %s, %v", wait, err)
		}
	}
	if s := said.String(); s != "" {
		t.Errorf("it says %s", s)
	}
}

// nobody is a mail server that must not be asked.
type nobody struct{ t *testing.T }

func (nobody) Size() int { return 1 }

func (n nobody) Send(context.Context, workflow.Mail) delivery.Result {
	n.t.Error("a mail was begun")
	return delivery.Result{Outcome: workflow.Accepted}
}

// sent is the outcome of a claimed email that must not be begun.
func (d *desk) sent(m workflow.Mail, c *claim) workflow.MailOutcome {
	d.t.Helper()
	return d.mail.send(d.t.Context(), job{m, c}, d.claimer.flight).outcome
}

// TestMailsSend_MachineThatSleptBeginsNoEmail: its monotonic clock stood still, and its
// claim is another's by now.
func TestMailsSend_MachineThatSleptBeginsNoEmail(t *testing.T) {
	d := newDesk(t, time.Minute)
	m := d.claim(workflow.MailSignature)
	o := d.sent(m, &claim{seq: m.Claim, start: time.Now(), wall: time.Now().Round(0).Add(-time.Hour)})
	if o.Outcome != workflow.Released {
		t.Errorf("%+v", o)
	}
}

// TestMailsSend_WithdrawnEmailIsNotBegun recalls a document when its mail is
// claimed and not read yet: the mail would have a dead link, and the words of
// the next round.
func TestMailsSend_WithdrawnEmailIsNotBegun(t *testing.T) {
	d := newDesk(t, time.Minute)
	m := d.claim(workflow.MailSignature)
	d.fold(document, workflow.StatusChanged{Status: workflow.Opened})
	mails, err := d.mail.Store.ClaimedMails(t.Context(), m.Claim)
	if err != nil || len(mails) != 1 {
		t.Fatalf("%d mails are claimed: %v", len(mails), err)
	}
	d.settle(m, d.sent(mails[0], &claim{seq: m.Claim, start: time.Now(), wall: time.Now().Round(0)}), 0)
	life, err := d.mail.Store.Life(t.Context(), document)
	if err != nil {
		t.Fatal(err)
	}
	if s := life.Mails[0]; s.State != workflow.MailWithdrawn || s.Attempts != 0 {
		t.Errorf("the mail is %s after %d tries", s.State, s.Attempts)
	}
}
