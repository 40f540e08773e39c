package sim

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"countersign/events"
	"countersign/internal/relay"
	"countersign/workflow"
)

// plan is what a schedule is made of.
type plan struct {
	workers   int
	chaos     int // steps with faults
	lossy     int // one request or answer in so many is lost
	deferring int // one mail in so many is deferred
	dying     int // one mail in so many is the last that its worker sends
	killing   int // one step in so many is a fault of a worker or a server
	intruding int // one step in so many is somebody else's entry on an own subject, or with an own message id; 0 for none
	hold      bool
	tailLoss  bool
	parking   int64 // seconds
	timers    workflow.Timers
	notify    []workflow.Status
	requires  []workflow.LetterPart
	retry     relay.Retry
}

// rules are the settings in force.
func (p plan) rules() workflow.RulesActivated {
	b := workflow.RulesActivated{Version: workflow.RulesVersion(), ParkingLimitSeconds: p.parking, NotifyCC: p.notify, LetterRequires: p.requires}
	if p.timers != (workflow.Timers{}) {
		b.Timers = &p.timers
	}
	return b
}

func (w *world) makePlan() {
	r := w.rng
	pick := func(of ...int) int { return of[r.IntN(len(of))] }
	w.plan = plan{
		workers: pick(1, 2, 2, 3), chaos: 80 + r.IntN(160), lossy: pick(5, 12, 30, 1000), deferring: pick(3, 10, 1000),
		killing: pick(10, 20, 40, 1000), dying: pick(3, 10, 1000), hold: w.chance(8), tailLoss: w.chance(8),
		parking: int64(5 + r.IntN(12)),
		retry:   relay.Retry{First: 2 * time.Second, Max: 10 * time.Second, GiveUp: 5 * time.Minute},
	}
	if w.broken == noGuard {
		w.plan.tailLoss, w.plan.killing = true, pick(5, 10)
	}
	if w.broken == noMailOrder { // a worker that has read the log in other batches would know the order
		w.plan.workers, w.plan.killing, w.plan.dying, w.plan.deferring = 1, 1000, 1000, 3
	}
	if !w.chance(4) {
		w.plan.timers = workflow.Timers{
			RemindAfter: int64(1 + r.IntN(8)), RemindEvery: int64(r.IntN(6)), RemindMost: r.IntN(4),
			ExpireAfter: int64(r.IntN(2) * (6 + r.IntN(30))), FreshFor: int64(r.IntN(2) * (3 + r.IntN(20))),
		}
		w.plan.notify = workflow.Notices[:r.IntN(3)]
	}
	w.stream.cluster = w.chance(2)
	w.makeRequires()
	w.makeTraffic()
	w.plan.intruding = pick(0, 10, 40)
	if w.broken == noPlaceCheck || w.broken == noIDCheck {
		w.plan.intruding = 5
	}
}

// upstream is a message on its way from an upstream service.
type upstream struct{ msg *nats.Msg }

const account = workflow.SID("AC00000000000000000000000000000001")

func sid(prefix string, n int) workflow.SID { return workflow.SID(fmt.Sprintf("%s%032x", prefix, n)) }

// makeTraffic makes the lives of a handful of documents: roughly in order, with
// repeats, and with what no service should say.
func (w *world) makeTraffic() {
	var lives [][]*nats.Msg
	total := 0
	for d := range 1 + w.rng.IntN(4) {
		lives = append(lives, w.life(d+1))
		total += len(lives[d])
	}
	for total > 0 {
		i := w.rng.IntN(len(lives))
		if len(lives[i]) == 0 {
			continue
		}
		j := 0
		if w.chance(6) {
			j = w.rng.IntN(len(lives[i])) // out of order
		}
		m := lives[i][j]
		lives[i] = append(lives[i][:j:j], lives[i][j+1:]...)
		w.traffic = append(w.traffic, upstream{m})
		total--
	}
	for range w.rng.IntN(4) { // sent again, with and without the same Nats-Msg-Id
		again := copied(w.traffic[w.rng.IntN(len(w.traffic))].msg)
		if w.chance(2) {
			again.Header.Del("Nats-Msg-Id")
		}
		at := w.rng.IntN(len(w.traffic) + 1)
		w.traffic = append(w.traffic[:at:at], append([]upstream{{again}}, w.traffic[at:]...)...)
	}
}

// life makes one document's events.
func (w *world) life(d int) []*nats.Msg {
	a := &author{w: w, d: d}
	orders := a.creates()
	for range w.rng.IntN(5) {
		a.says(orders[0])
	}
	if beside := w.rng.IntN(3) * len(orders); w.besides() && (len(w.plan.requires) > 0 || w.chance(3)) {
		for range 2 + beside {
			a.beside(orders)
		}
		w.rng.Shuffle(len(a.out), func(i, j int) {
			if w.chance(2) {
				a.out[i], a.out[j] = a.out[j], a.out[i]
			}
		})
	}
	if !w.chance(5) {
		a.status(workflow.Signed)
	}
	if w.chance(4) {
		a.status([]workflow.Status{workflow.Canceled, workflow.Failed, workflow.Signed, workflow.Opened}[w.rng.IntN(4)])
	}
	return a.out
}

