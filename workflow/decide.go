// Package workflow decides how an Authorization Document moves from the day it
// is created to the day it ends, and which emails and events follow on the way.
//
// It has no clock, no database and no network. Decide takes the state of a
// document and one entry of the log. It returns the new state, the emails and
// events that become pending because of the entry, and a verdict on the entry.
// The rest of the program brings entries to Decide and carries out its
// decisions. Two replicas that apply the same log decide the same.
package workflow

import (
	"fmt"
	"time"
)

// State is all that the rules need to know of one document.
type State struct {
	Document Document
	Mails    []Mail      // the pending ones, oldest first
	Parked   []Parked    // events that wait for the event that they build on, oldest first
	Timers   []Timer     // the running timers, at most one of each kind
	Asked    []time.Time // of the finished emails that asked for the signature and that a worker had begun to send: when each became pending; oldest first
	Erased   uint64      // sequence of the event that erased the document, 0 if none did; if it is set, all else is empty
}

// Parked is an event that arrived before the one it builds on.
type Parked struct {
	Entry Entry
	Until time.Time // after that it is a dead letter
}

// Facts is what the rules need to know beyond the document.
type Facts struct {
	Settings
	Orders    map[SID]HostedOrder // what the log knows of the orders that the entry or the document names
	Addresses map[SID]Address     // what the log knows of the addresses that the entry or the document names
	Holders   map[string]Holder   // the live document that has a key, for every key that the entry or a parked event names (NamedKeys)
	Blocked   map[uint64]Holding  // by the sequence of a refused event: why, if the document that blocked it has been erased since
	Webhooks  []Webhook           // the enabled ones of the document's account
	Attempted map[MailID]bool     // which of the emails that a bounced event names a worker has begun to send
}

// Holding says why an event was refused because of another document.
type Holding struct {
	Code  Code // CodeOrderTaken or CodeNumberTaken
	Order SID  // the order that the refused event named
	Holder
}

// PendingEvent is an event that must be appended to the log exactly once.
type PendingEvent struct {
	Account  SID    // "_" if the cause names none
	Document SID    // "_" if the cause names none
	What     string // the rest of the subject: "became.signed.1"
	Body     Body
	Cause    uint64    // sequence of the entry from which it follows
	At       time.Time // time of that entry
	Due      time.Time // it must not be appended earlier; equal to At unless it is a timer
	Answers  uint64    // for a refusal and a parking limit: sequence of the entry that it is about; 0 for all others
}

// Subject returns the subject of the event.
func (o PendingEvent) Subject() string {
	return SubjectPrefix + string(o.Account) + "." + string(o.Document) + "." + o.What
}

// Note is one line of a document's history.
type Note struct {
	What   string // the event's type, ResultParked, ResultRefused, or "mail accepted" and so on
	Detail string
}

// Result is the outcome of an entry.
type Result string

// The results. Each entry on the log has exactly one.
const (
	ResultApplied    Result = "applied"
	ResultUnchanged  Result = "unchanged" // the document is already as the event asks
	ResultParked     Result = "parked"
	ResultRefused    Result = "refused"
	ResultDeadLetter Result = "dead_letter"
)

// Verdict is what the rules decided about one event and, if they refused it,
// why. A parked event gets a second verdict later.
type Verdict struct {
	Entry   Entry
	Result  Result
	Problem *Problem // set for ResultRefused and ResultDeadLetter
	Holder  SID      // the document that has the order or the number, even if it is another account's; set for CodeOrderTaken and CodeNumberTaken
}

// Decision is the result of Decide for one entry.
type Decision struct {
	State      State          // from now on
	Mails      []Mail         // the emails that are new or changed, finished ones included
	Pending    []PendingEvent // to be appended
	Dropped    []PendingEvent // pending timer events that are no longer needed; only their subjects count
	Bounces    []Bounce       // reports about emails
	Orders     []HostedOrder  // those that are new or changed
	Address    *Address       // the one that is new or changed, nil if none is
	Deliveries []Delivery     // new ones to webhooks and callbacks, to be carried out in this order for each receiver
	Notes      []Note         // for the document's history
	Verdicts   []Verdict      // on the entry, and on parked events that can apply because of it
	Unchanged  bool           // nothing of the document or its mails changed
}

