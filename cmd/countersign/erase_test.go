package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
	"countersign/internal/test/logtest"
	"countersign/workflow"
)

// say publishes events.
func (x *town) say(list ...events.Event) {
	x.t.Helper()
	js, err := jetstream.New(x.nc)
	if err != nil {
		x.t.Fatal(err)
	}
	for _, e := range list {
		if _, err := events.Publish(x.t.Context(), js, e); err != nil {
			x.t.Fatal(err)
		}
	}
}

// sayAgain publishes events as a replay does that comes long after: their
// Nats-Msg-Ids are forgotten.
func (x *town) sayAgain(list ...events.Event) {
	x.t.Helper()
	for _, e := range list {
		m, err := e.Message()
		if err != nil {
			x.t.Fatal(err)
		}
		m.Header.Del(jetstream.MsgIDHeader)
		if _, err := x.nc.RequestMsg(m, time.Minute); err != nil {
			x.t.Fatal(err)
		}
	}
}

func testHR(n int) workflow.SID { return workflow.SID(fmt.Sprintf("HR%032x", n)) }

// status asks for a status of a document of the test.
func status(n int, to workflow.Status, more ...string) events.Event {
	return events.StatusChanged("/test", fmt.Sprintf("%s-%d%s", to, n, strings.Join(more, "")), testAccount, testPX(n), workflow.StatusChanged{
		Status: to, Evidence: json.RawMessage(`{"name":"Pat Private"}`),
	})
}

// lives makes documents of which 1 and 3 are finished, and have left traces at
// others: 1 is signed and through, and stands in the way of 2; 3 stood in the
// way of 5 before it was canceled, and its order has gone to 4 since. middle is
// called when they are out.
func (x *town) lives(dir string, middle func()) {
	x.t.Helper()
	named := func(n, order int) events.Event {
		return events.Created("/test", fmt.Sprint("created-", n), testAccount, testPX(n), workflow.Created{
			AddressSID: "AD00000000000000000000000000000001", Email: fmt.Sprintf("private-%d@example.com", n),
			CCEmails: []string{fmt.Sprintf("cc-%d@example.com", n)}, ContactTitle: "Owner", HostedNumberOrders: numbered(testHR(order)),
			Subscriber: fmt.Sprintf("private-%d@example.com Inc.", n), ServiceAddress: workflow.ServiceAddress{Street: fmt.Sprintf("1 private-%d@example.com Street", n)},
		})
	}
	x.say(named(1, 1), named(2, 1), named(3, 3), named(5, 3), named(6, 6))
	x.rest(dir)
	middle()
	bad := events.Updated("/test", "bad-1", testAccount, testPX(1), workflow.Updated{ContactTitle: new("Private Person")})
	bad.Account = "AC00000000000000000000000000000002" // not its document
	x.say(status(1, workflow.Signed), status(1, workflow.Canceled), bad, status(3, workflow.Canceled))
	x.rest(dir)
	x.say(named(4, 3), events.OrderStatusChanged("/carrier", "done-1", testAccount, testPX(1), testHR(1),
		workflow.OrderStatusChanged{Status: workflow.OrderCompleted, PhoneNumber: "+14155550177"}))
	x.rest(dir)
}

// fromLog is the dump of a database made of the log alone.
func (x *town) fromLog() string {
	x.t.Helper()
	dir := x.t.TempDir()
	x.must(dir, "rebuild", "--from-log")
	return dump(x.t, dir)
}

