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
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/db"
	"countersign/events"
	"countersign/events/eventstest"
	"countersign/internal/catcher"
	"countersign/workflow"
)

// TestMain lets the test binary be the program itself, or a NATS server, so
// that a test can kill one.
func TestMain(m *testing.M) {
	if os.Getenv("AS_PROGRAM") != "" {
		main()
	}
	if options := os.Getenv("AS_NATS"); options != "" {
		serveNATS(options)
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
	x := &town{t: t, at: at}
	x.nc = eventstest.Connect(t, at)
	box, err := catcher.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box.Script(catcher.Habits())
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
		"COUNTERSIGN_MAIL_RETRY_FIRST=100ms", "COUNTERSIGN_LOG_FORMAT=json",
	}, more...)
}

// running is a worker in this process.
type running struct {
	t    *testing.T
	stop context.CancelFunc
	done chan int
	log  *buffer
}

// start runs a worker with the given environment, in this process.
func start(t *testing.T, env []string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t: t, stop: stop, done: make(chan int, 1), log: &buffer{}}
	go func() { r.done <- run(ctx, []string{"serve"}, env, io.Discard, r.log) }()
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("the worker's log:\n%s", r.log)
		}
	})
	return r
}

// end ends the worker as SIGTERM does, and returns its exit code.
func (r *running) end() int {
	r.t.Helper()
	r.stop()
	select {
	case code := <-r.done:
		r.done <- code
		return code
	case <-time.After(30 * time.Second):
		r.t.Fatalf("the worker does not end\n%s", r.log)
		return -1
	}
}

// says waits until the worker's log holds a text.
func (r *running) says(text string) {
	r.t.Helper()
	eventstest.Wait(r.t, "the worker to say "+text, func() bool { return strings.Contains(r.log.String(), text) })
}

// address finds where the worker listens, "public" or "admin".
func (r *running) address(which string) string {
	r.t.Helper()
	r.says("countersign is up")
	return addressIn(r.t, r.log, which)
}

func addressIn(t *testing.T, log *buffer, which string) string {
	t.Helper()
	m := regexp.MustCompile(`"` + which + `":"([^"]+)"`).FindStringSubmatch(log.String())
	if m == nil {
		t.Fatalf("no %s address in %s", which, log)
	}
	return m[1]
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// killable is a worker, or a NATS server, in a process of its own.
type killable struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  *buffer
	dead chan struct{} // closed once it has ended
}

// process starts a worker and waits until it has read the log.
func (x *town) process(env []string) *killable {
	x.t.Helper()
	k := x.launch(env)
	k.says("read to its end")
	return k
}

// launch starts a worker and does not wait.
func (x *town) launch(env []string) *killable {
	x.t.Helper()
	return launch(x.t, append(env, "AS_PROGRAM=1"), "serve")
}

// launch starts this test binary, to be what env makes of it.
func launch(t *testing.T, env []string, args ...string) *killable {
	t.Helper()
	return spawn(t, os.Args[0], env, args...)
}

// spawn starts a program.
func spawn(t *testing.T, program string, env []string, args ...string) *killable {
	t.Helper()
	k := &killable{t: t, log: &buffer{}, dead: make(chan struct{})}
	k.cmd = exec.Command(program, args...)
	k.cmd.Env = append(env, "PATH="+os.Getenv("PATH"))
	k.cmd.Stderr = k.log
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = k.cmd.Wait() // it is killed: that is no news
		close(k.dead)
	}()
	t.Cleanup(func() {
		k.kill()
		if t.Failed() {
			t.Logf("the log of process %d:\n%s", k.cmd.Process.Pid, k.log)
		}
	})
	return k
}

// says waits until its log holds a text.
func (k *killable) says(text string) {
	k.t.Helper()
	eventstest.WaitFor(k.t, time.Minute, "the process to say "+text, func() bool { return strings.Contains(k.log.String(), text) })
}

// address finds where it listens, "public" or "admin".
func (k *killable) address(which string) string {
	k.t.Helper()
	k.says("countersign is up")
	return addressIn(k.t, k.log, which)
}

// kill ends it as kill -9 does. It may be called again.
func (k *killable) kill() {
	_ = k.cmd.Process.Kill() // it may have ended
	<-k.dead
}

// freeze stops it as a machine does that is paused; thaw lets it go on.
func (k *killable) freeze() { _ = k.cmd.Process.Signal(syscall.SIGSTOP) }
func (k *killable) thaw()   { _ = k.cmd.Process.Signal(syscall.SIGCONT) }

// dies waits until it has ended by itself, and returns its exit code; -1 where
// a signal ended it.
func (k *killable) dies() int {
	k.t.Helper()
	select {
	case <-k.dead:
	case <-time.After(time.Minute):
		k.t.Fatalf("process %d does not end\n%s", k.cmd.Process.Pid, k.log)
	}
	return k.cmd.ProcessState.ExitCode()
}

// theDay reads examples/day.jsonl.
func theDay(t *testing.T) []line {
	t.Helper()
	lines, err := readLines("../../examples/day.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// publish sends lines as countersign publish does.
func (x *town) publish(lines []line) {
	x.t.Helper()
	if err := x.tryPublish(lines); err != nil {
		x.t.Fatal(err)
	}
}

func (x *town) tryPublish(lines []line) error {
	a := &app{out: io.Discard, err: io.Discard}
	return a.send(context.Background(), x.nc, lines, 0, time.Minute)
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
		last = fmt.Sprintf("applied %d of %d, %d mails and %d events owed", c.Position.Sequence, x.tail(), c.Unsettled, c.OwedEvents)
		return c.Unsettled == 0 && c.OwedEvents == 0 && c.Position.Sequence == x.tail()
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
