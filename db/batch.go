package db

import (
	"slices"
	"sync/atomic"
	"time"

	"countersign/db/internal/sqlc"
	"countersign/workflow"
)

// batch is a fold in memory of what a batch of entries touches, written down
// at the end.
type batch struct {
	q          *sqlc.Queries
	pos        Position
	states     map[workflow.SID]*workflow.State
	touched    []workflow.SID                  // the documents that the batch is about
	beside     *atomic.Bool                    // the store's
	waiting    map[workflow.SID][]workflow.SID // by an address that the batch is about: documents that may wait for it
	holders    map[string]workflow.Holder      // by order sid or telephone number
	orders     map[workflow.SID]workflow.HostedOrder
	addresses  map[workflow.SID]workflow.Address
	blocked    map[uint64]workflow.Holding // what had stood in an event's way and is not here any more
	known      map[workflow.Identity]int64 // sequence at which an event was met before this batch
	applied    uint64                      // by the batches before this one
	duplicates uint64
	mailWork   bool           // a batch before this one made emails pending
	eventWork  bool           // a batch before this one made events pending
	changed    []workflow.SID // documents that the batches before this one changed or erased; some twice

	met       []meeting // new events, for the inbox
	metAt     map[workflow.Identity]int
	again     []meeting                    // met before at a place that the log has lost
	verdicts  map[workflow.Identity]string // later results of events parked before this batch
	documents ordered[workflow.SID]
	stored    map[workflow.SID]workflow.Document // those of documents as the tables have them
	ordersNew ordered[workflow.SID]              // orders and addresses that are others now
	passed    ordered[string]                    // orders and telephone numbers that came to a document or left one
	timed     ordered[workflow.SID]              // documents whose timers are others now
	mails     map[workflow.MailID]workflow.Mail
	mailsHad  map[workflow.MailID]workflow.Mail // those of mails that were there before this batch, as the tables have them
	mailOrder ordered[workflow.MailID]
	pending   []workflow.PendingEvent
	pendingAt map[string]int
	done      map[string]uint64
	dropped   []string
	parked    []workflow.Parked
	unparked  []uint64
	refusals  []refusal
	closings  []closing
	bounces   []workflow.Bounce
	attempted map[workflow.MailID]bool            // of the mails that bounced events name: begun before this batch
	webhooks  map[workflow.SID][]workflow.Webhook // by account; nil until they are read
	delivered []deliveryChange
	hookWork  bool // this batch, or one before it, changed deliveries
	lines     []line
	lineNo    map[workflow.SID]int // lines written for the entry that is being decided
	tallies   map[tally]int
	erased    []workflow.Entry // events of erasure
	traces    bool             // one of them, of this batch, may have left some in the file
}

// tally names what is counted.
type tally struct{ what, kind, more string }

const (
	tallyDocuments = "documents"
	tallyMails     = "mails"
	tallyRefusals  = "refusals"
	tallyRegisters = "registers"
	tallyWaiting   = "waiting"
)

type meeting struct {
	workflow.Identity
	sequence uint64
	at       time.Time
	result   workflow.Result
}

type refusal struct {
	verdict workflow.Verdict
	at      time.Time
}

type line struct {
	document workflow.SID
	sequence uint64
	number   int
	at       time.Time
	note     workflow.Note
}

// ordered is a set that remembers the order of its first additions.
type ordered[K comparable] struct {
	list []K
	has  map[K]bool
}

func (o *ordered[K]) add(k K) {
	if o.has == nil {
		o.has = make(map[K]bool)
	}
	if !o.has[k] {
		o.has[k] = true
		o.list = append(o.list, k)
	}
}

// apply applies one entry to what was loaded.
func (b *batch) apply(e workflow.Entry) error {
	if e.Sequence <= b.pos.Sequence {
		return nil
	}
	b.pos.Sequence, b.pos.Time, b.pos.ID, b.pos.Source = e.Sequence, e.Time, e.ID, e.Source
	if b.goneSince(e) {
		return nil
	}
	b.lineNo = make(map[workflow.SID]int)
	b.finish(e)
	key := e.Identity()
	if _, twice := b.metAt[key]; twice {
		b.duplicates++
		return nil
	}
	if seq, before := b.known[key]; before {
		b.duplicates++
		if seq < 0 {
			b.again = append(b.again, meeting{key, e.Sequence, e.Time, ""})
		}
		return nil
	}
	if _, ok := e.Body.(workflow.Register); ok {
		b.count(tally{tallyRegisters, "", ""}, 1)
	}
	b.metAt[key] = len(b.met)
	b.met = append(b.met, meeting{key, e.Sequence, e.Time, workflow.ResultUnchanged})
	b.close(e)
	return b.decide(e)
}

