package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/db"
	"countersign/events"
	"countersign/internal/catcher"
	"countersign/internal/publish"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// TestMain lets the test binary be the program itself, or a NATS server, so
// that a test can kill one.
func TestMain(m *testing.M) {
	if os.Getenv("AS_PROGRAM") != "" {
		setClock(os.Getenv("AS_CLOCK"))
		main()
	}
	if options := os.Getenv("AS_NATS"); options != "" {
		serveNATS(options)
	}
	if database := os.Getenv("AS_LOCKER"); database != "" {
		holdLock(database, os.Getenv("LOCK_BY"))
	}
	flag.Parse()
	flag.Set("test.parallel", "6") // those that may are mostly waiting
	code := m.Run()
	removeBuilds()
	os.Exit(code)
}

// town is a NATS server, a mail catcher and workers, as in a small production.
type town struct {
	t    *testing.T
	nats *eventstest.Broker // nil where at is another
	at   interface{ URL() string }
	nc   *nats.Conn
	box  *catcher.Catcher
	keys string // file that the workers share
}

func newTown(t *testing.T, opts ...eventstest.Option) *town {
	t.Helper()
	broker := eventstest.Server(t, opts...)
	x := townAt(t, broker)
	x.nats = broker
	return x
}

// townAt is a town whose log is somewhere else.
func townAt(t *testing.T, at interface{ URL() string }) *town {
	t.Helper()
	x := &town{t: t, at: at, keys: filepath.Join(t.TempDir(), "keys")}
	x.nc = eventstest.Connect(t, at)
	box, err := catcher.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box.Script(catcher.ByRecipient())
	x.box = box
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- box.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return x
}

// env is a worker's environment.
func (x *town) env(dir string, more ...string) []string {
	return append([]string{
		"COUNTERSIGN_DATA_DIR=" + dir, "COUNTERSIGN_NATS_URL=" + x.at.URL(),
		"COUNTERSIGN_SMTP_URL=smtp://" + x.box.Addr() + "?tls=none", "COUNTERSIGN_MAIL_FROM=Team <loa@countersign.example>",
		"COUNTERSIGN_LISTEN=127.0.0.1:0", "COUNTERSIGN_ADMIN_LISTEN=127.0.0.1:0",
		"COUNTERSIGN_KEYS_FILE=" + x.keys, "COUNTERSIGN_MAIL_RETRY_FIRST=100ms", "COUNTERSIGN_LOG_FORMAT=json",
	}, more...)
}

