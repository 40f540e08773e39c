package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/workflow"
)

// secured is the NATS server that README.md's configuration makes, as the
// program's user sees it.
type secured struct{ host string }

// URL is what Countersign connects to.
func (s secured) URL() string { return s.as("countersign") }

func (s secured) as(user string) string { return "nats://" + user + ":secret@" + s.host }

func (s secured) connect(t *testing.T, user string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(s.as(user))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// startSecured starts a NATS server with the configuration that stands in
// README.md, but for its store and its port.
func startSecured(t *testing.T) secured {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```\n# nats-server.conf\n(.*?)```").FindSubmatch(readme)
	if m == nil {
		t.Fatal("README.md has no nats-server.conf")
	}
	for _, user := range []string{"COUNTERSIGN", "LOA_DESK", "ORDERS", "REPORTS"} {
		t.Setenv("NATS_"+user+"_PASSWORD", "secret")
	}
	config := strings.Replace(string(m[1]), "/var/lib/nats", t.TempDir(), 1)
	file := filepath.Join(t.TempDir(), "nats-server.conf")
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:-1\n"+config), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	o.NoSigs, o.NoLog = true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not answer")
	}
	return secured{s.Addr().String()}
}

// TestThePermissionsOfTheReadmeAreEnough does all that touches NATS under the
// permissions that README.md shows: a worker's life, every command, an upstream
// service and the order service. And it tries what they forbid.
func TestThePermissionsOfTheReadmeAreEnough(t *testing.T) {
	broker := startSecured(t)
	x, dir := newTown(t), t.TempDir()
	x.at = broker
	w := start(t, x.env(dir))
	w.says("read to its end")
	const account = workflow.SID("AC26afce54bcde795fe40605a037dbf3a6") // loa-desk's
	desk, orders := broker.connect(t, "loa-desk"), broker.connect(t, "orders")
	say := func(e events.Event) {
		t.Helper()
		if _, err := events.Publish(t.Context(), desk, e); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 {
		say(events.Created("/desk", string(testPX(i)), account, testPX(i), workflow.Created{
			AddressSID: "AD00000000000000000000000000000001", Email: "signer@example.com", HostedNumberOrderSIDs: []workflow.SID{testHR(i)},
		}))
	}
	x.statuses(dir, workflow.Signing, 2)
	signer := x.signer(w.address("public"), testPX(0), 1)
	signer.must("POST", "", signer.form("sign"), 200)
	say(events.StatusChanged("/desk", "canceled", account, testPX(1), workflow.StatusChanged{Status: workflow.Canceled}))
	consumer, err := orders.CreateConsumer(t.Context(), events.StreamName, jetstream.ConsumerConfig{
		Durable: "orders", FilterSubject: "authdocs.v1.*.*.order.*.register", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	msg, err := consumer.Next(jetstream.FetchMaxWait(30 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if err := msg.DoubleAck(t.Context()); err != nil || !strings.Contains(msg.Subject(), string(testHR(0))) {
		t.Errorf("%s: %v", msg.Subject(), err)
	}
	if _, err := events.Publish(t.Context(), orders, events.OrderStatusChanged("/orders", "done", account, testPX(0), testHR(0), workflow.OrderStatusChanged{Status: workflow.OrderCompleted})); err != nil {
		t.Error(err)
	}
	come := report(t, x.oneTo("signer@example.com", string(testPX(1))+".1.signature.0"), "1@mx", "failed", "5.1.1", "550 gone")
	if out, _ := x.call(dir, exitOK, "bounce", come, "--nats-url", broker.as("reports"), "--wait", "1m"); !strings.Contains(out, "applied") {
		t.Errorf("a report: %s", out)
	}
	say(events.StatusChanged("/desk", "late", account, testPX(1), workflow.StatusChanged{Status: workflow.Signed})) // refused
	x.statuses(dir, workflow.Canceled, 1)
	waitLong(t, "a refusal", func() bool {
		out, _ := x.call(dir, exitOK, "dead", "list")
		return strings.Count(out, "\n") == 2
	})
	for _, args := range [][]string{
		{"snapshot"},
		{"snapshot", "--list"},
		{"verify"},
		{"replay", "--dry-run", events.StreamName},
		{"rules", "show"},
		{"erase", "--yes", string(testPX(1))},
	} {
		x.must(dir, args...)
	}
	letters, err := broker.connect(t, "countersign").ObjectStore(t.Context(), events.LettersBucket)
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := letters.List(t.Context()); err != nil || len(kept) != 1 {
		t.Errorf("%d letters are kept: %v", len(kept), err)
	}
	waitLong(t, "the signed document to be finished, and erased", func() bool {
		code, _, _ := x.command(dir, "erase", "--yes", string(testPX(0)))
		return code == exitOK
	})
	if kept, err := letters.List(t.Context()); !errors.Is(err, jetstream.ErrNoObjectsFound) {
		t.Errorf("erased, and %d letters are kept: %v", len(kept), err)
	}
	second := t.TempDir()
	v := start(t, x.env(second))
	v.says("from a snapshot")
	v.says("read to its end")
	v.end()
	w.end()
	for _, subject := range []string{
		"authdocs.v1." + string(account) + "." + string(testPX(0)) + ".became.signed.1", "authdocs.v1._.mail.claimed",
		"authdocs.v1." + string(testAccount) + "." + string(testPX(0)) + ".created",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, err := desk.Publish(ctx, subject, []byte("{}")); err == nil {
			t.Errorf("loa-desk may write %s", subject)
		}
		cancel()
	}
}
