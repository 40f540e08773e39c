package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/catcher"
	"countersign/internal/eventlog"
	"countersign/internal/private"
	"countersign/internal/test/certtest"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// The tests here make each fault of docs/operations.md's table with the real
// program, and find its cause where the table says, within a minute.

// inAMinute is how soon an operator can see what is wrong.
const inAMinute = time.Minute

// probe waits until /readyz has a line that matches and answers with a code, and
// returns all that it says.
func probe(t *testing.T, admin string, want int, line string) (body string) {
	t.Helper()
	pattern, code := regexp.MustCompile("(?m)^"+line), 0
	defer func() {
		if t.Failed() {
			t.Logf("/readyz: %d %s", code, body)
		}
	}()
	eventstest.WaitFor(t, inAMinute, "/readyz to say "+line, func() bool {
		code, body = get(t, admin+"/readyz")
		return code == want && pattern.MatchString(body)
	})
	return body
}

// measures waits until /metrics has a line.
func measures(t *testing.T, admin, line string) {
	t.Helper()
	eventstest.WaitFor(t, inAMinute, "/metrics to say "+line, func() bool {
		_, body := get(t, admin+"/metrics")
		return strings.Contains(body, "\n"+line)
	})
}

// wantAlert waits for an alert, and fails if one fires that is not among others.
func wantAlert(t *testing.T, admin, name string, others ...string) {
	t.Helper()
	for _, fires := range alerts(t, admin, name) {
		if fires != name && !strings.Contains(strings.Join(others, " "), fires) {
			t.Errorf("%s fires beside %s", fires, name)
		}
	}
}

// up is a worker that has read the log, and where its probes are.
func (x *town) up(dir string, more ...string) (w *killable, admin string) {
	x.t.Helper()
	w = x.process(x.quick(dir, more...))
	return w, "http://" + w.address("admin")
}

func (x *town) js() jetstream.JetStream {
	x.t.Helper()
	js, err := jetstream.New(x.nc)
	if err != nil {
		x.t.Fatal(err)
	}
	return js
}

func TestServe_ReadyzStreamDeleted(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	_, admin := x.up(t.TempDir())
	probe(t, admin, 200, "log: ok")
	if err := x.js().DeleteStream(t.Context(), events.StreamName); err != nil {
		t.Fatal(err)
	}
	probe(t, admin, 503, "log: failing since .*stream AUTHDOCS: it was removed.*restore")
	wantAlert(t, admin, "CountersignLogUnreadable")
}

// TestServe_ReadyzNATSAwayAndBack stops the server, and starts it again.
func TestServe_ReadyzNATSAwayAndBack(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	w, admin := x.up(t.TempDir())
	x.nats.Stop()
	probe(t, admin, 503, `nats: failing since .*not connected to NATS at nats://127\.0\.0\.1:\d+`)
	x.nats.Start()
	probe(t, admin, 200, "ready\nnats: ok since ")
	w.says("connected to NATS again")
}

// TestServe_ReadyzNATSRefusesUs starts with a wrong password, and with a wrong port.
func TestServe_ReadyzNATSRefusesUs(t *testing.T) {
	t.Parallel()
	s := natsWith(t, &server.User{Username: "countersign", Password: "right"})
	x := townAt(t, s)
	for url, says := range map[string]string{
		strings.Replace(s.URL(), "right", "hush", 1): `nats: failing since .*not connected to NATS at nats://127\.0\.0\.1:\d+: .*[Aa]uthorization`,
		"nats://countersign:hush@127.0.0.1:1":        `nats: failing since .*not connected to NATS at nats://127\.0\.0\.1:1`,
	} {
		w := x.launch(x.quick(t.TempDir(), "COUNTERSIGN_NATS_URL="+url))
		admin := "http://" + w.address("admin")
		if body := probe(t, admin, 503, says); strings.Contains(body, "hush") {
			t.Errorf("it says the password: %s", body)
		}
		wantAlert(t, admin, "CountersignLogUnreadable")
	}
}

// passworded is a NATS server that lets one user in.
type passworded struct {
	user *server.User
	at   string
}

func (p passworded) URL() string {
	return fmt.Sprintf("nats://%s:%s@%s", p.user.Username, p.user.Password, p.at)
}

func natsWith(t *testing.T, user *server.User) passworded {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		Users: []*server.User{user}, MaxPayload: eventlog.MaxMessage,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not answer")
	}
	return passworded{user, s.Addr().String()}
}

