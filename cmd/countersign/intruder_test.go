package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

// TestDeployNATS_Intruder has portal, an upstream service that may publish four
// subjects of its own account, attack everybody else. Under accounts.conf all
// attacks fail. Under users.conf those succeed that docs/nats.md names, and no
// others.
func TestDeployNATS_Intruder(t *testing.T) {
	for _, conf := range []string{accountsConf, usersConf} {
		for _, ackV2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, js_ack_fc_v2 %t", conf, ackV2), func(t *testing.T) {
				s := newSiege(t, startSecured(t, conf, ackV2))
				for _, a := range []struct {
					name   string
					users  bool // succeeds under users.conf
					attack func(*siege) (won string)
				}{
					{"overhears", false, (*siege).overheard},
					{"leaves batches open", false, (*siege).openBatches},
					{"writes foreign subjects", false, (*siege).writeForeign},
					{"has traces written", false, (*siege).traces},
					{"calls the JetStream API", false, (*siege).callAPI},
					{"takes from foreign consumers by an ack", false, (*siege).foreignAcks},
					{"acks for others by a reply", false, (*siege).ackByReply},
					{"deletes by a reply", false, (*siege).deleteByReply},
					{"has more than an event's size stored", true, (*siege).tooLarge},
					{"has replies stored as entries", true, (*siege).replies},
				} {
					won := a.attack(s)
					if succeeds := a.users && conf == usersConf; succeeds != (won != "") {
						t.Errorf("portal %s: %q, and should succeed: %t", a.name, won, succeeds)
					}
				}
			})
		}
	}
}

// siege is a town in which portal is hostile.
type siege struct {
	t      *testing.T
	broker secured
	x      *town
	dir    string
	w      *running
	evil   *nats.Conn
	admin  jetstream.JetStream
	api    []string // prefixes of the JetStream API that portal tries

	mu     sync.Mutex
	heard  []string // what portal has overheard
	events []string // those of it that are events of others
}

// newSiege lets portal listen while a document of loa-desk's is signed,
// registered and erased from nobody's memory: its letter and a snapshot are
// there to be read.
func newSiege(t *testing.T, broker secured) *siege {
	t.Helper()
	s := &siege{t: t, broker: broker, x: townAt(t, broker), dir: t.TempDir(), api: []string{"$JS.API", "countersign.API"}}
	s.listen(broker.conn(t, "portal"))
	s.w = start(t, s.x.env(s.dir))
	s.w.says("read to its end")
	broker.makeConsumers(t)
	s.admin = broker.connect(t, "admin")
	desk := broker.connect(t, "loa-desk")
	upstream(t, desk)(deskCreates(0))
	signer := s.x.signer(s.w.address("public"), testPX(0), 1)
	signer.must("POST", "", signer.form("sign"), 200)
	next(t, desk, "desk", 3)
	s.x.rest(s.dir)
	s.x.must(s.dir, "snapshot", "take")
	if _, err := s.x.snapshotsOf().List(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.evil = broker.conn(t, "portal")
	return s
}

func (s *siege) listen(nc *nats.Conn) {
	s.t.Helper()
	for _, subject := range []string{
		">", "*", "_INBOX.>", "_INBOX_countersign.>", "_INBOX_loa-desk.>", "_INBOX_admin.>", "*.>", "_INBOX_countersign.*.*", "_R_.>",
		"authdocs.>", "authdocs.v1." + string(deskAccount) + ".>", "authdocs.v1." + string(portalAccount) + ".>",
		"$JS.>", "$JS.API.>", "$JS.ACK.>", "$JS.EVENT.>", "$JS.FC.>", "$O.>", "$KV.>", "$SYS.>", "countersign.API.>",
	} {
		note := func(m *nats.Msg) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.heard = append(s.heard, m.Subject)
			if strings.Contains(string(m.Data), "specversion") && !strings.Contains(m.Subject, string(portalAccount)) {
				s.events = append(s.events, m.Subject)
			}
		}
		if _, err := nc.Subscribe(subject, note); err != nil {
			s.t.Fatal(err)
		}
		if _, err := nc.QueueSubscribe(subject, "workers", note); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *siege) overheard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(s.heard)
	return strings.Join(slices.Compact(s.heard), " ")
}

