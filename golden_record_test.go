package countersign_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"countersign/db"
	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

// recorder writes a golden log: it appends what upstream services say, and
// answers for Countersign and the mail server as they would, by the log's
// clock alone.
type recorder struct {
	t       *testing.T
	store   *db.Store
	now     time.Time
	log     []goldenEntry
	outcome func(workflow.MailID) workflow.MailOutcome
}

const goldenAccount = workflow.SID("AC0123456789abcdef0123456789abcdef")

func goldenPX(n int) workflow.SID { return workflow.SID(fmt.Sprintf("PX%032x", n)) }
func goldenHR(n int) workflow.SID { return workflow.SID(fmt.Sprintf("HR%032x", n)) }

// recordGolden records a log where there is none yet.
func recordGolden(t *testing.T, name string, script func(*recorder)) {
	t.Helper()
	if _, err := os.Stat(name); err == nil {
		return
	}
	s, err := db.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := &recorder{t: t, store: s, now: goldenStream}
	script(r)
	if err := os.MkdirAll(golden, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	out := json.NewEncoder(f)
	out.SetEscapeHTML(false)
	for _, g := range r.log {
		if err := out.Encode(g); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// raw appends a message, and has it folded. It returns its sequence.
func (r *recorder) raw(subject string, header nats.Header, data []byte) uint64 {
	r.t.Helper()
	r.now = r.now.Add(1_234_567_891 * time.Nanosecond)
	g := goldenEntry{Sequence: uint64(len(r.log) + 1), Time: r.now, Subject: subject, Header: header}
	if g.Text = string(data); !utf8.Valid(data) {
		g.Text, g.Bytes = "", data
	}
	r.log = append(r.log, g)
	if err := r.store.Apply(r.t.Context(), goldenStream, []workflow.Entry{events.Decode(g.message())}); err != nil {
		r.t.Fatal(err)
	}
	return g.Sequence
}

func (r *recorder) event(e events.Event) uint64 {
	r.t.Helper()
	m, err := e.Message()
	if err != nil {
		r.t.Fatal(err)
	}
	return r.raw(m.Subject, m.Header, m.Data)
}

// says appends an upstream service's event about the nth document.
func (r *recorder) says(n int, b workflow.Body) uint64 {
	r.t.Helper()
	id := fmt.Sprint("e", len(r.log)+1)
	switch b := b.(type) {
	case workflow.Created:
		return r.event(events.Created("/orders", id, goldenAccount, goldenPX(n), b))
	case workflow.Updated:
		return r.event(events.Updated("/orders", id, goldenAccount, goldenPX(n), b))
	case workflow.OrderStatusChanged:
		return r.event(events.OrderStatusChanged("/carrier", id, goldenAccount, goldenPX(n), b.Order, b))
	case workflow.Resend:
		return r.event(events.Resend("/orders", id, goldenAccount, goldenPX(n), b))
	case workflow.Bounced:
		return r.event(events.Bounced("/mx", id, goldenAccount, b))
	}
	return r.event(events.StatusChanged("/orders", id, goldenAccount, goldenPX(n), b.(workflow.StatusChanged)))
}

func (r *recorder) status(n int, s workflow.Status) { r.says(n, workflow.StatusChanged{Status: s}) }

func (r *recorder) content(n int) workflow.Created {
	return workflow.Created{
		AddressSID: "AD0123456789abcdef0123456789abcdef", Email: fmt.Sprintf("signer%d@example.com", n),
		CCEmails: []string{"ops@example.com"}, HostedNumberOrderSIDs: []workflow.SID{goldenHR(n)},
	}
}

// settle does all that is pending: it appends events, and claims, sends and
// settles mails, until nothing is pending.
func (r *recorder) settle() {
	r.t.Helper()
	for range 100 {
		due, err := r.store.DueEvents(r.t.Context(), r.now, r.now, 0, 1000)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, o := range due {
			r.event(eventlog.FromPending(o.PendingEvent))
		}
		mails, err := r.store.DueMails(r.t.Context(), r.now, nil, 20)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(due)+len(mails) == 0 {
			return
		}
		if len(mails) > 0 {
			r.send(mails)
		}
	}
	due, err := r.store.DueEvents(r.t.Context(), r.now, r.now, 0, 1)
	r.t.Fatalf("it never rests: %+v, %v", due, err)
}

func (r *recorder) send(mails []db.DueMail) {
	r.t.Helper()
	worker := fmt.Sprint("worker-", len(r.log)%2)
	claim := workflow.Claimed{Worker: worker}
	done := workflow.Settled{Worker: worker}
	for _, m := range mails {
		o := workflow.MailOutcome{Mail: m.ID, Outcome: workflow.Accepted, Code: 250, Reply: "2.0.0 Ok: queued"}
		if r.outcome != nil {
			o = r.outcome(m.ID)
		}
		claim.Mails = append(claim.Mails, m.ID)
		if o.Outcome != "" { // else the worker dies with the mail in flight
			done.Outcomes = append(done.Outcomes, o)
		}
	}
	done.Claim = r.event(eventlog.Claimed(fmt.Sprint("claim-", len(r.log)+1), r.now, claim))
	if len(done.Outcomes) > 0 {
		r.event(eventlog.Settled(fmt.Sprint("settled-", len(r.log)+1), r.now, done))
	}
}

// script is what happens on the golden log.
func (r *recorder) script() {
	r.event(eventlog.RulesActivated("rules-1", r.now, workflow.RulesActivated{Version: 1, ParkingLimitSeconds: 3600}))
	n := 1
	for _, from := range append([]workflow.Status{workflow.Unseen}, workflow.Statuses...) {
		for _, to := range workflow.Statuses {
			r.stand(n, from)
			if from == workflow.Unseen && to == workflow.Opened {
				r.says(n, r.content(n))
			} else {
				r.status(n, to)
			}
			r.settle()
			n++
		}
	}
	r.edits()
	r.mails()
	r.erases()
	r.turnedDown()
}

// erases erases a canceled document, as countersign erase does but for taking
// it off the log, and says something of it afterwards.
func (r *recorder) erases() {
	r.stand(150, workflow.Canceled)
	b := workflow.Erased{
		DocumentSID: goldenPX(150), AccountSID: goldenAccount, Status: workflow.Canceled, Round: 1, OrderSIDs: []workflow.SID{goldenHR(150)},
	}
	for _, g := range r.log {
		if e := events.Decode(g.message()); e.Document == b.DocumentSID {
			digest := sha256.Sum256(g.message().Data)
			b.Entries = append(b.Entries, workflow.ErasedEntry{Sequence: g.Sequence, Type: e.Body.Type(), SHA256: hex.EncodeToString(digest[:])})
		}
	}
	r.event(eventlog.Erased(r.now, b))
	r.says(150, r.content(150))
	r.settle()
}

// stand brings the nth document to a status.
func (r *recorder) stand(n int, s workflow.Status) {
	if s == workflow.Unseen {
		return
	}
	c := r.content(n)
	c.Hold = s == workflow.Opened
	r.says(n, c)
	r.settle()
	if s != workflow.Opened && s != workflow.Signing {
		r.says(n, workflow.StatusChanged{
			Status: s, Reason: "as asked", Evidence: json.RawMessage(`{"name":"Olivia <Owner>","at":{"ip":"192.0.2.1"}}`),
			LetterDigest: "sha256:" + strings.Repeat("0f", 32),
		})
		r.settle()
	}
}

// edits edits documents, recalls them, and reports on their orders.
func (r *recorder) edits() {
	r.stand(100, workflow.Opened)
	r.says(100, workflow.Updated{ContactTitle: new("Owner"), ContactPhoneNumber: new("+1 415 555 2671"), CCEmails: &[]string{"a@example.com", "A@example.com"}})
	r.status(100, workflow.Signing)
	r.says(100, workflow.Updated{Email: new("new@bücher.example")}) // what is being sent: another round
	r.settle()
	r.status(100, workflow.Opened)
	r.says(100, workflow.Updated{HostedNumberOrders: &[]workflow.OrderRef{{SID: goldenHR(100), PhoneNumber: "+14155552671"}, {SID: goldenHR(101)}}})
	r.status(100, workflow.Signing)
	r.settle()
	r.timer(100, "reminder-1", 3)
	r.settle()
	r.status(100, workflow.Signed)
	r.settle()
	for _, s := range []workflow.OrderStatus{workflow.OrderTesting, workflow.OrderActionRequired, workflow.OrderFailed, workflow.OrderCompleted} {
		r.says(100, workflow.OrderStatusChanged{Order: goldenHR(100), Status: s, FailureReason: "in the carrier's words"})
	}
	r.timer(100, "freshness", 3)
	r.stand(102, workflow.Signing)
	r.timer(102, "expiry", 1)
	r.settle()
	r.says(103, workflow.OrderStatusChanged{Order: goldenHR(103), Status: workflow.OrderVerified}) // early, and let through
	r.status(103, workflow.Signed)
	r.says(103, r.content(103))
	r.settle()
}

func (r *recorder) timer(n int, timer string, round int) {
	r.t.Helper()
	r.event(eventlog.FromPending(workflow.PendingEvent{
		Account: goldenAccount, Document: goldenPX(n), What: fmt.Sprintf("due.%s.%d", timer, round), At: r.now,
		Body: workflow.TimerDue{Timer: timer, Round: round, DueAt: r.now},
	}))
}

// mails has them deferred, rejected, in doubt, held and withdrawn.
func (r *recorder) mails() {
	answers := map[workflow.SID][]workflow.MailOutcome{
		goldenPX(120): {{Outcome: workflow.Deferred, Code: 451, Reply: "4.7.1 Greylisted", RetryAfterMs: 60_000}},
		goldenPX(121): {{Outcome: workflow.Rejected, Code: 550, Reply: "5.1.1 No such user <…>"}},
		goldenPX(122): {{}, {Outcome: workflow.Unknown}, {Outcome: workflow.Accepted, Code: 250}},
		goldenPX(123): {{Outcome: workflow.Held}},
		goldenPX(124): {{}},
		goldenPX(127): {{}},
	}
	r.outcome = func(id workflow.MailID) workflow.MailOutcome {
		o := workflow.MailOutcome{Outcome: workflow.Accepted, Code: 250, Reply: "ok"}
		if next := answers[id.Document()]; len(next) > 0 {
			o, answers[id.Document()] = next[0], next[1:]
		}
		o.Mail = id
		return o
	}
	for _, n := range []int{120, 121, 122, 123, 124, 125, 127} {
		r.says(n, r.content(n))
	}
	r.settle()
	open, err := r.store.OpenClaims(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, claim := range open {
		mails, err := r.store.ClaimedMails(r.t.Context(), claim)
		if err != nil {
			r.t.Fatal(err)
		}
		b := workflow.Settled{Worker: "worker-1", Claim: claim}
		for _, m := range mails {
			if m.Document == goldenPX(122) {
				b.Outcomes = append(b.Outcomes, workflow.MailOutcome{Mail: m.ID, Outcome: workflow.Unknown})
			}
		}
		if len(b.Outcomes) > 0 {
			r.event(eventlog.Settled(fmt.Sprint("settled-", len(r.log)+1), r.now, b))
		}
	}
	r.now = r.now.Add(2 * time.Minute)
	r.settle()
	r.says(126, r.content(126))
	r.status(126, workflow.Canceled)                               // its mail is withdrawn
	r.says(124, workflow.Updated{ContactTitle: new("Owner")})      // its mail waits for the one in flight to the same person
	r.says(127, workflow.Updated{Email: new("later@example.com")}) // its mail does not: the one in flight is to somebody else
	r.settle()
}

// turnedDown has an event of every way not to be applied; some are sent again,
// one is discarded, one is in quarantine.
func (r *recorder) turnedDown() {
	subject := events.Prefix + string(goldenAccount) + "." + string(goldenPX(140))
	envelope := func(id, typ, more, data string) []byte {
		return fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"/orders","type":"authorization_document.%s"%s,"data":%s}`, id, typ, more, data)
	}
	waste := r.raw("authdocs.v2", nil, []byte("\xff\xfe"))
	r.raw(subject+".created", nil, []byte("not JSON"))
	r.raw(subject+".created", nil, nil)
	r.raw(subject+".created", nil, envelope("u1", "renamed", "", "{}"))
	r.raw(subject+".created", nil, envelope("u2", "created", `,"schemaversion":"2"`, "{}"))
	r.raw(subject+".created.by.nobody", nil, envelope("u3", "created", "", "{}"))
	r.raw(subject+".updated", nil, envelope("big", "updated", "", `{"contact_title":"`+strings.Repeat("x", events.MaxTitle+1)+`"}`))
	r.raw(subject+".updated", nil, envelope("many", "updated", "", `{"cc_emails":[`+strings.Repeat(`"a@example.com",`, events.MaxCC)+`"b@example.com"]}`))
	invalid := r.raw(subject+".created", nats.Header{
		"ce-specversion": {"1.0"}, "ce-id": {"b%201"}, "ce-source": {"/orders"}, "ce-type": {workflow.TypeCreated},
	}, []byte(`{"address_sid":"AD0123456789abcdef0123456789abcdef","email":"nobody","hosted_number_order_sids":["`+string(goldenHR(140))+`"]}`))
	m, err := r.log[invalid-1].message().Redrive(events.Repair{Set: []string{"data.email=mended@example.com"}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.raw(m.Subject, m.Header, m.Data)
	r.raw(m.Subject, m.Header, m.Data) // sent twice
	r.event(eventlog.Discarded("", "", r.now, workflow.Discarded{Sequence: waste, Reason: "a probe"}))
	r.settle()
	r.says(140, r.content(140))
	r.says(140, workflow.Updated{Email: new("x@example.com")})
	r.says(141, r.content(140))
	r.says(140, workflow.OrderStatusChanged{Order: goldenHR(999), Status: workflow.OrderTesting})
	r.event(events.StatusChanged("/other", "mine", "ACffffffffffffffffffffffffffffffff", goldenPX(140), workflow.StatusChanged{Status: workflow.Canceled}))
	r.status(142, workflow.Signed)
	r.settle()
	r.now = r.now.Add(2 * time.Hour) // parked too long
	r.settle()
	r.says(143, workflow.Updated{ContactTitle: new("Owner")}) // parked still
	r.stand(144, workflow.Opened)
	poison := r.says(145, r.content(145))
	r.event(eventlog.Quarantined(r.now, workflow.Quarantined{Sequence: poison, Crashes: 2, Worker: "worker-1"}))
	r.status(144, workflow.Signing)
	for i := range r.log[:8] { // met again, the first of them
		r.raw(r.log[i].Subject, r.log[i].Header, r.log[i].message().Data)
	}
}

// reports has mails reported on and sent again, wherever the document stands,
// and one that is erased in between.
func (r *recorder) reports() {
	r.event(eventlog.RulesActivated("rules-1", r.now, workflow.RulesActivated{Version: 1, ParkingLimitSeconds: 3600}))
	hard := func(n int, kind workflow.MailKind) workflow.Bounced {
		id := workflow.MailID(fmt.Sprintf("%s.1.%s.0", goldenPX(n), kind))
		return workflow.Bounced{Mail: id, Action: workflow.ActionFailed, Status: "5.1.1", Diagnostic: "550 5.1.1 <…>: user unknown"}
	}
	for n, s := range append([]workflow.Status{workflow.Unseen}, workflow.Statuses...) {
		r.stand(n, s)
		soft := hard(n, workflow.MailSignature)
		soft.Action, soft.Status = workflow.ActionDelayed, "4.4.1"
		for _, b := range []workflow.Body{soft, hard(n, workflow.MailSent), workflow.Resend{}, workflow.Resend{Round: 1}, workflow.Resend{Round: 7}} {
			r.says(n, b)
		}
		r.settle()
		again := r.says(n, hard(n, workflow.MailSignature))
		r.raw(r.log[again-1].Subject, nil, r.log[again-1].message().Data) // a second copy
		r.settle()
	}
	r.outcome = func(id workflow.MailID) workflow.MailOutcome { return workflow.MailOutcome{} }
	r.says(20, r.content(20))
	mails, err := r.store.DueMails(r.t.Context(), r.now, nil, 20)
	if err != nil {
		r.t.Fatal(err)
	}
	r.send(mails)
	b := hard(20, workflow.MailSignature) // before the outcome is known
	r.event(events.Bounced("/mx", "e20", "", b))
	r.outcome = nil
	r.settle()
	r.erases()
	r.event(events.Bounced("/mx", "e150", "", hard(150, workflow.MailSignature)))
	r.settle()
}