// theDay reads examples/day.jsonl.
func theDay(t *testing.T) []publish.Line {
	t.Helper()
	lines, err := publish.ReadFile("../../examples/day.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// publish sends lines as countersign publish does.
func (x *town) publish(lines []publish.Line) {
	x.t.Helper()
	if err := x.tryPublish(lines); err != nil {
		x.t.Fatal(err)
	}
}

func (x *town) tryPublish(lines []publish.Line) error {
	_, err := publish.Send(context.Background(), x.nc, lines, publish.Options{Wait: time.Minute})
	return err
}

// rest waits until the store in dir has applied the log to its end, and owes
// nothing.
func (x *town) rest(dir string) {
	x.t.Helper()
	var last string
	defer func() {
		if x.t.Failed() {
			x.t.Logf("no rest: %s", last)
		}
	}()
	eventstest.WaitFor(x.t, time.Minute, "the worker to owe nothing", func() bool {
		s := openStore(x.t, dir)
		defer s.Close()
		c, err := s.Counts(context.Background(), time.Now())
		if err != nil {
			x.t.Fatal(err)
		}
		last = fmt.Sprintf("applied %d of %d, %d mails and %d events owed", c.Position.Sequence, x.tail(), c.PendingMails, c.PendingEvents)
		return c.PendingMails == 0 && c.PendingEvents == 0 && c.Position.Sequence == x.tail()
	})
}

func openStore(t *testing.T, dir string) *db.Store {
	t.Helper()
	s, err := db.OpenReader(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func dump(t *testing.T, dir string) string {
	t.Helper()
	s := openStore(t, dir)
	defer s.Close()
	var b bytes.Buffer
	if err := s.Dump(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// tail is the sequence of the last entry on the log, 0 where there is no log.
func (x *town) tail() uint64 {
	x.t.Helper()
	js, err := jetstream.New(x.nc)
	if err != nil {
		x.t.Fatal(err)
	}
	stream, err := js.Stream(context.Background(), events.StreamName)
	if err != nil {
		x.t.Fatal(err)
	}
	return stream.CachedInfo().State.LastSeq
}

// subjects counts what stands on the log, by subject.
func (x *town) subjects() map[string]int {
	x.t.Helper()
	js, err := jetstream.New(x.nc)
	if err != nil {
		x.t.Fatal(err)
	}
	c, err := js.OrderedConsumer(context.Background(), events.StreamName, jetstream.OrderedConsumerConfig{})
	if err != nil {
		x.t.Fatal(err)
	}
	count := map[string]int{}
	msgs, err := c.Messages()
	if err != nil {
		x.t.Fatal(err)
	}
	defer msgs.Stop()
	for last, tail := uint64(0), x.tail(); last < tail; {
		m, err := msgs.Next()
		if err != nil {
			x.t.Fatal(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			x.t.Fatal(err)
		}
		last = meta.Sequence.Stream
		count[strings.TrimPrefix(m.Subject(), workflow.SubjectPrefix)]++
	}
	return count
}

// expected is examples/day.expected.json: what the day must come to, told by
// its author and not by the program.
type expected struct {
	Totals struct {
		Became      int
		Register    int
		Refused     int
		DeadLetters int `json:"dead_letters"`
	}
	Documents map[workflow.SID]struct {
		Status   workflow.Status
		Round    int
		Became   []string
		Register int
		Orders   map[workflow.SID]workflow.OrderStatus
		Mails    map[string]map[string]int
	}
}

func readExpected(t *testing.T) (e expected) {
	t.Helper()
	raw, err := os.ReadFile("../../examples/day.expected.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// caught counts the catcher's mails: "PX… signature to@address". Repeats of
// one mail are counted apart, by Message-ID.
func (x *town) caught() (mails, repeats map[string]int) {
	mails, repeats = map[string]int{}, map[string]int{}
	ids := map[string]bool{}
	for _, m := range x.box.Mails() {
		part := strings.Split(strings.Trim(m.MessageID, "<>"), ".")
		if ids[m.MessageID] {
			repeats[m.MessageID]++
			continue
		}
		ids[m.MessageID] = true
		mails[part[0]+" "+part[2]+" "+m.To[0]]++
	}
	return mails, repeats
}

// wantDay checks everything that the day must have come to.
func (x *town) wantDay(dir string) {
	x.t.Helper()
	want := readExpected(x.t)
	mails := map[string]int{}
	s := openStore(x.t, dir)
	defer s.Close()
	for sid, w := range want.Documents {
		d, err := s.Document(context.Background(), sid)
		if err != nil {
			x.t.Error(err)
			continue
		}
		if d.Status != w.Status || d.Round != w.Round {
			x.t.Errorf("%s is %s in round %d, want %s in round %d", sid, d.Status, d.Round, w.Status, w.Round)
		}
		for _, o := range d.Orders {
			if w.Orders[o.SID] != o.Status {
				x.t.Errorf("%s: order %s is %s, want %s", sid, o.SID, o.Status, w.Orders[o.SID])
			}
		}
		for kind, to := range w.Mails {
			for address, n := range to {
				mails[string(sid)+" "+kind+" "+address] += n
			}
		}
	}
	got, _ := x.caught()
	if !maps.Equal(got, mails) {
		x.t.Errorf("mails: %s", difference(got, mails))
	}
	x.wantOnce(want)
}

// wantOnce checks that what may stand on the log once stands there once.
func (x *town) wantOnce(want expected) {
	x.t.Helper()
	once := regexp.MustCompile(`\.(became|register|refused|due)\b`)
	got := map[string]int{}
	for subject, n := range x.subjects() {
		kind := once.FindStringSubmatch(subject)
		if kind == nil {
			continue
		}
		got[kind[1]] += n
		if n > 1 {
			x.t.Errorf("%s stands on the log %d times", subject, n)
		}
	}
	wanted := map[string]int{
		"became": want.Totals.Became, "register": want.Totals.Register, "refused": want.Totals.Refused + want.Totals.DeadLetters,
	}
	if !maps.Equal(got, wanted) {
		x.t.Errorf("on the log: %v, want %v", got, wanted)
	}
}

func difference(got, want map[string]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if got[k] != want[k] {
			out = append(out, fmt.Sprintf("%s: %d, want %d", k, got[k], want[k]))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[k]; !ok {
			out = append(out, fmt.Sprintf("%s: %d, want none", k, got[k]))
		}
	}
	return strings.Join(out, "\n")
}

// get reads a page.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// removeDatabase deletes the database and leaves the rest.
func removeDatabase(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, db.FileName+"*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no database in %s: %v", dir, err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
}
