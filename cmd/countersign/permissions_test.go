package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// The two configurations in deploy/nats.
const (
	accountsConf = "accounts.conf"
	usersConf    = "users.conf"
)

// The accounts that the configurations in deploy/nats give to loa-desk and to
// portal.
const (
	deskAccount   = workflow.SID("AC26afce54bcde795fe40605a037dbf3a6")
	portalAccount = workflow.SID("AC5bb3ae32b1bb4b8a8b0e5f0d2b0d7c11")
)

// secured is a NATS server with a configuration of deploy/nats, as the
// program's user sees it.
type secured struct{ host, conf string }

// URL is what Countersign connects to.
func (s secured) URL() string { return s.as("countersign") }

func (s secured) as(user string) string { return "nats://" + user + ":secret@" + s.host }

// conn connects as a user, with the inbox prefix that the configuration gives
// to that user.
func (s secured) conn(t *testing.T, user string) *nats.Conn {
	t.Helper()
	// What a user may not do, the server reports to this handler.
	forbidden := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
	nc, err := nats.Connect(s.as(user), nats.CustomInboxPrefix("_INBOX_"+user), forbidden)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func (s secured) connect(t *testing.T, user string) jetstream.JetStream {
	t.Helper()
	return s.on(t, user, s.conn(t, user))
}

// on is JetStream as a user reaches it: the services have an account of their
// own under accounts.conf, which imports a part of Countersign's API.
func (s secured) on(t *testing.T, user string, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	prefix := jetstream.DefaultAPIPrefix
	if s.conf == accountsConf && user != "countersign" && user != "admin" {
		prefix = "countersign.API"
	}
	js, err := jetstream.NewWithAPIPrefix(nc, prefix, jetstream.WithDefaultTimeout(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// startSecured starts a NATS server with a configuration of deploy/nats, but
// for its store and its port. ackV2 turns the feature flag js_ack_fc_v2 on.
func startSecured(t *testing.T, conf string, ackV2 bool) secured {
	t.Helper()
	for _, user := range []string{"COUNTERSIGN", "ADMIN", "LOA_DESK", "PORTAL", "ORDERS", "REPORTS"} {
		t.Setenv("NATS_"+user+"_PASSWORD", "secret")
	}
	o, err := server.ProcessConfigFile("../../deploy/nats/" + conf)
	if err != nil {
		t.Fatal(err)
	}
	store, err := os.MkdirTemp("", "nats-")
	if err != nil {
		t.Fatal(err)
	}
	o.Port, o.StoreDir, o.NoSigs, o.NoLog = server.RANDOM_PORT, store, true, true
	o.FeatureFlags = map[string]bool{server.FeatureFlagJsAckFormatV2: ackV2}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
		// A batch that is open may still be written for a moment.
		eventstest.Wait(t, "the store to be removed", func() bool { return os.RemoveAll(store) == nil })
	})
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not answer")
	}
	return secured{s.Addr().String(), conf}
}

// makeConsumers makes the consumers that docs/nats.md has the user admin make,
// once the worker has made the stream.
func (s secured) makeConsumers(t *testing.T) {
	t.Helper()
	admin := s.connect(t, "admin")
	for name, filters := range map[string][]string{
		"orders": {"authdocs.v1.*.*.order.*.register"},
		"desk":   {"authdocs.v1." + string(deskAccount) + ".*.became.>", "authdocs.v1." + string(deskAccount) + ".*.refused.>"},
		"portal": {"authdocs.v1." + string(portalAccount) + ".*.became.>", "authdocs.v1." + string(portalAccount) + ".*.refused.>"},
	} {
		_, err := admin.CreateConsumer(t.Context(), events.StreamName, jetstream.ConsumerConfig{
			Durable: name, FilterSubjects: filters, AckPolicy: jetstream.AckExplicitPolicy,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// next takes the next messages of a service's own consumer, and has the server
// confirm each ack.
func next(t *testing.T, js jetstream.JetStream, consumer string, n int) (subjects []string) {
	t.Helper()
	c, err := js.Consumer(t.Context(), events.StreamName, consumer)
	if err != nil {
		t.Fatal(err)
	}
	msgs, err := c.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer msgs.Stop()
	for range n {
		msg, err := msgs.Next(jetstream.NextMaxWait(30 * time.Second))
		if err != nil {
			t.Fatalf("consumer %s: %v after %q", consumer, err, subjects)
		}
		if err := msg.DoubleAck(t.Context()); err != nil {
			t.Errorf("consumer %s: ack %s: %v", consumer, msg.Reply(), err)
		}
		subjects = append(subjects, strings.TrimPrefix(msg.Subject(), events.Prefix))
	}
	return subjects
}

// upstream publishes events as a service does.
func upstream(t *testing.T, js jetstream.JetStream) func(events.Event) {
	return func(e events.Event) {
		t.Helper()
		if _, err := events.Publish(t.Context(), js, e); err != nil {
			t.Fatal(err)
		}
	}
}

// deskCreates is a document of loa-desk's with one order.
func deskCreates(n int) events.Event {
	return events.Created("/desk", string(testPX(n)), deskAccount, testPX(n), workflow.Created{
		AddressSID: "AD00000000000000000000000000000001", Email: "signer@example.com", HostedNumberOrders: numbered(testHR(n)),
	})
}

// TestDeployNATS_EveryServiceDoesItsWork does all that touches NATS under each
// configuration of deploy/nats: a worker's life, every command, the upstream
// services, the order service and the reports. The server's two formats of
// acks and of flow control are both tried.
func TestDeployNATS_EveryServiceDoesItsWork(t *testing.T) {
	for name, test := range map[string]struct {
		conf  string
		ackV2 bool
	}{
		"accounts": {accountsConf, false}, "accounts, js_ack_fc_v2": {accountsConf, true},
		"users": {usersConf, false}, "users, js_ack_fc_v2": {usersConf, true},
	} {
		t.Run(name, func(t *testing.T) { everyService(t, startSecured(t, test.conf, test.ackV2)) })
	}
}

func everyService(t *testing.T, broker secured) {
	x, dir := townAt(t, broker), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	broker.makeConsumers(t)
	desk, orders := broker.connect(t, "loa-desk"), broker.connect(t, "orders")
	say := upstream(t, desk)
	say(deskCreates(0))
	say(deskCreates(1))
	x.statuses(dir, workflow.Signing, 2)
	signer := x.signer(w.address("public"), testPX(0), 1)
	signer.must("POST", "", signer.form("sign"), 200)
	say(events.StatusChanged("/desk", "canceled", deskAccount, testPX(1), workflow.StatusChanged{Status: workflow.Canceled}))
	register := next(t, orders, "orders", 1)
	if want := string(deskAccount+"."+testPX(0)) + ".order." + string(testHR(0)) + ".register"; register[0] != want {
		t.Errorf("the order service gets %s, want %s", register[0], want)
	}
	upstream(t, orders)(events.OrderStatusChanged("/orders", "done", deskAccount, testPX(0), testHR(0), workflow.OrderStatusChanged{Status: workflow.OrderCompleted}))
	come := reportFile(t, x.oneTo("signer@example.com", string(testPX(1))+".1.signature.0"), "1@mx", "failed", "5.1.1", "550 gone")
	unread := file(t, "From: a@example.com\n\nHello.\n")
	x.call(dir, exitOK, "bounce", unread, "--nats-url", broker.as("reports"), "--nats-inbox-prefix", "_INBOX_reports")
	x.must(dir, "bounces", "unread", "show", "1")
	x.must(dir, "bounces", "unread", "discard", "1")
	if list := x.unreadList(dir); len(list) != 0 {
		t.Errorf("unread reports: %+v", list)
	}
	if out, _ := x.call(dir, exitOK, "bounce", come, "--nats-url", broker.as("reports"), "--nats-inbox-prefix", "_INBOX_reports", "--wait", "1m"); !strings.Contains(out, "applied") {
		t.Errorf("a report: %s", out)
	}
	say(events.StatusChanged("/desk", "late", deskAccount, testPX(1), workflow.StatusChanged{Status: workflow.Signed})) // refused
	told := strings.Join(next(t, desk, "desk", 7), "\n")
	for _, want := range []string{".became.opened.1", ".became.signing.1", ".became.signed.1", ".became.canceled.1", ".refused."} {
		if !strings.Contains(told, want) {
			t.Errorf("loa-desk is not told %s, but\n%s", want, told)
		}
	}
	largeSnapshot(t, x)
	everyCommand(t, x, broker, dir)
	w.end()
	x.must(dir, "rebuild")
	again := start(t, x.env(dir))
	again.says("read to its end")
	again.end()
}

// largeSnapshot puts a snapshot of 16 MiB, loads it back, and removes it. The
// server sends that much only to a client that answers its flow control.
func largeSnapshot(t *testing.T, x *town) {
	t.Helper()
	snapshots := x.snapshotsOf()
	content := io.LimitReader(rand.NewChaCha8([32]byte{}), 16<<20)
	put, got := sha256.New(), sha256.New()
	large, err := snapshots.Put(t.Context(), eventlog.Snapshot{Position: eventlog.Position{Sequence: 1}}, io.TeeReader(content, put))
	if err != nil {
		t.Fatal(err)
	}
	if err := snapshots.Get(t.Context(), large.Name, got); err != nil || !bytes.Equal(put.Sum(nil), got.Sum(nil)) {
		t.Errorf("a snapshot of %d bytes is not loaded as it was put: %v", large.Size, err)
	}
	if err := snapshots.Delete(t.Context(), large.Name); err != nil {
		t.Error(err)
	}
}

// everyCommand runs the commands that read or write the log, and ends with
// neither letters nor documents.
func everyCommand(t *testing.T, x *town, broker secured, dir string) {
	t.Helper()
	x.rest(dir)
	file := filepath.Join(t.TempDir(), "events.jsonl")
	line := `{"subject":"` + events.Prefix + string(deskAccount) + "." + string(testPX(2)) + `.created","data":{"specversion":"1.0"}}`
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"publish", file},
		{"snapshot", "take"},
		{"snapshot", "list"},
		{"verify"},
		{"replay", "--dry-run", events.StreamName},
		{"dead", "list"},
		{"rules", "show"},
		{"erase", "--yes", string(testPX(1))},
	} {
		x.must(dir, args...)
	}
	letters, err := broker.connect(t, "countersign").ObjectStore(t.Context(), eventlog.LettersBucket)
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := letters.List(t.Context()); err != nil || len(kept) != 1 {
		t.Errorf("%d letters are kept: %v", len(kept), err)
	}
	second := t.TempDir()
	v := start(t, x.env(second))
	v.says("from a snapshot")
	v.says("read to its end")
	v.end()
	waitLong(t, "the signed document to be finished, and erased", func() bool {
		code, _, _ := x.command(dir, "erase", "--yes", string(testPX(0)))
		return code == exitOK
	})
	if kept, err := letters.List(t.Context()); !errors.Is(err, jetstream.ErrNoObjectsFound) {
		t.Errorf("erased, and %d letters are kept: %v", len(kept), err)
	}
}
