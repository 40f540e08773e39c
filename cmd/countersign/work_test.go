package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/db"
	"countersign/events"
	"countersign/internal/test/eventstest"
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

// numbered gives each order a telephone number of its own, because a letter must
// name the numbers.
func numbered(sids ...workflow.SID) (refs []workflow.OrderRef) {
	for _, sid := range sids {
		n, err := strconv.ParseUint(string(sid[len(sid)-6:]), 16, 32)
		if err != nil {
			panic(err)
		}
		refs = append(refs, workflow.OrderRef{SID: sid, PhoneNumber: fmt.Sprintf("+1415%07d", 2_000_000+n%7_000_000)})
	}
	return refs
}

// publish publishes n more documents, however long the broker is away. It may
// run beside the test.
func (w *work) publish(n int) {
	for range n {
		w.n++
		sid := testPX(w.n)
		w.say(events.Created("/storm", fmt.Sprint("created-", w.n), testAccount, sid, workflow.Created{
			AddressSID: "AD00000000000000000000000000000001", Email: signer(w.n),
			CCEmails: []string{fmt.Sprintf("cc-%d@example.com", w.n)}, HostedNumberOrders: numbered(orders(w.n)...),
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
	s.order(w.x)
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
	(SELECT COUNT(*) FROM mails WHERE state IN ('waiting', 'pending', 'claimed')),
	(SELECT COUNT(*) FROM outbox_events WHERE done_seq = 0 AND ` + soon + `) FROM position`

// soon tells an event that is owed from a timer that runs.
const soon = `due_ms < (unixepoch() + 3600) * 1000`

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
