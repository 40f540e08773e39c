package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/catcher"
	"countersign/internal/publish"
	"countersign/internal/test/eventstest"
	"countersign/internal/test/logtest"
	"countersign/workflow"
)

const (
	testAccount  = workflow.SID("AC00000000000000000000000000000001")
	otherAccount = workflow.SID("AC00000000000000000000000000000002")
)

func testPX(n int) workflow.SID { return workflow.SID(fmt.Sprintf("PX%032x", n)) }

// create publishes documents, one signer each and nobody in cc.
func (x *town) create(from, n int, signer string) {
	x.t.Helper()
	js, err := jetstream.New(x.nc)
	if err != nil {
		x.t.Fatal(err)
	}
	for i := from; i < from+n; i++ {
		e := events.Created("/test", fmt.Sprint("created-", i), testAccount, testPX(i), workflow.Created{
			AddressSID: "AD00000000000000000000000000000001", Email: fmt.Sprintf(signer, i),
			HostedNumberOrders: numbered(workflow.SID(fmt.Sprintf("HR%032x", i))),
		})
		if _, err := events.Publish(x.t.Context(), js, e); err != nil {
			x.t.Fatal(err)
		}
	}
}

// statuses waits until n documents of the store have a status.
func (x *town) statuses(dir string, s workflow.Status, n int) {
	x.t.Helper()
	eventstest.WaitFor(x.t, time.Minute, fmt.Sprintf("%d documents to be %s", n, s), func() bool {
		store := openStore(x.t, dir)
		defer store.Close()
		c, err := store.Counts(context.Background(), time.Now())
		return err == nil && c.Documents[s] == n
	})
}

// inDoubt lists the mails whose outcome was lost.
func inDoubt(t *testing.T, dir string) []workflow.Mail {
	t.Helper()
	s := openStore(t, dir)
	defer s.Close()
	mails, err := s.MailsInDoubt(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return mails
}

func TestServe_AdminTellsHealthAndMetrics(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(1, 3, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 3)
	admin := "http://" + w.address("admin")
	eventstest.Wait(t, "the worker to be ready", func() bool {
		code, body := get(t, admin+"/readyz")
		return code == 200 && strings.HasPrefix(body, "ready\n")
	})
	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": "ready", "/": "Metrics",
		"/metrics": `countersign_documents{status="signing"} 3`,
	} {
		if code, body := get(t, admin+path); code != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d, want %q in %s", path, code, want, body)
		}
	}
	x.nats.Stop()
	eventstest.Wait(t, "the worker not to be ready without NATS", func() bool {
		code, body := get(t, admin+"/readyz")
		return code == 503 && strings.Contains(body, "not connected to NATS")
	})
	if code, _ := get(t, admin+"/healthz"); code != 200 {
		t.Errorf("without NATS the process is healthy still, not %d", code)
	}
	x.nats.Start()
	w.end()
}

// TestServe_EmailsWaitForTheMailServer starts the mail server after the documents have come:
// they wait as opened, and all their mails leave once it is there.
func TestServe_EmailsWaitForTheMailServer(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	w := start(t, append(x.env(dir), "COUNTERSIGN_SMTP_URL=smtp://"+addr+"?tls=none"))
	w.says("read to its end")
	x.create(1, 50, "signer-%d@example.com")
	w.says("the mail server cannot be used")
	x.statuses(dir, workflow.Opened, 50)
	if n := strings.Count(w.log.String(), "the mail server cannot be used"); n != 1 {
		t.Errorf("it says so %d times", n)
	}
	box, err := catcher.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go box.Run(ctx)
	x.statuses(dir, workflow.Signing, 50)
	if box.Count() != 50 || len(inDoubt(t, dir)) != 0 {
		t.Errorf("%d mails for 50 documents, %d in doubt", box.Count(), len(inDoubt(t, dir)))
	}
	w.end()
}

// TestServe_NATSRestartsLoseNothing restarts the broker twice in the middle of the
// day.
func TestServe_NATSRestartsLoseNothing(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	day := theDay(t)
	for i, part := range [][]publish.Line{day[:60], day[60:150], day[150:]} {
		if i > 0 {
			x.nats.Restart()
			eventstest.Wait(t, "the connection", x.nc.IsConnected)
		}
		x.publish(part)
	}
	x.rest(dir)
	x.wantDay(dir)
	if _, repeats := x.caught(); len(repeats) > 0 {
		t.Errorf("mails sent twice: %v", repeats)
	}
	w.end()
}