// Decide applies one entry to one document. It cannot fail: if the event asks
// for something impossible, the decision has a verdict that says so and a
// pending refused event. A claimed or settled entry names emails of many
// documents; Decide handles those of this document and ignores the others.
func Decide(s State, e Entry, f Facts) Decision {
	e.Time = e.Time.UTC().Truncate(time.Millisecond) // the precision of the store, so that a replica that reloads the state decides the same
	d := &decider{out: Decision{State: s}, facts: f, cause: e, now: e.Time}
	d.state = &d.out.State
	d.state.Mails = append([]Mail(nil), s.Mails...)
	d.state.Parked = append([]Parked(nil), s.Parked...)
	d.state.Timers = append([]Timer(nil), s.Timers...)
	if d.state.Document.SID == "" {
		d.state.Document.SID = e.Document
	}
	if b, ok := e.Body.(Erased); ok {
		d.erase(e, b)
	} else {
		d.take(e)
		d.unpark()
		d.mirror(s.Document)
	}
	return d.decision()
}

// decider collects one decision.
type decider struct {
	state    *State // out's
	facts    Facts
	cause    Entry
	now      time.Time
	same     bool // the document is already as the event asks
	holder   SID  // the document that blocks the event
	out      Decision
	touched  []MailID
	ordersAt map[SID]int // where an order is in out.Orders
	changed  bool
}

func (d *decider) decision() Decision {
	touched := make(map[MailID]bool, len(d.touched))
	for _, id := range d.touched {
		touched[id] = true
	}
	var open []Mail
	for _, m := range d.state.Mails {
		if touched[m.ID] {
			d.out.Mails = append(d.out.Mails, m)
		}
		if !m.State.Done() {
			open = append(open, m)
		} else if m.begun() {
			d.state.Asked = insert(d.state.Asked, m.CausedAt)
		}
	}
	d.state.Mails = open
	d.out.Unchanged = !d.changed && len(touched) == 0
	return d.out
}

// take decides one event: the entry itself, or a parked one.
func (d *decider) take(e Entry) {
	doc := &d.state.Document
	status, round, orders := doc.Status, doc.Round, doc.Orders
	order, _ := d.order(e.Order)
	d.same, d.holder = false, ""
	result, p := ResultApplied, (*Problem)(nil)
	switch {
	case d.state.Erased != 0:
		p = d.erased(e)
	case asks(e.Body) && doc.Status != Unseen && e.Account != "" && e.Account != doc.AccountSID:
		p = problem(CodeAccount, "subject", "document %s is not account %s's", e.Document, e.Account)
	case otherRound(*doc, e.Body):
		p = problem(CodeRound, "data.round", "document %s is in round %d", doc.SID, doc.Round)
	case !e.apart() && waits(d.facts.Rules, doc.Status, e.Body):
		if p = d.park(e); p == nil {
			result = ResultParked
		}
	default:
		p = d.answer(e)
	}
	switch {
	case p != nil:
		result = d.refuse(e, p)
	case result == ResultApplied && d.same:
		result = ResultUnchanged
	case result == ResultApplied:
		d.changed = true
	}
	if p == nil && result != ResultParked {
		d.proceed()
	}
	if doc.Status != status || doc.Round != round {
		d.owe(fmt.Sprintf("became.%s.%d", doc.Status, doc.Round), Became{*doc}, d.now)
		d.notify(doc.SID, doc.SID, deliveryKey(string(doc.Status), uint64(doc.Round)), TypeBecame, doc)
	}
	if e.apart() {
		d.notifyOwn(e, order)
	} else {
		d.notifyOrders(e, orders)
	}
	d.advance()
	d.out.Verdicts = append(d.out.Verdicts, Verdict{Entry: e, Result: result, Problem: p, Holder: d.holder})
}

// erase clears the state of a document and keeps only the sequence of the last
// event that erased it.
//
// An event of erasure always applies. Whether the document may be erased is
// decided before the event is appended, by MayErase. It cannot be refused here,
// because replicas would differ: the entries that show that the document's work
// is done are taken off the log after this event. A replica that reads the log
// while they are taken away, or later, reads the event without them.
func (d *decider) erase(e Entry, b Erased) {
	*d.state = State{Document: Document{SID: e.Document}, Erased: max(d.state.Erased, e.Sequence)}
	d.changed = true
	d.note(b.Type(), fmt.Sprintf("%d entries are off the log", len(b.Entries)))
	d.out.Verdicts = append(d.out.Verdicts, Verdict{Entry: e, Result: ResultApplied})
}

