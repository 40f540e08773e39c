package relay

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"countersign/internal/delivery"
	"countersign/internal/test/logtest"
	"countersign/workflow"
)

// refused is what mails get from a server that refuses us.
var refused = delivery.Result{
	Outcome: workflow.Deferred, Code: 504, Reply: "5.5.2 <vm>: Helo command rejected: need fully-qualified hostname",
	Stage: "RCPT", Server: true, Alike: "RCPT 504 5.5.2 helo command rejected need fully-qualified hostname",
}

// TestMailsOutcome_ServerThatRefusesUsDoesNotCountAsTry has a mail wait for four
// days for a mail server that refuses us: it is released, as often as that is
// met, and its time to give up begins with the first deferral after.
func TestMailsOutcome_ServerThatRefusesUsDoesNotCountAsTry(t *testing.T) {
	d := newDesk(t, 200*time.Hour)
	wants := func(r delivery.Result, want workflow.Outcome, later time.Duration) {
		t.Helper()
		m := d.claim(workflow.MailSignature)
		o := d.comes(m, r)
		if o.Outcome != want {
			t.Errorf("%d after %s: %+v, want %s", r.Code, d.at, o, want)
		}
		if want == workflow.Released && (o.Reply != r.Reply || o.Code != r.Code || o.RetryAfterMs <= 0 || o.RetryAfterMs > time.Minute.Milliseconds()*11/10) {
			t.Errorf("released with %+v", o)
		}
		d.settle(m, o, later)
	}
	wants(later, workflow.Deferred, time.Hour) // 199 hours ago
	for range 3 {
		wants(refused, workflow.Released, time.Hour)
	}
	life, err := d.mail.Store.Life(t.Context(), document)
	if err != nil {
		t.Fatal(err)
	}
	if m := life.Mails[0]; m.Attempts != 1 || m.Reply != refused.Reply || m.Code != 504 {
		t.Errorf("%d tries and the reply %d %q, want the one that was deferred, and the last words", m.Attempts, m.Code, m.Reply)
	}
	notes := 0
	for _, h := range life.History {
		if h.What == "mail waits" {
			notes++
		}
	}
	if notes != 1 {
		t.Errorf("the history says %d times that the mail waits for the same reason, want once", notes)
	}
	wants(later, workflow.Deferred, 96*time.Hour) // 100 hours ago
	wants(later, workflow.Rejected, 0)
}

func TestMailsOutcome_UnsureIsTriedSoon(t *testing.T) {
	d := newDesk(t, time.Hour)
	o := d.comes(d.claim(workflow.MailSignature), delivery.Result{Outcome: workflow.Deferred, Code: 550, Reply: "no", Unsure: true})
	if o.Outcome != workflow.Deferred || o.RetryAfterMs > unsureWait.Milliseconds() {
		t.Errorf("%+v, want deferred for %s at most", o, unsureWait)
	}
}

// told is how often a warning was given, and how often the end of a trouble.
func told(log *logtest.Buffer) (warnings, ends int) {
	return strings.Count(log.String(), "cannot be used"), strings.Count(log.String(), "is back")
}

