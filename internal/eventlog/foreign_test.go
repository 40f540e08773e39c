package eventlog_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// intrude stores the server's acknowledgement of a harmless publish on a
// subject of the log, as anybody can who may publish one event.
func intrude(t testing.TB, nc *nats.Conn, on string) uint64 {
	t.Helper()
	before := authdocs(t, nc).CachedInfo().State.LastSeq
	if err := nc.PublishRequest(mine+"updated", on, []byte("x")); err != nil {
		t.Fatal(err)
	}
	var seq uint64
	eventstest.Wait(t, "an acknowledgement on "+on, func() bool {
		for s := before + 1; s <= authdocs(t, nc).CachedInfo().State.LastSeq; s++ {
			if m, err := authdocs(t, nc).GetMsg(t.Context(), s); err == nil && m.Subject == on {
				seq = s
			}
		}
		return seq > 0
	})
	return seq
}

func subjectOf(t testing.TB, e events.Event) string {
	t.Helper()
	subject, err := e.Subject()
	if err != nil {
		t.Fatal(err)
	}
	return subject
}

// standsOnce returns where the event is on the log, and fails the test unless
// it is there once.
func standsOnce(t testing.TB, nc *nats.Conn, e events.Event) (seq uint64) {
	t.Helper()
	want, err := e.Message()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range stored(t, nc) {
		if m.Subject == want.Subject && bytes.Equal(m.Data, want.Data) {
			n, seq = n+1, m.Sequence
		}
	}
	if n != 1 {
		t.Errorf("%s is on the log %d times, want once", want.Subject, n)
	}
	return seq
}

func TestLogAppendOnce_ForeignEntryIsNotTakenForTheEvent(t *testing.T) {
	own := []events.Event{
		dueEvent(1),
		eventlog.FromPending(workflow.PendingEvent{Account: ac, Document: px, What: "refused.7", Body: workflow.Refused{Sequence: 7, Problem: workflow.Problem{Code: workflow.CodeInvalid}}, At: at}),
		eventlog.FromPending(workflow.PendingEvent{Account: ac, Document: px, What: "stale.1", Body: workflow.LetterStale{Reason: "age", Round: 1, DateSigned: at}, At: at}),
		eventlog.FromPending(workflow.PendingEvent{Account: ac, Document: px, What: "order." + hr1 + ".register", Body: workflow.Register{OrderSID: hr1, DocumentSID: px, AccountSID: ac, DateSigned: at}, At: at}),
		eventlog.FromPending(workflow.PendingEvent{Account: ac, Document: px, What: "became.signing.1", Body: workflow.Became{Document: workflow.Document{SID: px, AccountSID: ac, Status: workflow.Signing, Round: 1}}, At: at}),
		eventlog.Discarded(ac, px, at, workflow.Discarded{Sequence: 7, Reason: "not needed"}),
		eventlog.Quarantined(at, workflow.Quarantined{Sequence: 7}),
	}
	for _, batch := range []int{1, len(own)} { // one by one, and in an atomic batch
		t.Run(fmt.Sprint("batches of ", batch), func(t *testing.T) {
			nc := eventstest.Connect(t, eventstest.Server(t))
			log := eventstest.Open(t, nc, 1)
			for i, e := range own {
				for range i % 3 { // none, one, two
					intrude(t, nc, subjectOf(t, e))
				}
			}
			for range 2 {
				for es := range slices.Chunk(own, batch) {
					if _, err := log.AppendOnce(t.Context(), es); err != nil {
						t.Fatal(err)
					}
				}
				for _, e := range own {
					standsOnce(t, nc, e)
				}
				for _, e := range own { // behind the event it changes nothing either
					intrude(t, nc, subjectOf(t, e))
				}
			}
		})
	}
}