// Holds lists the orders that the erased document still has. A signed document
// keeps its orders; any other gave them up when it ended.
func (b Erased) Holds() []SID {
	if b.Status.Released() {
		return nil
	}
	return b.OrderSIDs
}

// erased decides an event about an erased document: it is refused, or ignored
// if only Countersign writes events of its kind.
func (d *decider) erased(e Entry) *Problem {
	if asks(e.Body) {
		return problem(CodeErased, "subject", "document %s was erased; nothing can be done with it any more", e.Document)
	}
	d.same = true
	return nil
}

// asks reports whether an event asks for something, and so can be refused.
// Events that only Countersign writes ask for nothing. If a refused event could
// be refused in turn, there would be no end.
func asks(b Body) bool {
	k := KindOf(b.Type())
	return k == nil || k.Upstream() // a message that cannot be read is of no kind
}

// answer applies an event that need not be parked, by the rule of its kind.
func (d *decider) answer(e Entry) *Problem {
	if b, ok := e.Body.(Invalid); ok {
		return &b.Problem
	}
	if k := KindOf(e.Body.Type()); k != nil && k.rule != nil {
		return k.rule(d, e)
	}
	d.same = true // it says what the rules said before
	return nil
}

// refuse makes a refused event pending for an event that cannot apply.
func (d *decider) refuse(e Entry, p *Problem) Result {
	p.Message = sentence(p.Message)
	r := Refused{Sequence: e.Sequence, EventID: e.ID, Source: e.Source, Problem: *p}
	foreign := false
	if b, ok := e.Body.(Invalid); ok {
		r.EventID, r.Source, foreign = b.EventID, b.Origin, b.Foreign
	}
	account, document := e.Account, e.Document
	if e.apart() {
		document = "_"
	} else if account == "" || document == "" {
		account, document = "_", "_"
	}
	d.out.Pending = append(d.out.Pending, PendingEvent{
		Account: account, Document: document, What: fmt.Sprintf("refused.%d", e.Sequence), Body: r,
		Cause: d.cause.Sequence, At: d.now, Due: d.now, Answers: e.Sequence,
	})
	if p.Code != CodeAccount && !foreign { // what other accounts do is not part of the document's history
		d.note(string(ResultRefused), fmt.Sprintf("entry %d, %s: %s", e.Sequence, p.Code, p.Message))
	}
	if p.Code.Dead() {
		return ResultDeadLetter
	}
	return ResultRefused
}

// owe makes an event about the document pending.
func (d *decider) owe(what string, b Body, due time.Time) {
	d.out.Pending = append(d.out.Pending, d.pending(what, b, due))
}

func (d *decider) pending(what string, b Body, due time.Time) PendingEvent {
	account := d.state.Document.AccountSID
	if account == "" {
		account = d.cause.Account
	}
	return PendingEvent{
		Account: account, Document: d.state.Document.SID, What: what, Body: b,
		Cause: d.cause.Sequence, At: d.now, Due: due,
	}
}

func (d *decider) note(what, detail string) {
	d.out.Notes = append(d.out.Notes, Note{What: sentence(what), Detail: sentence(detail)})
}

// MayErase decides whether a document may be erased. It returns nil if nothing
// more can happen to the document: it is canceled, failed, or signed with all
// its orders completed or failed; each of its mails has an outcome; and each
// event that it caused and that was due at the time now is on the log. pending
// are the events that are not on the log yet; timers that are due after now do
// not prevent the erasure.
//
// Otherwise it returns a Problem with the code CodeStatus that says what is
// still pending.
func MayErase(d Document, mails []Mail, pending []PendingEvent, now time.Time) *Problem {
	left := func(format string, args ...any) *Problem {
		return problem(CodeStatus, "", "document "+string(d.SID)+" is not finished: "+format, args...)
	}
	if !d.Status.Ended() {
		return left("it is %s", d.Status)
	}
	for _, o := range d.Orders {
		if d.Status == Signed && o.Status != OrderCompleted && o.Status != OrderFailed {
			return left("order %s is %s", o.SID, o.Status)
		}
	}
	for _, m := range mails {
		if !m.State.Done() {
			return left("email %s is %s", m.ID, m.State)
		}
	}
	for _, e := range pending {
		if !e.Due.After(now) {
			return left("the event %s is pending", e.What)
		}
	}
	return nil
}