// TestServe_ReadyzFollowerBehind lets a worker do all but follow the log.
func TestServe_ReadyzFollowerBehind(t *testing.T) {
	t.Parallel()
	x := townAt(t, natsWith(t, &server.User{Username: "countersign", Password: "right", Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Deny: []string{"$JS.API.CONSUMER.CREATE.AUTHDOCS.>"}},
	}}))
	w := x.launch(x.quick(t.TempDir()))
	w.says("countersign is up")
	eventstest.WaitFor(t, inAMinute, "the stream", func() bool {
		_, err := x.js().Stream(t.Context(), events.StreamName)
		return err == nil
	})
	x.create(1, 1, "signer-%d@example.com")
	admin := "http://" + w.address("admin")
	probe(t, admin, 503, `follower: failing since .*entry 0 of [1-9]\d* is applied`)
	wantAlert(t, admin, "CountersignFollowerBehind")
}

// TestServe_ReadyzBacklog starts a worker on a log with much to read.
func TestServe_ReadyzBacklog(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	eventstest.Open(t, x.nc, 1)
	const backlog = 20_000
	js := x.js()
	for i := range backlog {
		if _, err := js.PublishAsync(events.Prefix+on(i, "updated"), fmt.Append(nil, "not an event ", i), jetstream.WithStallWait(inAMinute)); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	w := x.launch(x.quick(t.TempDir()))
	admin := "http://" + w.address("admin")
	probe(t, admin, 503, `follower: failing since .*the log is being read: entry \d+ of [1-9]\d+ is applied`)
	w.says("read to its end")
	probe(t, admin, 200, "follower: ok")
	measures(t, admin, fmt.Sprintf("countersign_dead_letters_open %d", backlog))
}

// TestServe_ReadyzMailServerMisconfigured has a host that is not there, a password
// that is wrong, and a certificate of another name.
func TestServe_ReadyzMailServerMisconfigured(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	x.box.Script(func(s catcher.Step) error {
		if s.Phase == catcher.Auth {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "Authentication credentials invalid"}
		}
		return nil
	})
	certificate, _ := certtest.New(t, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"mail.elsewhere.example"}, nil })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	other, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	go greet(other)
	workers := map[string]string{}
	for url, says := range map[string]string{
		"smtp://nowhere.invalid:25?tls=none":            `mail: warning since .*nowhere\.invalid`,
		"smtp://loa:hush@" + x.box.Addr() + "?tls=none": `mail: warning since .*refused by 127\.0\.0\.1:\d+ at AUTH since .*535.*credentials`,
		"smtps://" + other.Addr().String():              `mail: warning since .*127\.0\.0\.1:\d+.*certificate`,
	} {
		y := *x
		y.nc, y.nats = nil, nil
		own := eventstest.Server(t)
		y.at, y.nc = own, eventstest.Connect(t, own)
		_, admin := y.up(t.TempDir(), "COUNTERSIGN_SMTP_URL="+url, "COUNTERSIGN_SMTP_CA="+ca)
		y.create(1, 1, "signer-%d@example.com")
		workers[admin] = says
	}
	for admin, says := range workers {
		if body := probe(t, admin, 200, says); strings.Contains(body, "hush") {
			t.Errorf("it says the password: %s", body)
		}
		wantAlert(t, admin, "CountersignMailServerRefuses")
	}
}

// greet shakes hands with whoever connects.
func greet(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_ = c.(*tls.Conn).Handshake() // the client refuses
		c.Close()
	}
}

// TestServe_ReadyzOneRecipientRefused has one mailbox that is not there, and one whose
// server wants us to come back later.
func TestServe_ReadyzOneRecipientRefused(t *testing.T) {
	t.Parallel()
	x, dir := newTown(t), t.TempDir()
	x.box.Script(func(s catcher.Step) error {
		switch {
		case s.Phase == catcher.RcptTo && strings.HasPrefix(s.To, "grey-"):
			return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "Greylisted, try again later"}
		case s.Phase == catcher.RcptTo && strings.HasPrefix(s.To, "gone-"):
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such user"}
		}
		return nil
	})
	w, admin := x.up(dir)
	x.create(1, 1, "grey-%d@example.com")
	x.create(2, 1, "gone-%d@example.net")
	measures(t, admin, `countersign_documents{status="failed"} 1`)
	measures(t, admin, `countersign_mails{kind="signature",state="rejected"} 1`)
	w.says("an email is deferred by the mail server")
	line := regexp.MustCompile(`an email is deferred[^\n]*` + string(testPX(1)) + `[^\n]*451[^\n]*Greylisted`)
	if log := w.log.String(); !line.MatchString(log) || strings.Contains(log, "@example.com") {
		t.Errorf("the log: %s", log)
	}
	probe(t, admin, 200, "mail: ok")
}