// TestServe_EndFinishesEmailsInFlight ends a worker while the mail server holds its
// mails: they are finished and settled, and nothing is in doubt.
func TestServe_EndFinishesEmailsInFlight(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	held, release := make(chan bool, 100), make(chan struct{})
	x.box.Script(func(s catcher.Step) error {
		if s.Phase == catcher.Data {
			held <- true
			<-release
		}
		return nil
	})
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(1, 20, "signer-%d@example.com")
	for range 8 { // the pool is full
		<-held
	}
	ended := make(chan int)
	go func() { ended <- w.end() }()
	eventstest.Wait(t, "the worker to be ending", func() bool {
		c, err := net.Dial("tcp", w.address("admin"))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(release)
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d", code)
	}
	w = start(t, x.env(dir))
	x.statuses(dir, workflow.Signing, 20)
	if _, repeats := x.caught(); len(repeats) > 0 || len(inDoubt(t, dir)) > 0 {
		t.Errorf("sent twice: %v; in doubt: %v", repeats, inDoubt(t, dir))
	}
	w.end()
}

// TestServe_LostReplyPutsTheEmailInDoubt cuts the connection when a mail has been stored and
// before the reply: the mail is in doubt, listed, and by default sent again
// with the same Message-ID.
func TestServe_LostReplyPutsTheEmailInDoubt(t *testing.T) {
	for _, policy := range []string{"resend", "hold"} {
		t.Run(policy, func(t *testing.T) {
			x, dir := newTown(t), t.TempDir()
			var cuts atomic.Int32
			x.box.Script(func(s catcher.Step) error {
				if s.Phase == catcher.Stored && cuts.Add(1) == 1 {
					s.Conn.Close()
				}
				return nil
			})
			w := start(t, append(x.env(dir), "COUNTERSIGN_MAIL_IN_DOUBT="+policy, "COUNTERSIGN_MAIL_DEADLINE=1s"))
			w.says("read to its end")
			x.create(1, 1, "signer-%d@example.com")
			want, state, copies := workflow.Signing, workflow.MailAccepted, 1
			if policy == "hold" {
				want, state, copies = workflow.Opened, workflow.MailHeld, 0
			}
			eventstest.Wait(t, "the doubt to be settled", func() bool {
				mails := inDoubt(t, dir)
				return len(mails) == 1 && mails[0].State == state
			})
			x.statuses(dir, want, 1)
			_, repeats := x.caught()
			if got := repeats["<"+string(testPX(1))+".1.signature.0@countersign.example>"]; got != copies {
				t.Errorf("sent again %d times, want %d", got, copies)
			}
			w.end()
		})
	}
}

// TestServe_UnreadableEventsAreKeptAndDelayNothing publishes what is no event, and a
// document behind it.
func TestServe_UnreadableEventsAreKeptAndDelayNothing(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, append(x.env(dir), "COUNTERSIGN_PARKING_LIMIT=1s"))
	w.says("read to its end")
	js, err := jetstream.New(x.nc)
	if err != nil {
		t.Fatal(err)
	}
	subject := "authdocs.v1." + string(testAccount) + "." + string(testPX(7))
	envelope := `{"specversion":"1.0","id":"%s","source":"/test","type":"authorization_document.%s","data":%s}`
	bad := map[string]string{
		subject + ".created":       "not JSON",
		subject + ".updated":       fmt.Sprintf(envelope, "b2", "updated", `{"email":"nobody"}`),
		subject + ".status":        fmt.Sprintf(envelope, "b3", "status_changed", `{"status":"`+strings.Repeat("x", 300<<10)+`"}`),
		"authdocs.v1.what.is.this": fmt.Sprintf(envelope, "b4", "created", `{}`),
		"authdocs.v2":              "\xff\xfe",
	}
	for subject, payload := range bad {
		if _, err := js.Publish(t.Context(), subject, []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	early := fmt.Sprintf(envelope, "early", "status_changed", `{"status":"signed"}`)
	if _, err := js.Publish(t.Context(), "authdocs.v1."+string(testAccount)+"."+string(testPX(8))+".status", []byte(early)); err != nil {
		t.Fatal(err)
	}
	x.create(1, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	eventstest.WaitFor(t, 30*time.Second, "six dead letters, the parked one too", func() bool {
		s := openStore(t, dir)
		defer s.Close()
		c, err := s.Counts(t.Context(), time.Now())
		return err == nil && c.DeadLetters == len(bad)+1 && c.PendingEvents == 0 && c.Parked == 0
	})
	refused := 0
	for subject, n := range x.subjects() {
		if strings.Contains(subject, ".refused.") {
			refused += n
		}
	}
	if refused != len(bad)+1 {
		t.Errorf("%d refused events, want %d", refused, len(bad)+1)
	}
	w.end()
}

// TestCountersign_WrongCallsNameTheFault starts the program wrongly.
func TestCountersign_WrongCallsNameTheFault(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("countersign is up")
	taken := w.address("admin")
	for _, tt := range []struct {
		name string
		args []string
		env  []string
		code int
		says []string
	}{
		{"all faults at once", []string{"serve"}, []string{"COUNTERSIGN_MAIL_POOL=none", "COUNTERSIGN_TEA=1"}, exitUsage, []string{"MAIL_POOL", "COUNTERSIGN_TEA", "smtp-url", "mail-from"}},
		{"a directory in use", []string{"serve"}, x.env(dir), exitFailure, []string{"another worker", "--data-dir"}},
		{"a port in use", []string{"serve"}, append(x.env(t.TempDir()), "COUNTERSIGN_ADMIN_LISTEN="+taken), exitFailure, []string{"--admin-listen"}},
		{"no such command", []string{"brew"}, nil, exitUsage, []string{"brew"}},
		{"no such command of documents", []string{"documents", "lst"}, nil, exitUsage, []string{"did you mean list"}},
		{"no such flag", []string{"serve", "--tea"}, nil, exitUsage, []string{"tea"}},
		{"no sid", []string{"accounts", "rotate"}, nil, exitUsage, []string{"--sid"}},
		{"not a sid", []string{"documents", "show", "x"}, nil, exitUsage, []string{"PX"}},
		{"no such document", []string{"documents", "show", string(testPX(99))}, x.env(dir), exitFailure, []string{"not found"}},
		{"a file that is not there", []string{"publish", "none.jsonl"}, nil, exitFailure, []string{"none.jsonl"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs logtest.Buffer
			if code := run(t.Context(), tt.args, tt.env, &out, &errs); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, s := range tt.says {
				if !strings.Contains(errs.String(), s) {
					t.Errorf("it does not say %q: %s", s, &errs)
				}
			}
		})
	}
	w.end()
}