func TestLogAppendOnce_TwoWorkersBehindForeignEntriesAppendOnce(t *testing.T) {
	broker := eventstest.Server(t)
	nc := eventstest.Connect(t, broker)
	eventstest.Open(t, nc, 1)
	es := dueEvents(0, 40)
	for _, e := range es {
		intrude(t, nc, subjectOf(t, e))
	}
	var workers sync.WaitGroup
	for range 3 {
		log := eventstest.Open(t, eventstest.Connect(t, broker), 1)
		workers.Go(func() {
			for _, e := range es {
				if _, err := log.AppendOnce(t.Context(), []events.Event{e}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	for _, e := range es {
		standsOnce(t, nc, e)
	}
}

func TestLogClaim_ForeignEntryIsNoClaim(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	intrude(t, nc, workflow.ClaimsSubject)
	first, err := log.Claim(t.Context(), claimEvent("a", 1), 0)
	if err != nil {
		t.Fatalf("behind a foreign entry: %v", err)
	}
	last := intrude(t, nc, workflow.ClaimsSubject)
	second, err := log.Claim(t.Context(), claimEvent("b", 1), first)
	if err != nil || second < last {
		t.Fatalf("the last claim is known, a foreign entry is behind it: got %d, %v", second, err)
	}
	intrude(t, nc, workflow.ClaimsSubject)
	if _, err := log.Claim(t.Context(), claimEvent("a", 2), first); !errors.Is(err, eventlog.ErrLost) {
		t.Errorf("another claim came first, with foreign entries around it: got %v, want ErrLost", err)
	}
	if seq, err := log.Claim(t.Context(), claimEvent("b", 1), first); err != nil || seq != second {
		t.Errorf("the same claim again: got %d, %v; want %d", seq, err, second)
	}
	standsOnce(t, nc, claimEvent("a", 1))
	standsOnce(t, nc, claimEvent("b", 1))
}

func TestLogAppendErased_ForeignEntryIsNoErasure(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	e := eventlog.Erased(at, workflow.Erased{DocumentSID: px, AccountSID: ac, Status: workflow.Signed, Round: 1, Entries: []workflow.ErasedEntry{{Sequence: 1, SHA256: digest[7:]}}})
	intrude(t, nc, subjectOf(t, e))
	if last, err := log.ErasedUpTo(t.Context()); err != nil || last != 0 {
		t.Errorf("the last erasure is %d, %v; want none", last, err)
	}
	seq, err := log.AppendErased(t.Context(), e, 0)
	if err != nil {
		t.Fatal(err)
	}
	intrude(t, nc, subjectOf(t, e))
	if last, err := log.ErasedUpTo(t.Context()); err != nil || last != seq {
		t.Errorf("the last erasure is %d, %v; want %d", last, err, seq)
	}
}

func TestLogFollow_ForeignEntryQuarantinesNothing(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	seq, err := log.Append(t.Context(), createdEvent(0))
	if err != nil {
		t.Fatal(err)
	}
	intrude(t, nc, fmt.Sprintf("%s_.quarantined.%d", events.Prefix, seq))
	var live, fresh fold
	follow(t, log, &live)
	eventstest.Wait(t, "the event, the attacker's message and what it left", func() bool { return live.sequence() >= 3 })
	if b := live.entry(seq).Body; b.Type() != workflow.TypeCreated {
		t.Errorf("the entry is read as %#v", b)
	}
	if n := log.Stats().Foreign; n != 1 {
		t.Errorf("%d foreign entries are counted, want 1", n)
	}
	in, err := log.Quarantine(t.Context(), live.entry(seq).Time, workflow.Quarantined{Sequence: seq, Crashes: 2})
	if err != nil || !in {
		t.Fatalf("the real event: %v, %v", in, err)
	}
	follow(t, eventstest.Open(t, nc, 1), &fresh)
	eventstest.Wait(t, "the quarantine event", func() bool { return fresh.sequence() >= 4 })
	if _, ok := fresh.entry(seq).Body.(workflow.Invalid); !ok {
		t.Error("the entry is not in quarantine behind the real event")
	}
}

// thief takes the Nats-Msg-Id of each message before it arrives, for a message
// of its own.
type thief struct {
	jetstream.JetStream
	mu    sync.Mutex
	takes int // as many it takes yet
}

func (x *thief) PublishMsg(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	x.mu.Lock()
	steal := x.takes > 0
	x.takes--
	x.mu.Unlock()
	if steal {
		foreign := nats.NewMsg(events.Prefix + ac + "." + px + ".resend")
		foreign.Header.Set(jetstream.MsgIDHeader, m.Header.Get(jetstream.MsgIDHeader))
		if _, err := x.JetStream.PublishMsg(ctx, foreign); err != nil {
			return nil, err
		}
	}
	return x.JetStream.PublishMsg(ctx, m, opts...)
}

func TestLogAppend_TakenMessageIDIsNotTakenForTheEvent(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	eventstest.Open(t, nc, 1)
	x := &thief{JetStream: manager(t, nc), takes: 3}
	log, err := eventlog.OpenOn(t.Context(), eventlog.Broker{Conn: nc, JS: x, Batch: func(context.Context, []*nats.Msg) (*jetstreamext.BatchAck, error) {
		return nil, &jetstream.APIError{Code: 429, ErrorCode: 10210, Description: "too many open batches"}
	}}, 1, eventstest.Logger())
	if err != nil {
		t.Fatal(err)
	}
	settled := eventlog.Settled("w.1", at, workflow.Settled{Worker: "w", Claim: 1, Outcomes: []workflow.MailOutcome{{Mail: px + ".1.signature.0", Outcome: workflow.Accepted}}})
	seq, err := log.Append(t.Context(), settled)
	if err != nil || seq != standsOnce(t, nc, settled) {
		t.Errorf("got sequence %d, %v; it is at %d", seq, err, standsOnce(t, nc, settled))
	}
	if n := log.Stats().TakenIDs; n != 3 {
		t.Errorf("%d message ids are counted as taken, want 3", n)
	}
	x.mu.Lock()
	x.takes = 30
	x.mu.Unlock()
	if _, err := log.AppendOnce(t.Context(), dueEvents(0, 20)); err != nil { // the server takes no batch
		t.Fatal(err)
	}
	for _, e := range dueEvents(0, 20) {
		standsOnce(t, nc, e)
	}
}

func TestLogAppendOnce_BatchThatIsRefusedIsAppendedOneByOne(t *testing.T) {
	for _, code := range []jetstream.ErrorCode{10210, 10174, 10176, 10199, 10003} {
		nc := eventstest.Connect(t, eventstest.Server(t))
		eventstest.Open(t, nc, 1)
		log, err := eventlog.OpenOn(t.Context(), eventlog.Broker{Conn: nc, JS: manager(t, nc), Batch: func(context.Context, []*nats.Msg) (*jetstreamext.BatchAck, error) {
			return nil, &jetstream.APIError{Code: 503, ErrorCode: code, Description: "refused"}
		}}, 1, eventstest.Logger())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if _, err := log.AppendOnce(ctx, dueEvents(0, 20)); err != nil {
			t.Errorf("error code %d: %v", code, err)
		}
		cancel()
		checkStandOnce(t, nc, 20)
	}
}

func TestLetters_ForeignMessageHidesNoLetter(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	name, other := eventlog.LetterName(px, digest), eventlog.LetterName("PXbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", digest)
	squat := func(name string) {
		t.Helper()
		if err := nc.PublishRequest(mine+"updated", "$O."+eventlog.LettersBucket+".M."+base64.URLEncoding.EncodeToString([]byte(name)), []byte("x")); err != nil {
			t.Fatal(err)
		}
		eventstest.Wait(t, "the message in the letter's place", func() bool {
			store, err := manager(t, nc).ObjectStore(t.Context(), eventlog.LettersBucket)
			if err != nil {
				t.Fatal(err)
			}
			info, err := store.GetInfo(t.Context(), name)
			return err == nil && info.NUID == ""
		})
	}
	for _, n := range []string{name, other} {
		if err := log.PutLetter(t.Context(), n, []byte("letter "+n)); err != nil {
			t.Fatal(err)
		}
	}
	squat(name)
	if got, err := log.Letter(t.Context(), name); err != nil || string(got) != "letter "+name {
		t.Errorf("read %q, %v", got, err)
	}
	squat(name)
	if err := log.PutLetter(t.Context(), name, []byte("letter "+name)); err != nil {
		t.Errorf("kept again: %v", err)
	}
	squat(name)
	// The sweep after an erasure removes what belongs to no object.
	eventlog.SetUploadWait(0)
	defer eventlog.SetUploadWait(time.Hour)
	if err := log.RemoveLetters(t.Context(), "PXbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"); err != nil {
		t.Fatal(err)
	}
	if got, err := log.Letter(t.Context(), name); err != nil || string(got) != "letter "+name {
		t.Errorf("after the sweep: read %q, %v", got, err)
	}
	if _, err := log.Letter(t.Context(), other); !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("the removed letter: %v", err)
	}
	squat(other)
	if err := log.ProbeLetters(t.Context(), other); !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("a message in the removed letter's place passes for it: %v", err)
	}
	squat(name)
	if err := log.ProbeLetters(t.Context(), name); err != nil {
		t.Errorf("a letter whose place somebody else's message has: %v", err)
	}
}