// TestMailsLearn_TellsTroubleOnceAnHourAndWhenItChanges meets the trouble again
// and again; the clock is moved by moving what was noted.
func TestMailsLearn_TellsTroubleOnceAnHourAndWhenItChanges(t *testing.T) {
	log := &logtest.Buffer{}
	r := &Mails{Logger: slog.New(slog.NewTextHandler(log, nil)), Host: "mail.example.com", Port: 587, User: "countersign"}
	now := time.Now()
	passes := func(d time.Duration) { now = now.Add(d) }
	learn := func(result delivery.Result) { r.learn(result, now) }
	want := func(when string, warnings, ends int) {
		t.Helper()
		if w, e := told(log); w != warnings || e != ends {
			t.Errorf("%s: %d warnings and %d ends, want %d and %d\n%s", when, w, e, warnings, ends, log)
		}
	}
	learn(refused)
	want("at once", 1, 0)
	for _, part := range []string{"host=mail.example.com", "port=587", "user=countersign", "stage=RCPT", "code=504", "Helo command rejected"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the warning does not say %s: %s", part, log)
		}
	}
	learn(refused)
	passes(2 * time.Minute)
	learn(refused)
	want("the same again", 1, 0)
	passes(59 * time.Minute)
	learn(refused)
	want("an hour later", 2, 0)
	other := refused
	other.Stage, other.Alike, other.Reply = "MAIL", "MAIL 550 client host rejected", "client host rejected"
	passes(time.Minute)
	learn(other)
	want("other words", 3, 0)
	learn(delivery.Result{Outcome: workflow.Deferred, Reply: "not begun: its time was over before a connection was free"})
	want("a mail that was not begun", 3, 0)
	trouble, is := r.Trouble()
	if s := trouble.String(); !is || !strings.HasPrefix(s, "refused by mail.example.com:587 at MAIL since ") || !strings.HasSuffix(s, ": 504 client host rejected") {
		t.Errorf("the trouble is %q, %t", s, is)
	}
	learn(delivery.Result{Outcome: workflow.Accepted, Code: 250})
	want("its end", 3, 1)
	if _, is := r.Trouble(); is {
		t.Error("the trouble is over, and is shown")
	}
	for range 20 { // a limit of mails a second
		passes(2 * time.Second)
		learn(other)
		learn(delivery.Result{Outcome: workflow.Accepted, Code: 250})
	}
	want("coming and going", 3, 1)
	passes(10 * time.Minute)
	learn(other)
	want("again, later", 4, 1)
}

func TestTroubleString_ServerThatIsAway(t *testing.T) {
	r := &Mails{Logger: slog.New(slog.DiscardHandler), Host: "::1", Port: 25}
	r.learn(delivery.Result{Outcome: workflow.Deferred, Reply: "dial tcp [::1]:25: connect: connection refused", Stage: "connect", Server: true}, time.Now())
	trouble, _ := r.Trouble()
	if s := trouble.String(); !strings.HasPrefix(s, "[::1]:25 cannot be used at connect since ") || !strings.Contains(s, "connection refused") {
		t.Errorf("the trouble is %q", s)
	}
}

// TestMailsOutcome_DoubtAgainHasAFloor is the second half of the case d6: 15
// copies in 28 s, with settings as short as they can be.
func TestMailsOutcome_DoubtAgainHasAFloor(t *testing.T) {
	d := newDesk(t, time.Hour)
	d.mail.Deadline, d.mail.Retry = time.Second, Retry{First: time.Nanosecond, Max: time.Nanosecond, GiveUp: 48 * time.Hour}
	least := []time.Duration{0, 30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour}
	for n, want := range least {
		m := d.claim(workflow.MailSignature)
		o := d.comes(m, lost)
		if wait := time.Duration(o.RetryAfterMs) * time.Millisecond; o.Outcome != workflow.Unknown || wait < want {
			t.Errorf("in doubt for the %d. time: %s after %s, want %s at least", n+1, o.Outcome, wait, want)
		}
		d.settle(m, o, 0)
	}
}

// TestClaimerAbandoned_DoubtAgainHasAFloor has workers die at a mail again and
// again: the first time it is sent again at once, then later and later.
func TestClaimerAbandoned_DoubtAgainHasAFloor(t *testing.T) {
	d := newDesk(t, time.Hour)
	m := d.claim(workflow.MailSignature)
	again, err := d.claimer.abandoned(t.Context(), m.Claim)
	if err != nil || len(again) != 1 {
		t.Fatalf("a mail in doubt for the first time: %v, %v", again, err)
	}
	m = d.claim(workflow.MailSignature) // in doubt by this claim
	if m.Doubts != 1 {
		t.Fatalf("%d doubts", m.Doubts)
	}
	again, err = d.claimer.abandoned(t.Context(), m.Claim)
	if err != nil || len(again) != 0 {
		t.Errorf("a mail in doubt for the second time is sent again at once: %v, %v", again, err)
	}
	if tail, err := d.mail.Log.Tail(t.Context()); err != nil || tail != 1 {
		t.Errorf("the log ends at %d, %v; it should have the one entry that says when", tail, err)
	}
}