// own is a subject that portal may publish.
func (s *siege) own() string {
	return events.Prefix + string(portalAccount) + "." + string(testPX(9)) + ".created"
}

// put publishes a message on portal's own subject.
func (s *siege) put(reply string, header nats.Header) {
	s.t.Helper()
	if err := s.evil.PublishMsg(&nats.Msg{Subject: s.own(), Reply: reply, Header: header, Data: []byte("{}")}); err != nil {
		s.t.Fatal(err)
	}
}

// settle returns when the stream has taken what portal has published so far,
// and what the server has answered to it.
func (s *siege) settle() {
	s.t.Helper()
	for range 3 {
		if _, err := s.evil.RequestMsg(&nats.Msg{Subject: s.own(), Data: []byte("{}")}, 30*time.Second); err != nil {
			s.t.Fatal(err)
		}
	}
}

// entries counts the messages of every stream by subject.
func (s *siege) entries() map[string]uint64 {
	s.t.Helper()
	all := map[string]uint64{}
	for _, name := range []string{events.StreamName, "OBJ_" + eventlog.SnapshotsBucket, "OBJ_" + eventlog.LettersBucket} {
		stream, err := s.admin.Stream(s.t.Context(), name)
		if err != nil {
			s.t.Fatal(err)
		}
		info, err := stream.Info(s.t.Context(), jetstream.WithSubjectFilter(">"))
		if err != nil {
			s.t.Fatal(err)
		}
		maps.Copy(all, info.State.Subjects)
	}
	return all
}

// places are subjects that portal has no business on.
func places() []string {
	document := events.Prefix + string(deskAccount) + "." + string(testPX(0))
	list := []string{
		"authdocs.v1._._.refused.9", "authdocs.v1._.quarantined.3", "authdocs.v1._.mail.claimed", "authdocs.v1._.mail.settled",
		"authdocs.v1._.rules.activated", "authdocs.v2.x", "authdocs.x",
		"$O.AUTHDOCS_LETTERS.M.x", "$O.AUTHDOCS_LETTERS.C.x", "$O.AUTHDOCS_SNAPSHOTS.M.x", "$O.AUTHDOCS_SNAPSHOTS.C.x",
	}
	for _, what := range []string{"created", "updated", "status", "resend"} {
		list = append(list, document+"."+what)
	}
	for _, whose := range []string{document, events.Prefix + string(portalAccount) + "." + string(testPX(9))} {
		for _, what := range []string{
			"bounced", "order." + string(testHR(7)) + ".status", "order." + string(testHR(7)) + ".register", "became.failed.1", "refused.3",
			"due.expiry.1", "stale.1", "discarded.3", "erased", "by.page.status", "by.api.created", "by.operator.status", "by.bounce.bounced",
		} {
			list = append(list, whose+"."+what)
		}
	}
	return list
}

// landed says which places hold more than before.
func (s *siege) landed(before map[string]uint64) string {
	s.t.Helper()
	s.settle()
	after := s.entries()
	var more []string
	for _, p := range places() {
		if after[p] > before[p] {
			more = append(more, p)
		}
	}
	return strings.Join(more, " ")
}

