package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/db"
	"countersign/events"
	"countersign/events/eventstest"
	"countersign/workflow"
)

// work publishes documents, each created and signed at once, so that all that
// Countersign does happens to it: the signature waits for the mail, the mail
// for the worker.
type work struct {
	x  *town
	js jetstream.JetStream
	n  int // documents so far
}

func newWork(x *town) *work {
	js, err := jetstream.New(x.nc)
	if err != nil {
		x.t.Fatal(err)
	}
	return &work{x: x, js: js}
}

// signer is the address of a document's signer: of ten, one does not exist and
// one is greylisted at first.
func signer(n int) string {
	switch n % 10 {
	case 7:
		return "no-such-user@nowhere.example"
	case 3:
		return fmt.Sprintf("greylisted-%d@example.com", n)
	}
	return fmt.Sprintf("signer-%d@example.com", n)
}

// orders are two of a document's own.
func orders(n int) []workflow.SID {
	return []workflow.SID{workflow.SID(fmt.Sprintf("HR%031xa", n)), workflow.SID(fmt.Sprintf("HR%031xb", n))}
}

// publish publishes n more documents, however long the broker is away. It may
// run beside the test.
func (w *work) publish(n int) {
	for range n {
		w.n++
		sid := testPX(w.n)
		w.say(events.Created("/storm", fmt.Sprint("created-", w.n), testAccount, sid, workflow.Created{
			AddressSID: "AD00000000000000000000000000000001", Email: signer(w.n),
			CCEmails: []string{fmt.Sprintf("cc-%d@example.com", w.n)}, HostedNumberOrderSIDs: orders(w.n),
		}))
		w.say(events.StatusChanged("/storm", fmt.Sprint("signed-", w.n), testAccount, sid, workflow.StatusChanged{Status: workflow.Signed}))
	}
}

// say publishes one event until it is acknowledged.
func (w *work) say(e events.Event) {
	for began := time.Now(); ; {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		_, err := events.Publish(ctx, w.js, e)
		<-pauseBy(ctx, err) // nothing to wait for where it was acknowledged
		cancel()
		if err == nil {
			return
		}
		if time.Since(began) > 2*time.Minute {
			w.x.t.Errorf("publish %s: %v", e.ID, err)
			return
		}
	}
}

// pauseBy is closed at once where there is no error, and with ctx otherwise.
func pauseBy(ctx context.Context, err error) <-chan struct{} {
	if err != nil {
		return ctx.Done()
	}
	done := make(chan struct{})
	close(done)
	return done
}

// toll is what a run came to.
type toll struct {
	documents, entries, registers, became, refused int
	mails, doubted, doubled, copies                int // accepted, in doubt, of those sent again, and how often
}

func (c toll) String() string {
	return fmt.Sprintf("%d documents, %d entries, %d register, %d became and %d refused events, %d mails accepted, %d in doubt, %d of them doubled by %d copies",
		c.documents, c.entries, c.registers, c.became, c.refused, c.mails, c.doubted, c.doubled, c.copies)
}

// settle waits until the worker of each directory has done all there is to do,
// and checks every invariant of docs/faults.md from the outside: by the log,
// the catcher and the databases. mostDoubled is how many copies the faults may
// have cost.
func (w *work) settle(mostDoubled int, dirs ...string) toll {
	w.x.t.Helper()
	for _, dir := range dirs {
		w.comesToRest(dir)
	}
	log, created := w.x.entries()
	c := toll{documents: w.n, entries: len(log)}
	s := seen{t: w.x.t, log: log, db: query(w.x.t, dirs[0])}
	s.once(&c)
	s.causes()
	s.results()
	s.claims()
	s.documents(w)
	s.mails(w.x, &c)
	if c.copies > mostDoubled {
		w.x.t.Errorf("%d mails were sent again, more than the %d that can have been in flight", c.copies, mostDoubled)
	}
	want := dump(w.x.t, dirs[0])
	for _, dir := range dirs[1:] {
		if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(dump(w.x.t, dir), "\n")); diff != "" {
			w.x.t.Errorf("I3: two replicas differ:\n%s", diff)
		}
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(rebuilt(w.x.t, log, created), "\n")); diff != "" {
		w.x.t.Errorf("I2: the log folded again (+) gives another state:\n%s", diff)
	}
	w.x.t.Log(c)
	return c
}