// author writes the events of document d.
type author struct {
	w   *world
	d   int
	n   int // events that have an id
	out []*nats.Msg
}

func (a *author) document() workflow.SID { return sid("PX", a.d) }

func (a *author) id() string { a.n++; return fmt.Sprintf("%d-%d", a.d, a.n) }

func (a *author) add(e events.Event) {
	m, err := e.Message()
	must(err)
	a.out = append(a.out, m)
}

func (a *author) status(s workflow.Status) {
	b := workflow.StatusChanged{Status: s, Reason: "so they say"}
	switch s {
	case workflow.Canceled:
		b.CanceledBy = events.CanceledBy[a.w.rng.IntN(2)]
	case workflow.Signed:
		b.Evidence, b.Reason = json.RawMessage(`{"name":"Ann"}`), ""
	}
	a.add(events.StatusChanged("/desk", a.id(), account, a.document(), b))
}

// creates makes the document, and returns its orders.
func (a *author) creates() (orders []workflow.SID) {
	w := a.w
	for range 1 + w.rng.IntN(3) {
		orders = append(orders, sid("HR", 1+w.rng.IntN(8))) // shared between documents at times
	}
	var refs []workflow.OrderRef
	if w.chance(2) { // eight orders have four telephone numbers
		refs = []workflow.OrderRef{{SID: orders[0], PhoneNumber: phoneNumber(w.rng.IntN(4))}}
	}
	cc := []string{"ops@example.com", "OPS@example.com", "nobody@example.com", "law@example.org"}[:w.rng.IntN(5)]
	signer := fmt.Sprintf("signer%d@example.com", a.d)
	if w.chance(8) {
		signer = "nobody@example.net"
	}
	a.add(events.Created("/orders", a.id(), account, a.document(), workflow.Created{
		AddressSID: sid("AD", 1), Email: signer, CCEmails: cc, HostedNumberOrderSIDs: unique(orders), HostedNumberOrders: refs, Hold: w.chance(5),
		Timers: w.ownTimers(),
	}))
	return orders
}

// says has something happen to the document, or to an order of it.
func (a *author) says(order workflow.SID) {
	w, doc := a.w, a.document()
	switch w.rng.IntN(8) {
	case 0:
		a.add(events.Updated("/orders", a.id(), account, doc, workflow.Updated{ContactTitle: new(fmt.Sprint("Owner ", a.n))}))
	case 1:
		a.status(workflow.Opened)
		a.status(workflow.Signing)
	case 2:
		a.status(workflow.Signing)
	case 3:
		b := workflow.OrderStatusChanged{Status: workflow.OrderStatuses[w.rng.IntN(len(workflow.OrderStatuses))]}
		if w.chance(3) {
			b.PhoneNumber = phoneNumber(w.rng.IntN(4))
		}
		a.add(events.OrderStatusChanged("/numbers", a.id(), account, doc, order, b))
	case 4:
		a.out = append(a.out, &nats.Msg{Subject: workflow.SubjectPrefix + string(account) + "." + string(doc) + ".updated", Data: []byte("not an event " + a.id())})
	case 5:
		a.status(workflow.Statuses[w.rng.IntN(len(workflow.Statuses))])
	case 6:
		a.add(events.Resend("/desk", a.id(), account, doc, workflow.Resend{}))
	case 7:
		a.add(events.Bounced("/mx", a.id(), []workflow.SID{account, ""}[w.rng.IntN(2)], workflow.Bounced{
			Mail:   workflow.MailID(fmt.Sprintf("%s.%d.signature.0", doc, 1+w.rng.IntN(2))),
			Action: workflow.Actions[w.rng.IntN(2)], Status: []string{"5.1.1", "4.4.1"}[w.rng.IntN(2)],
		}))
	}
}

// ownTimers are what one document in three has in place of the settings.
func (w *world) ownTimers() *workflow.OwnTimers {
	if !w.chance(3) {
		return nil
	}
	own := &workflow.OwnTimers{}
	for _, field := range []**int64{&own.RemindAfter, &own.RemindEvery, &own.ExpireAfter, &own.FreshFor} {
		if w.chance(3) {
			*field = new(int64(w.rng.IntN(20)))
		}
	}
	return own
}

func unique(sids []workflow.SID) []workflow.SID {
	seen := map[workflow.SID]bool{}
	var out []workflow.SID
	for _, s := range sids {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// phoneNumber is one of the telephone numbers that orders have.
func phoneNumber(n int) string { return fmt.Sprint("+1415555010", n) }