// TestServe_FaultsOfPublishersAreReported publishes what is no event, and an order that
// failed.
func TestServe_FaultsOfPublishersAreReported(t *testing.T) {
	t.Parallel()
	x, dir := newTown(t), t.TempDir()
	w, admin := x.up(dir)
	x.create(1, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	x.say(events.OrderStatusChanged("/orders", "failed", testAccount, testPX(1), "HR00000000000000000000000000000001", workflow.OrderStatusChanged{
		Status: workflow.OrderFailed, FailureReason: "secret@example.com",
	}))
	w.says("the order service reports a failed order")
	if log := w.log.String(); !strings.Contains(log, string(testPX(1))) || strings.Contains(log, "secret@") {
		t.Errorf("the log: %s", log)
	}
	x.send(on(2, "created"), "not an event", nil)
	measures(t, admin, "countersign_dead_letters_open 1")
	wantAlert(t, admin, "CountersignDeadLetters")
}

// TestServe_SameNumberOnTwoDocumentsIsReported creates a second document for a telephone
// number, by another order.
func TestServe_SameNumberOnTwoDocumentsIsReported(t *testing.T) {
	t.Parallel()
	x, dir := newTown(t), t.TempDir()
	w, admin := x.up(dir)
	for n, order := range []workflow.SID{"HR00000000000000000000000000000001", "HR00000000000000000000000000000002"} {
		x.say(events.Created("/orders", fmt.Sprint("created-", n), testAccount, testPX(n), workflow.Created{
			AddressSID: "AD00000000000000000000000000000001", Email: "signer@example.com",
			HostedNumberOrders: []workflow.OrderRef{{SID: order, PhoneNumber: "+14155550142"}},
		}))
	}
	measures(t, admin, `countersign_refused_events{code="number_taken"} 1`)
	line := regexp.MustCompile(`refused[^\n]*` + string(testPX(1)) + `[^\n]*number_taken`)
	w.says("number_taken")
	if log := w.log.String(); !line.MatchString(log) || strings.Contains(log, "+14155550142") {
		t.Errorf("the log: %s", log)
	}
	x.statuses(dir, workflow.Signing, 1)
	code, out, errs := x.command(dir, "dead", "list", "--refused")
	if want := "the telephone number of order HR00000000000000000000000000000002 is on document " + string(testPX(0)); code != 0 || !strings.Contains(out, want) {
		t.Errorf("dead list exits %d: %s%s", code, out, errs)
	}
}

// TestServe_ReadyzOneOfTwoWorkersFrozen freezes the worker that is at work.
func TestServe_ReadyzOneOfTwoWorkersFrozen(t *testing.T) {
	t.Parallel()
	x, dir := newTown(t), t.TempDir()
	one, first := x.up(dir)
	x.create(1, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	_, second := x.up(t.TempDir())
	measures(t, first, "countersign_active 1")
	measures(t, second, "countersign_active 0")
	one.freeze()
	defer one.thaw()
	x.create(2, 1, "signer-%d@example.com")
	measures(t, second, "countersign_active 1")
	probe(t, second, 200, "ready")
}

// TestServe_ReadyzDatabaseDeleted removes the database under a running worker.
func TestServe_ReadyzDatabaseDeleted(t *testing.T) {
	t.Parallel()
	x, dir := newTown(t), t.TempDir()
	_, admin := x.up(dir)
	probe(t, admin, 200, "store: ok")
	removeDatabase(t, dir)
	probe(t, admin, 503, "store: failing since .*"+regexp.QuoteMeta(dir)+".*removed or replaced.*restart the worker")
	wantAlert(t, admin, "CountersignDatabaseUnwritable")
}

// TestServe_ReadyzDatabaseDiskFull fills the disk while there is nothing to write.
func TestServe_ReadyzDatabaseDiskFull(t *testing.T) {
	t.Parallel()
	if !alone(t) {
		return
	}
	x, dir := newTown(t), smallDisk(t, "8m")
	_, admin := x.up(dir)
	probe(t, admin, 200, "store: ok")
	free := fill(t, dir)
	probe(t, admin, 503, "store: failing since .*(no space left|disk is full)")
	wantAlert(t, admin, "CountersignDatabaseUnwritable")
	free()
	probe(t, admin, 200, "store: ok")
}

// TestServe_ReadyzNATSDiskFull fills the disk of the NATS server, and publishes.
func TestServe_ReadyzNATSDiskFull(t *testing.T) {
	t.Parallel()
	if !alone(t) {
		return
	}
	broker := startServers(t, 1)
	broker.up[0].kill()
	broker.options[0].Dir = smallDisk(t, "24m")
	broker.start(0)
	x, dir := townAt(t, broker), t.TempDir()
	eventstest.WaitFor(t, inAMinute, "the connection", x.nc.IsConnected)
	held, release := make(chan bool, 100), make(chan bool)
	x.box.Script(func(s catcher.Step) error {
		if s.Phase == catcher.Data {
			held <- true
			<-release
		}
		return nil
	})
	_, admin := x.up(dir, "COUNTERSIGN_MAIL_DEADLINE=30s")
	x.create(1, inFlight, "signer-%d@example.com")
	for range inFlight {
		<-held
	}
	free := fill(t, broker.options[0].Dir)
	close(release) // the outcomes, and what follows from them, have to go somewhere
	probe(t, admin, 503, "append: failing since .*not acknowledged.*room on the NATS server's disk")
	wantAlert(t, admin, "CountersignLogTakesNoEvents", "CountersignLogUnreadable", "CountersignFollowerBehind", "CountersignLettersGone")
	free()
	broker.up[0].kill()
	broker.start(0)
	probe(t, admin, 200, "ready\n")
}

// TestServe_ReadyzLettersGone removes the object store in which a signed letter is.
func TestServe_ReadyzLettersGone(t *testing.T) {
	t.Parallel()
	x, dir := newTown(t), t.TempDir()
	w, admin := x.up(dir)
	x.create(1, 1, "signer-%d@example.com")
	s := x.signer(w.address("public"), testPX(1), 1)
	s.must("POST", "", s.form("sign"), 200)
	x.statuses(dir, workflow.Signed, 1)
	x.rest(dir)
	probe(t, admin, 200, "letters: ok")
	if err := x.js().DeleteObjectStore(t.Context(), eventlog.LettersBucket); err != nil {
		t.Fatal(err)
	}
	probe(t, admin, 503, "letters: failing since .*"+eventlog.LettersBucket+" was removed.*restore the stream OBJ_")
	wantAlert(t, admin, "CountersignLettersGone")

	// A letter that is signed meanwhile makes a new store, which lacks the old one.
	x.create(2, 1, "signer-%d@example.com")
	s = x.signer(w.address("public"), testPX(2), 1)
	s.must("POST", "", s.form("sign"), 200)
	probe(t, admin, 503, "letters: failing since .*has lost letter "+string(testPX(1)))
}

// TestServe_ReadyzKeysAndAccountsLost removes both files under a running worker: it goes
// on with the keys that it had.
func TestServe_ReadyzKeysAndAccountsLost(t *testing.T) {
	t.Parallel()
	x, dir := newTown(t), t.TempDir()
	x.must(dir, "accounts", "add", "--sid", string(testAccount))
	w, admin := x.up(dir)
	probe(t, admin, 200, "keys: ok")
	x.create(1, 1, "signer-%d@example.com")
	s := x.signer(w.address("public"), testPX(1), 1)
	away := x.keys + ".away"
	if err := os.Rename(x.keys, away); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "accounts")); err != nil {
		t.Fatal(err)
	}
	probe(t, admin, 503, "keys: failing since .*no such file")
	probe(t, admin, 503, "accounts: failing since .*removed.*restore it")
	s.must("GET", "", nil, 200)
	wantAlert(t, admin, "CountersignKeysLost", "CountersignAccountsLost")
	if private.Exists(x.keys) {
		t.Error("keys were made in place of the lost ones")
	}
	if err := os.Rename(away, x.keys); err != nil {
		t.Fatal(err)
	}
	probe(t, admin, 503, "keys: ok")
}