// finish records a pending event that is on the log, and the last entry on the
// claims' subject. Somebody else's entry there is no claim, but whoever claims
// next must know its sequence.
func (b *batch) finish(e workflow.Entry) {
	switch e.Subject {
	case workflow.ClaimsSubject:
		b.pos.Claim = e.Sequence
		if c, ok := e.Body.(workflow.Claimed); ok {
			b.pos.ClaimWorker = c.Worker
		}
	case workflow.WebhookClaimsSubject:
		b.pos.HookClaim = e.Sequence
		if c, ok := e.Body.(workflow.DeliveriesClaimed); ok {
			b.pos.HookWorker = c.Worker
		}
	}
	if k := workflow.KindOf(e.Body.Type()); k != nil && k.Owed {
		if _, ok := b.done[e.Subject]; !ok && !slices.Contains(b.dropped, e.Subject) {
			b.done[e.Subject] = e.Sequence
		}
	}
}

func (b *batch) decide(e workflow.Entry) error {
	switch body := e.Body.(type) {
	case workflow.RulesActivated:
		next, err := b.pos.Activate(body)
		if err != nil {
			return err
		}
		b.pos.Settings = next
		b.result(e, workflow.ResultApplied)
	case workflow.Erased:
		b.erased = append(b.erased, e)
		b.about(e.Document, e)
	case workflow.Claimed:
		b.result(e, workflow.ResultApplied)
		var by ordered[workflow.SID]
		mails := make(map[workflow.SID][]workflow.MailID)
		for _, id := range body.Mails {
			by.add(id.Document())
			mails[id.Document()] = append(mails[id.Document()], id)
		}
		for _, sid := range by.list {
			e.Body = workflow.Claimed{Worker: body.Worker, Mails: mails[sid]}
			b.about(sid, e)
		}
	case workflow.Settled:
		b.result(e, workflow.ResultApplied)
		var by ordered[workflow.SID]
		outcomes := make(map[workflow.SID][]workflow.MailOutcome)
		for _, o := range body.Outcomes {
			by.add(o.Mail.Document())
			outcomes[o.Mail.Document()] = append(outcomes[o.Mail.Document()], o)
		}
		for _, sid := range by.list {
			e.Body = workflow.Settled{Worker: body.Worker, Claim: body.Claim, Outcomes: outcomes[sid]}
			b.about(sid, e)
		}
	case workflow.WebhookSet:
		b.result(e, workflow.ResultApplied)
		b.setWebhook(e, body)
	case workflow.DeliveriesClaimed, workflow.DeliveriesSettled, workflow.DeliveriesRedriven:
		b.result(e, workflow.ResultApplied)
		b.delivered = append(b.delivered, deliveryChange{entry: e})
	default:
		b.about(b.documentOf(e), e)
		b.tellWaiting(e)
	}
	return nil
}

// result records the entry's outcome. Claimed and settled entries always count
// as applied, even if no email changed, so that the result does not depend on
// documents erased since.
func (b *batch) result(e workflow.Entry, r workflow.Result) {
	b.met[b.metAt[e.Identity()]].result = r
}