func (s *siege) writeForeign() string {
	before := s.entries()
	for _, p := range places() {
		for _, reply := range []string{"", s.evil.NewInbox()} {
			if err := s.evil.PublishMsg(&nats.Msg{Subject: p, Reply: reply, Data: []byte("{}")}); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return s.landed(before)
}

// traces asks the server to write what becomes of a message onto other
// subjects.
func (s *siege) traces() string {
	before := s.entries()
	for _, p := range places() {
		s.put("", nats.Header{"Nats-Trace-Dest": {p}})
		s.put("", nats.Header{"Nats-Trace-Dest": {p}, "Nats-Trace-Only": {"true"}})
	}
	return s.landed(before)
}

// replies names other subjects as those on which the server answers: to a
// publish that is stored and one that is not, a pull with and without messages,
// a question about the own consumer, and an ack.
func (s *siege) replies() string {
	s.w.end() // its own entries are not portal's
	before := s.entries()
	for _, p := range places() {
		s.put(p, nil)
		s.put(p, nats.Header{"Nats-Expected-Stream": {"X"}})
		for _, api := range s.api {
			for _, subject := range []string{".CONSUMER.MSG.NEXT.AUTHDOCS.portal", ".CONSUMER.INFO.AUTHDOCS.portal"} {
				if err := s.evil.PublishRequest(api+subject, p, []byte(`{"batch":1,"no_wait":true}`)); err != nil {
					s.t.Fatal(err)
				}
			}
		}
		for _, ack := range []string{"$JS.ACK.AUTHDOCS.portal.1.1.1.1.0", "$JS.ACK._.bM6WhDWH.AUTHDOCS.portal.1.1.1.1.0"} {
			if err := s.evil.PublishRequest(ack, p, nil); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return s.landed(before)
}

// deleteByReply has the server's ack, which names a sequence, sent to the parts
// of the JetStream API that delete. The ack of a duplicate names the sequence
// of the first message with its id.
func (s *siege) deleteByReply() string {
	first, err := s.admin.Stream(s.t.Context(), events.StreamName)
	if err != nil {
		s.t.Fatal(err)
	}
	victim, err := first.GetMsg(s.t.Context(), first.CachedInfo().State.FirstSeq)
	if err != nil {
		s.t.Fatal(err)
	}
	before := s.entries()
	id := nats.Header{jetstream.MsgIDHeader: victim.Header[jetstream.MsgIDHeader]}
	for _, call := range []string{
		"STREAM.MSG.DELETE.AUTHDOCS", "STREAM.PURGE.AUTHDOCS", "STREAM.DELETE.AUTHDOCS", "STREAM.UPDATE.AUTHDOCS", "CONSUMER.DELETE.AUTHDOCS.orders",
	} {
		for _, api := range s.api {
			s.put(api+"."+call, id)
			s.put(api+"."+call, nil)
		}
	}
	s.settle()
	after := s.entries()
	for subject, n := range before {
		if after[subject] < n {
			return "deleted: " + subject
		}
	}
	if _, err := s.admin.Consumer(s.t.Context(), events.StreamName, "orders"); err != nil {
		return err.Error()
	}
	return ""
}

// callAPI asks for what is not portal's, and for changes.
func (s *siege) callAPI() string {
	var won []string
	before := s.entries()
	calls := map[string]string{}
	for _, api := range s.api {
		for call, body := range apiCalls {
			calls[api+"."+call] = body
		}
	}
	for call, m := range s.ask(calls) {
		if answers(m) {
			won = append(won, fmt.Sprintf("%s: %.200s", call, m.Data))
		}
	}
	if after := s.entries(); !maps.Equal(before, after) {
		won = append(won, fmt.Sprintf("the streams changed from %v to %v", before, after))
	}
	return strings.Join(won, "\n")
}

// ask sends requests, each with an inbox of its own, and returns what is
// answered within a second.
func (s *siege) ask(bodies map[string]string) map[string]*nats.Msg {
	s.t.Helper()
	come := make(chan *nats.Msg, 10*len(bodies))
	asked := map[*nats.Subscription]string{} // a message that is delivered keeps its own subject
	for subject, body := range bodies {
		inbox, err := s.evil.ChanSubscribe(s.evil.NewInbox(), come)
		if err == nil {
			err = s.evil.PublishRequest(subject, inbox.Subject, []byte(body))
		}
		if err != nil {
			s.t.Fatal(err)
		}
		asked[inbox] = subject
	}
	answered := map[string]*nats.Msg{}
	for late := time.After(time.Second); ; {
		select {
		case m := <-come:
			if m.Header.Get("Status") == "" { // no responders, or no messages
				answered[asked[m.Sub]] = m
			}
		case <-late:
			for inbox := range asked {
				if err := inbox.Unsubscribe(); err != nil {
					s.t.Error(err)
				}
			}
			return answered
		}
	}
}

// answers reports whether the JetStream API has done what it was asked for.
func answers(m *nats.Msg) bool {
	var answer struct{ Error *struct{} }
	return json.Unmarshal(m.Data, &answer) != nil || answer.Error == nil
}

var apiCalls = map[string]string{
	"INFO": "", "STREAM.NAMES": "", "STREAM.LIST": "", "STREAM.INFO.AUTHDOCS": "", "STREAM.INFO.OBJ_AUTHDOCS_LETTERS": "",
	"STREAM.MSG.GET.AUTHDOCS": `{"seq":1}`, "STREAM.MSG.GET.OBJ_AUTHDOCS_LETTERS": `{"seq":1}`, "STREAM.MSG.GET.OBJ_AUTHDOCS_SNAPSHOTS": `{"seq":1}`,
	"DIRECT.GET.AUTHDOCS": `{"seq":1}`, "DIRECT.GET.OBJ_AUTHDOCS_LETTERS": `{"seq":1}`, "DIRECT.GET.OBJ_AUTHDOCS_SNAPSHOTS": `{"seq":1}`,
	"STREAM.SNAPSHOT.AUTHDOCS": `{"deliver_subject":"portal"}`, "STREAM.PURGE.AUTHDOCS": "", "STREAM.DELETE.OBJ_AUTHDOCS_LETTERS": "",
	"STREAM.MSG.DELETE.AUTHDOCS": `{"seq":1}`, "STREAM.UPDATE.AUTHDOCS": `{"name":"AUTHDOCS","subjects":["authdocs.>","x"]}`,
	"STREAM.CREATE.EVIL":                            `{"name":"EVIL","retention":"limits","storage":"memory","num_replicas":1,"sources":[{"name":"AUTHDOCS"}]}`,
	"STREAM.CREATE.INBOX":                           `{"name":"INBOX","retention":"limits","storage":"memory","num_replicas":1,"subjects":["_INBOX_countersign.>"]}`,
	"CONSUMER.CREATE.AUTHDOCS":                      `{"stream_name":"AUTHDOCS","config":{"ack_policy":"none"}}`,
	"CONSUMER.CREATE.AUTHDOCS.evil":                 `{"stream_name":"AUTHDOCS","config":{"name":"evil","ack_policy":"none"}}`,
	"CONSUMER.CREATE.AUTHDOCS.portal":               `{"stream_name":"AUTHDOCS","config":{"name":"portal","durable_name":"portal","ack_policy":"explicit"},"action":"update"}`,
	"CONSUMER.CREATE.AUTHDOCS.portal.authdocs.v1.x": `{"stream_name":"AUTHDOCS","config":{"name":"portal","durable_name":"portal","ack_policy":"explicit","filter_subject":"authdocs.v1.x"},"action":"update"}`,
	"CONSUMER.CREATE.AUTHDOCS.push":                 `{"stream_name":"AUTHDOCS","config":{"name":"push","ack_policy":"none","deliver_subject":"$O.AUTHDOCS_LETTERS.C.push"}}`,
	"CONSUMER.DURABLE.CREATE.AUTHDOCS.d":            `{"stream_name":"AUTHDOCS","config":{"durable_name":"d","ack_policy":"explicit"}}`,
	"CONSUMER.LIST.AUTHDOCS":                        "", "CONSUMER.NAMES.AUTHDOCS": "", "CONSUMER.INFO.AUTHDOCS.desk": "", "CONSUMER.DELETE.AUTHDOCS.desk": "",
	"CONSUMER.MSG.NEXT.AUTHDOCS.desk": `{"batch":1,"no_wait":true}`, "CONSUMER.MSG.NEXT.AUTHDOCS.orders": `{"batch":1,"no_wait":true}`,
	"CONSUMER.PAUSE.AUTHDOCS.orders": `{"pause_until":"2099-01-01T00:00:00Z"}`, "CONSUMER.RESET.AUTHDOCS.orders": "",
	"CONSUMER.UNPIN.AUTHDOCS.orders": `{"group":"g"}`, "STREAM.LEADER.STEPDOWN.AUTHDOCS": "",
}

// foreignAcks asks other consumers for their next message in an ack's way. With
// two wildcards in place of domain and account, the subject for portal's acks
// in the one format is one for theirs in the other.
func (s *siege) foreignAcks() string {
	asked := map[string]string{}
	for _, consumer := range []string{"orders", "desk"} {
		for _, subject := range []string{
			"$JS.ACK.AUTHDOCS." + consumer + ".AUTHDOCS.portal.1.1.1", "$JS.ACK.AUTHDOCS." + consumer + ".1.1.1.1.0",
			"$JS.ACK._.bM6WhDWH.AUTHDOCS." + consumer + ".1.1.1.1.0", "$JS.ACK._.szMpdrwD.AUTHDOCS." + consumer + ".1.1.1.1.0",
		} {
			asked[subject] = `+NXT {"batch":1}`
		}
	}
	for subject, m := range s.ask(asked) {
		return subject + " brings " + m.Subject
	}
	return ""
}

// ackByReply has the server's empty answers sent where the order service's acks
// go, while it works on its first message.
func (s *siege) ackByReply() string {
	orders, err := s.broker.connect(s.t, "orders").Consumer(s.t.Context(), events.StreamName, "orders")
	if err != nil {
		s.t.Fatal(err)
	}
	msg, err := orders.Next(jetstream.FetchMaxWait(30 * time.Second))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, api := range s.api {
		if err := s.evil.PublishRequest(api+".CONSUMER.MSG.NEXT.AUTHDOCS.portal", msg.Reply(), []byte(`{"batch":9,"no_wait":true}`)); err != nil {
			s.t.Fatal(err)
		}
	}
	s.put(msg.Reply(), nil)
	// The server may close the connection of one who names such a reply.
	s.evil.Close()
	s.evil = s.broker.conn(s.t, "portal")
	s.settle()
	if info, err := orders.Info(s.t.Context()); err != nil || info.NumAckPending != 1 {
		return fmt.Sprintf("%+v, %v", info, err)
	}
	if err := msg.DoubleAck(s.t.Context()); err != nil {
		s.t.Error(err)
	}
	return ""
}

// openBatches opens 200 atomic batches a second and commits none, while a
// document with enough orders for a batch of events is signed.
func (s *siege) openBatches() string {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tick.C:
				header := nats.Header{"Nats-Batch-Id": {fmt.Sprint("b", n)}, "Nats-Batch-Sequence": {"1"}}
				_ = s.evil.PublishMsg(&nats.Msg{Subject: s.own(), Reply: s.evil.NewInbox(), Header: header, Data: []byte("{}")}) // it is closed at the end of the test only
			case <-stop:
				return
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	waitLong(s.t, "the stream to have all its open batches", func() bool {
		one := &nats.Msg{Subject: s.own(), Header: nats.Header{"Nats-Batch-Id": {nats.NewInbox()}, "Nats-Batch-Sequence": {"1"}}}
		m, err := s.evil.RequestMsg(one, time.Second)
		return err == nil && strings.Contains(string(m.Data), `"err_code":10210`)
	})
	created := workflow.Created{AddressSID: "AD00000000000000000000000000000001", Email: "many@example.com"}
	for i := range 20 {
		created.HostedNumberOrders = append(created.HostedNumberOrders, numbered(testHR(100+i))...)
	}
	desk := s.broker.connect(s.t, "loa-desk")
	upstream(s.t, desk)(events.Created("/desk", "many", deskAccount, testPX(100), created))
	signer := s.x.signer(s.w.address("public"), testPX(100), 1)
	signer.must("POST", "", signer.form("sign"), 200)
	next(s.t, desk, "desk", 3)
	s.x.rest(s.dir)
	registered := 0
	for subject := range s.entries() {
		if strings.Contains(subject, string(testPX(100))) && strings.HasSuffix(subject, ".register") {
			registered++
		}
	}
	if registered != 20 {
		return fmt.Sprintf("%d of 20 are registered", registered)
	}
	return ""
}

// tooLarge has a message of 1 MiB stored, which no event needs.
func (s *siege) tooLarge() string {
	large := s.broker.conn(s.t, "portal")
	m, err := large.RequestMsg(&nats.Msg{Subject: s.own(), Data: make([]byte, 1<<20)}, 5*time.Second)
	if err != nil {
		return ""
	}
	return string(m.Data)
}