// holding lists the files in a directory that hold a text.
func holding(t *testing.T, dir, text string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if bytes.Contains(raw, []byte(text)) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestErase erases a signed and a canceled document. Two workers, one that
// folds the log from its beginning, and one that comes back with a database
// from the middle of the documents' lives agree on everything; nothing is
// mailed or registered again; replayed events are refused; what was private is
// in no file.
func TestErase(t *testing.T) {
	x, one, two, old := newTown(t), t.TempDir(), t.TempDir(), t.TempDir()
	a := start(t, x.env(one))
	a.says("read to its end")
	b := start(t, x.env(two))
	b.says("read to its end")
	x.create(100, 1, "first-%d@example.com")
	x.lives(one, func() {
		s := openStore(t, one)
		defer s.Close()
		if err := s.Copy(t.Context(), old); err != nil {
			t.Fatal(err)
		}
	})
	x.must(one, "snapshot", "take")

	if code, _, errs := x.command(one, "erase", "--yes", string(testPX(4))); code != exitFailure || !strings.Contains(errs, "it is signing") {
		t.Errorf("a document that is out: exit code %d, %s", code, errs)
	}
	tail, mails := x.tail(), x.box.Count()
	if code, out, errs := x.command(one, "erase", string(testPX(1))); code != exitUsage || !strings.Contains(out, "would be removed from the log") || x.tail() != tail {
		t.Errorf("without --yes: exit code %d, %s%s", code, out, errs)
	}
	for _, n := range []int{1, 3} {
		if out := x.must(one, "erase", "--yes", string(testPX(n))); !strings.Contains(out, "is erased") {
			t.Errorf("it says: %s", out)
		}
	}
	x.agreeOn(one, two, mails)

	s := openStore(t, one)
	if _, err := s.Document(t.Context(), testPX(1)); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("reading an erased document: %v", err)
	}
	s.Close()
	// What was refused because of them stays refused, what was accepted accepted.
	x.replayErased(one)
	x.agreeOn(one, two, mails)
	for _, n := range []int{1, 3} {
		x.must(one, "erase", "--yes", string(testPX(n)))
	}
	x.agreeOn(one, two, mails)
	if out := x.must(one, "erase", "--yes", string(testPX(1))); !strings.Contains(out, "was erased before") {
		t.Errorf("a third time: %s", out)
	}

	x.must(old, "verify") // the log has no longer what this one has
	c := start(t, x.env(old))
	c.says("read to its end")
	x.rest(old)
	sameState(t, dump(t, one), dump(t, old))
	for _, w := range []*running{a, b, c} {
		if code := w.end(); code != exitOK {
			t.Errorf("exit code %d", code)
		}
		if strings.Contains(w.log.String(), "the log has a hole") || strings.Contains(w.log.String(), "belong together") {
			t.Errorf("a false alarm:\n%s", w.log)
		}
	}
	x.nats.Stop()
	for _, dir := range []string{one, two, old, x.nats.StoreDir()} {
		for _, text := range []string{"private-1@example.com", "private-3@example.com", "cc-1@example.com", "+14155550177"} {
			if files := holding(t, dir, text); len(files) > 0 {
				t.Errorf("%s is still in %v", text, files)
			}
		}
	}
}

// TestErase_ServerThatWasAwayErasesToo erases a document on three servers of which one is away,
// and comes back: none of them gives the document to anybody again.
func TestErase_ServerThatWasAwayErasesToo(t *testing.T) {
	t.Parallel()
	cluster := startServers(t, 3)
	x := townAt(t, cluster)
	dir := t.TempDir()
	env := x.quick(dir, "COUNTERSIGN_REPLICAS=3")
	a := x.process(env)
	x.create(1, 2, "private-%d@example.com")
	x.statuses(dir, workflow.Signing, 2)
	x.say(status(1, workflow.Canceled))
	x.rest(dir)
	cluster.up[2].kill()
	var out, errs logtest.Buffer
	if code := run(t.Context(), []string{"erase", "--yes", string(testPX(1))}, env, &out, &errs); code != exitOK {
		t.Fatalf("exit code %d: %s%s", code, &out, &errs)
	}
	cluster.start(2)
	x.rest(dir)
	sameState(t, dump(t, dir), x.fromLog())
	a.kill()
	js, err := jetstream.New(x.nc)
	if err != nil {
		t.Fatal(err)
	}
	about := workflow.SubjectPrefix + string(testAccount) + "." + string(testPX(1)) + "."
	left := map[string]uint64{}
	defer func() {
		if t.Failed() {
			t.Log("there are", left)
		}
	}()
	for i := range cluster.up { // whoever leads
		cluster.up[i].kill()
		eventstest.WaitFor(t, 3*patience, "a leader that has the erasure alone", func() bool {
			stream, err := js.Stream(t.Context(), events.StreamName)
			if err != nil {
				return false
			}
			info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(about+">"))
			if err != nil || info.Cluster.Leader == "" {
				return false
			}
			left = info.State.Subjects
			return maps.Equal(left, map[string]uint64{about + "erased": 1})
		})
		cluster.start(i)
	}
}

// agreeOn holds two workers' databases and one made of the log alone to the
// same, and the mails to what they were.
func (x *town) agreeOn(one, two string, mails int) {
	x.t.Helper()
	x.rest(one)
	x.rest(two)
	sameState(x.t, dump(x.t, one), dump(x.t, two))
	sameState(x.t, dump(x.t, one), x.fromLog())
	if got := x.box.Count(); got != mails {
		x.t.Errorf("%d mails more", got-mails)
	}
	if _, out, _ := x.command(one, "verify"); !strings.Contains(out, "says what the log says") {
		x.t.Errorf("verify says: %s", out)
	}
}

// replayErased publishes all that was ever said of the erased documents again.
func (x *town) replayErased(dir string) {
	x.t.Helper()
	for i, n := range []int{1, 3} {
		x.sayAgain(events.Created("/test", fmt.Sprint("created-", n), testAccount, testPX(n), workflow.Created{
			AddressSID: "AD00000000000000000000000000000001", Email: fmt.Sprintf("private-%d@example.com", n),
			HostedNumberOrders: numbered(testHR(100 + i)),
		}), status(n, workflow.Canceled))
	}
	x.rest(dir)
	s := openStore(x.t, dir)
	defer s.Close()
	c, err := s.Counts(x.t.Context(), s.Position().Time)
	if err != nil || c.Refused[workflow.CodeErased] != 4 {
		x.t.Errorf("%d events are refused as erased, want 4; %v", c.Refused[workflow.CodeErased], err)
	}
}