// about lets the rules decide an entry for one document, and keeps the answer.
func (b *batch) about(sid workflow.SID, e workflow.Entry) {
	s := b.state(sid)
	before := *s
	d := workflow.Decide(*s, e, workflow.Facts{
		Settings: b.pos.Settings, Orders: b.orders, Addresses: b.addresses, Holders: b.holders, Blocked: b.blocked, Attempted: b.begun(e.Body), Webhooks: b.toldOf(s, e),
	})
	for _, x := range d.Deliveries {
		b.delivered = append(b.delivered, deliveryChange{made: &x})
	}
	b.keepParked(before.Parked, d.State.Parked)
	if !slices.Equal(before.Timers, d.State.Timers) {
		b.timed.add(sid)
	}
	*s = d.State
	if !before.Document.Same(s.Document) && s.Document.Status != workflow.Unseen {
		b.keepDocument(before.Document, s.Document)
	}
	b.tallyMails(before.Mails, d.Mails)
	for _, m := range d.Mails {
		if old, ok := b.mails[m.ID]; ok && m.About == nil {
			m.About = old.About
		}
		b.mails[m.ID] = m
		b.mailOrder.add(m.ID)
	}
	for _, o := range d.Pending {
		if _, twice := b.pendingAt[o.Subject()]; !twice {
			b.pendingAt[o.Subject()] = len(b.pending)
			b.pending = append(b.pending, o)
		}
	}
	for _, o := range d.Dropped {
		if subject := o.Subject(); b.done[subject] == 0 { // what came first stays, as it would from batch to batch
			b.dropped = append(b.dropped, subject)
		}
	}
	b.keepOrders(d)
	b.bounces = append(b.bounces, d.Bounces...)
	for _, n := range d.Notes {
		b.lines = append(b.lines, line{sid, e.Sequence, b.lineNo[sid], e.Time, n})
		b.lineNo[sid]++
	}
	for _, v := range d.Verdicts {
		b.keepVerdict(v, e.Time)
	}
}

func (b *batch) keepVerdict(v workflow.Verdict, at time.Time) {
	key := v.Entry.Identity()
	if i, ok := b.metAt[key]; ok {
		if m := &b.met[i]; m.result == workflow.ResultUnchanged || m.result == workflow.ResultParked {
			m.result = v.Result
		}
	} else {
		b.verdicts[key] = string(v.Result)
	}
	if v.Problem != nil {
		b.refusals = append(b.refusals, refusal{v, at})
		b.count(tally{tallyRefusals, string(v.Problem.Code), ""}, 1)
	}
}

func (b *batch) keepParked(before, after []workflow.Parked) {
	old := make(map[uint64]bool, len(before))
	for _, p := range before {
		old[p.Entry.Sequence] = true
	}
	for _, p := range after {
		if !old[p.Entry.Sequence] {
			b.parked = append(b.parked, p)
		}
		delete(old, p.Entry.Sequence)
	}
	for seq := range old {
		b.unparked = append(b.unparked, seq)
	}
}

func (b *batch) keepDocument(before, after workflow.Document) {
	if !b.documents.has[after.SID] {
		b.documents.add(after.SID)
		b.stored[after.SID] = before
	}
	if before.Status != after.Status {
		b.count(tally{tallyDocuments, string(before.Status), ""}, -1)
		b.count(tally{tallyDocuments, string(after.Status), ""}, 1)
	}
	b.keepWaiting(before, after)
	had, has := workflow.HeldKeys(before), workflow.HeldKeys(after)
	if slices.Equal(had, has) {
		return
	}
	for _, key := range had {
		delete(b.holders, key)
		b.passed.add(key)
	}
	for _, key := range has {
		b.holders[key] = workflow.Holder{Document: after.SID, Account: after.AccountSID}
		b.passed.add(key)
	}
}

func (b *batch) tallyMails(before, after []workflow.Mail) {
	for _, m := range after {
		if i := slices.IndexFunc(before, func(old workflow.Mail) bool { return old.ID == m.ID }); i >= 0 {
			b.count(tally{tallyMails, string(m.Kind), string(before[i].State)}, -1)
			if _, touched := b.mails[m.ID]; !touched {
				b.mailsHad[m.ID] = before[i]
			}
		}
		b.count(tally{tallyMails, string(m.Kind), string(m.State)}, 1)
	}
}

func (b *batch) count(t tally, n int) {
	if t.what == tallyDocuments && t.kind == "" {
		return // unseen ones are not counted
	}
	b.tallies[t] += n
}

// begun tells which of the mails that a bounced event names have been begun.
func (b *batch) begun(body workflow.Body) map[workflow.MailID]bool {
	bounced, ok := body.(workflow.Bounced)
	if !ok {
		return nil
	}
	begun := make(map[workflow.MailID]bool)
	for _, id := range bounced.Named() {
		m, touched := b.mails[id]
		begun[id] = touched && m.Attempts > 0 || !touched && b.attempted[id]
	}
	return begun
}