// comesToRest waits until every document has ended and nothing is owed.
func (w *work) comesToRest(dir string) {
	w.x.t.Helper()
	var last string
	defer func() {
		if w.x.t.Failed() {
			w.x.t.Logf("no rest: %s", last)
		}
	}()
	file, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, db.FileName)+"?mode=ro")
	if err != nil {
		w.x.t.Fatal(err)
	}
	defer file.Close()
	eventstest.WaitFor(w.x.t, 3*time.Minute, "everything to be done (I9)", func() bool {
		var applied uint64
		var ended, mails, owed int
		if err := file.QueryRow(howFar).Scan(&applied, &ended, &mails, &owed); err != nil {
			last = err.Error() // the worker has only just begun
			return false
		}
		last = fmt.Sprintf("applied %d, %d of %d documents have ended, %d mails and %d events are owed", applied, ended, w.n, mails, owed)
		return ended == w.n && mails == 0 && owed == 0 && applied == w.x.tail()
	})
}

// howFar is asked of a database that a worker writes to.
const howFar = `SELECT sequence,
	(SELECT COUNT(*) FROM documents WHERE status IN ('signed', 'failed')),
	(SELECT COUNT(*) FROM mails WHERE state IN ('waiting', 'owed', 'claimed')),
	(SELECT COUNT(*) FROM owed_events WHERE settled_seq = 0) FROM position`