// TestErase_NextRunCompletesAnInterruptedOne ends an erasure between its event and the removal, and in
// the middle of the removal: all databases agree at each moment, and the next
// run brings it to its end.
func TestErase_NextRunCompletesAnInterruptedOne(t *testing.T) {
	x, one, two := newTown(t), t.TempDir(), t.TempDir()
	a := start(t, x.env(one))
	a.says("read to its end")
	x.lives(one, func() {})
	mails := x.box.Count()
	b := start(t, x.env(two))
	b.says("read to its end")

	log := eventstest.Open(t, x.nc, 1)
	stand, err := log.Standing(t.Context(), testPX(1))
	if err != nil {
		t.Fatal(err)
	}
	d := x.document(one, testPX(1))
	s := openStore(t, one)
	blocked, err := s.BlockedBy(t.Context(), testPX(1))
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	final := workflow.Erased{DocumentSID: d.SID, AccountSID: d.AccountSID, Status: d.Status, Round: d.Round, Entries: stand.Entries, Blocked: blocked}
	for _, o := range d.Orders {
		final.OrderSIDs = append(final.OrderSIDs, o.SID)
	}
	if _, err := log.AppendErased(t.Context(), eventlog.Erased(log.Now(), final), 0); err != nil {
		t.Fatal(err)
	}
	x.agreeOn(one, two, mails)
	half := []uint64{}
	for _, e := range stand.Entries[:len(stand.Entries)/2] {
		half = append(half, e.Sequence)
	}
	if err := log.Remove(t.Context(), half); err != nil {
		t.Fatal(err)
	}
	x.agreeOn(one, two, mails)
	x.must(one, "erase", "--yes", string(testPX(1)))
	x.agreeOn(one, two, mails)
	if stand, err = log.Standing(t.Context(), testPX(1)); err != nil || len(stand.Entries) != 0 || len(stand.Erasures) != 1 {
		t.Errorf("on the log: %d entries, %d erasures, %v", len(stand.Entries), len(stand.Erasures), err)
	}
	a.end()
	b.end()
}

// TestErase_DeletesOlderSnapshots deletes them only after a new snapshot is stored.
func TestErase_DeletesOlderSnapshots(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.lives(dir, func() {})
	x.must(dir, "snapshot", "take")
	x.create(200, 1, "later-%d@example.com")
	x.rest(dir)
	x.must(dir, "snapshot", "take")
	x.must(dir, "erase", "--yes", string(testPX(3)))
	list, err := x.snapshotsOf().List(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("%d snapshots, %v", len(list), err)
	}
	var raw bytes.Buffer
	if err := x.snapshotsOf().Get(t.Context(), list[0].Name, &raw); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw.Bytes(), []byte("private-3@")) || !bytes.Contains(raw.Bytes(), []byte("private-4@")) {
		t.Error("the snapshot holds other documents than it should")
	}
	w.end()
}

// TestErase_DocumentWithAThousandOrders erases a document of which more is said than one
// event of erasure lists.
func TestErase_DocumentWithAThousandOrders(t *testing.T) {
	t.Parallel()
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	var orders []workflow.SID
	var done []events.Event
	for n := range events.MaxOrders {
		orders = append(orders, testHR(n))
		done = append(done, events.OrderStatusChanged("/carrier", fmt.Sprint("done-", n), testAccount, testPX(1), testHR(n),
			workflow.OrderStatusChanged{Status: workflow.OrderCompleted}))
	}
	x.say(events.Created("/test", "created-1", testAccount, testPX(1), workflow.Created{
		AddressSID: "AD00000000000000000000000000000001", Email: "private-1@example.com", HostedNumberOrders: numbered(orders...),
	}))
	x.rest(dir)
	x.say(status(1, workflow.Signed))
	x.rest(dir)
	x.say(done...)
	x.rest(dir)
	x.must(dir, "erase", "--yes", string(testPX(1)))
	x.rest(dir)
	log, _ := x.entries()
	erasures := 0
	for _, e := range log {
		if _, ok := e.Body.(workflow.Erased); ok {
			erasures++
		} else if e.Document == testPX(1) {
			t.Errorf("entry %d, %s, is on the log still", e.Sequence, e.Subject)
		}
	}
	if erasures != 2 {
		t.Errorf("%d events of erasure, want 2", erasures)
	}
	sameState(t, dump(t, dir), x.fromLog())
	w.end()
	if files := holding(t, dir, "private-1@example.com"); len(files) > 0 {
		t.Errorf("the address is still in %v", files)
	}
}