// entries reads the whole log.
func (x *town) entries() (log []workflow.Entry, created time.Time) {
	x.t.Helper()
	js, err := jetstream.New(x.nc)
	if err != nil {
		x.t.Fatal(err)
	}
	stream, err := js.Stream(x.t.Context(), events.StreamName)
	if err != nil {
		x.t.Fatal(err)
	}
	c, err := js.OrderedConsumer(x.t.Context(), events.StreamName, jetstream.OrderedConsumerConfig{})
	if err != nil {
		x.t.Fatal(err)
	}
	msgs, err := c.Messages()
	if err != nil {
		x.t.Fatal(err)
	}
	defer msgs.Stop()
	for tail, last := stream.CachedInfo().State.LastSeq, uint64(0); last < tail; {
		m, err := msgs.Next(jetstream.NextMaxWait(30 * time.Second))
		if err != nil {
			x.t.Fatal(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			x.t.Fatal(err)
		}
		last = meta.Sequence.Stream
		log = append(log, events.Decode(events.Message{
			Sequence: last, Time: meta.Timestamp.UTC(), Subject: m.Subject(), Header: m.Headers(), Data: m.Data(),
		}))
	}
	return log, stream.CachedInfo().Created
}

// rebuilt folds the log into an empty store, in other batches than a worker.
func rebuilt(t *testing.T, log []workflow.Entry, created time.Time) string {
	t.Helper()
	s, err := db.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for batch := range slices.Chunk(log, 97) {
		if err := s.Apply(t.Context(), created, batch); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := s.Dump(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// seen is a log and what a worker's database says of it.
type seen struct {
	t   *testing.T
	log []workflow.Entry
	db  func(query string, row func(scan func(...any)))
}

// query reads a database past the store's own code.
func query(t *testing.T, dir string) func(string, func(scan func(...any))) {
	t.Helper()
	file, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, db.FileName)+"?_query_only=on")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return func(query string, row func(func(...any))) {
		t.Helper()
		rows, err := file.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			row(func(to ...any) {
				if err := rows.Scan(to...); err != nil {
					t.Fatal(err)
				}
			})
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

var onceEver = regexp.MustCompile(`\.(became|register|refused|due)\b`)

// once counts the events that may stand on the log once (I6).
func (s seen) once(c *toll) {
	s.t.Helper()
	at := map[string]uint64{}
	for _, e := range s.log {
		kind := onceEver.FindStringSubmatch(e.Subject)
		if kind == nil {
			continue
		}
		if first := at[e.Subject]; first > 0 {
			s.t.Errorf("I6: %s stands at %d and at %d", e.Subject, first, e.Sequence)
		}
		at[e.Subject] = e.Sequence
		switch kind[1] {
		case "became":
			c.became++
		case "register":
			c.registers++
		case "refused":
			c.refused++
		}
	}
}

// causes holds each event of ours to the entry that owed it (I6).
func (s seen) causes() {
	s.t.Helper()
	owed := map[string]bool{}
	s.db(`SELECT subject, cause, settled_seq FROM owed_events`, func(scan func(...any)) {
		var subject string
		var cause, settled int
		scan(&subject, &cause, &settled)
		owed[subject] = true
		switch {
		case settled == 0:
			s.t.Errorf("I6: %s is owed still", subject)
		case settled > 0 && (settled <= cause || settled > len(s.log) || s.log[settled-1].Subject != subject):
			s.t.Errorf("I6: %s, owed at %d, is said to stand at %d", subject, cause, settled)
		}
	})
	for _, e := range s.log {
		if onceEver.MatchString(e.Subject) && !owed[e.Subject] {
			s.t.Errorf("I6: %s stands at %d, and nothing owed it", e.Subject, e.Sequence)
		}
	}
}

// results holds the inbox to the log: each event has one result (I1).
func (s seen) results() {
	s.t.Helper()
	result := map[string]string{}
	s.db(`SELECT source, event_id, result FROM inbox`, func(scan func(...any)) {
		var source, id, r string
		scan(&source, &id, &r)
		result[source+" "+id] = r
	})
	on := map[string]bool{}
	for _, e := range s.log {
		key := e.Source + " " + e.ID
		on[key] = true
		if r := result[key]; r == "" || r == "parked" {
			s.t.Errorf("I1: entry %d, %s, has the result %q", e.Sequence, key, r)
		}
	}
	if len(on) != len(result) {
		s.t.Errorf("I1: %d events on the log, %d results", len(on), len(result))
	}
}

// claims holds each outcome to the claim that it names (I7).
func (s seen) claims() {
	s.t.Helper()
	for _, e := range s.log {
		settled, ok := e.Body.(workflow.Settled)
		if !ok {
			continue
		}
		if settled.Claim == 0 || settled.Claim >= e.Sequence {
			s.t.Errorf("I7: the outcomes at %d name the claim %d", e.Sequence, settled.Claim)
			continue
		}
		claim, _ := s.log[settled.Claim-1].Body.(workflow.Claimed)
		for _, o := range settled.Outcomes {
			if !slices.Contains(claim.Mails, o.Mail) {
				s.t.Errorf("I7: %s is settled at %d, and the claim %d did not take it", o.Mail, e.Sequence, settled.Claim)
			}
		}
	}
}

// documents holds each document to what its events must come to.
func (s seen) documents(w *work) {
	s.t.Helper()
	subjects := map[string]bool{}
	for _, e := range s.log {
		subjects[e.Subject] = true
	}
	status := map[string]workflow.Status{}
	s.db(`SELECT sid, status FROM documents`, func(scan func(...any)) {
		var sid, is string
		scan(&sid, &is)
		status[sid] = workflow.Status(is)
	})
	for n := 1; n <= w.n; n++ {
		prefix := fmt.Sprintf("%s%s.%s.", workflow.SubjectPrefix, testAccount, testPX(n))
		want, wanted := workflow.Signed, []string{"became.signing.1", "became.signed.1"}
		for _, order := range orders(n) {
			wanted = append(wanted, "order."+string(order)+".register")
		}
		if strings.HasPrefix(signer(n), "no-such-user") {
			want, wanted = workflow.Failed, []string{"became.failed.1"}
		}
		if got := status[string(testPX(n))]; got != want {
			s.t.Errorf("lost: document %d is %s, want %s", n, got, want)
		}
		for _, what := range wanted {
			if !subjects[prefix+what] {
				s.t.Errorf("lost: %s%s is not on the log", prefix, what)
			}
		}
	}
}

// mails holds the mails to what the catcher caught (I4, I5).
func (s seen) mails(x *town, c *toll) {
	s.t.Helper()
	caught := map[string]int{}
	for _, m := range x.box.Mails() {
		id, _, _ := strings.Cut(strings.Trim(m.MessageID, "<>"), "@")
		caught[id]++
	}
	known := map[string]int{}
	s.db(`SELECT id, state, doubts FROM mails`, func(scan func(...any)) {
		var id, state string
		var doubts int
		scan(&id, &state, &doubts)
		known[string(workflow.MailID(id).Document())]++
		n := caught[id]
		delete(caught, id)
		switch {
		case state == "accepted" && n == 0:
			s.t.Errorf("I4: lost: %s is said to be accepted, and the server never saw it", id)
		case state != "accepted" && (state != "rejected" || n > 0):
			s.t.Errorf("%s ends as %s, caught %d times", id, state, n)
		case n > 1 && n-1 > doubts:
			s.t.Errorf("I5: %s was sent %d times and was in doubt %d times", id, n, doubts)
		}
		if state == "accepted" {
			c.mails++
		}
		if doubts > 0 {
			c.doubted++
		}
		if n > 1 {
			c.doubled++
			c.copies += n - 1
		}
	})
	for id := range caught {
		s.t.Errorf("%s was sent, and nothing owed it", id)
	}
	for n := 1; n <= c.documents; n++ {
		want := 4 // signature, sent to cc, signed to cc and signer
		if strings.HasPrefix(signer(n), "no-such-user") {
			want = 1
		}
		if got := known[string(testPX(n))]; got != want {
			s.t.Errorf("I4: document %d has %d mails, want %d", n, got, want)
		}
	}
}
