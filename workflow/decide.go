// Package workflow decides how an Authorization Document moves from the day it
// is opened to the day it is signed, and what is owed on the way.
//
// It has no clock, no database and no network. Decide takes a document as it
// stands and one entry of the log, and answers with the document as it stands
// from then on, with the mails and events that are owed because of it, and with
// a verdict on the entry. The rest of the program carries entries to Decide and
// carries its answers away; two replicas that fold the same log decide the same.
package workflow

import (
	"fmt"
	"time"
)

// State is all that the rules need to know of one document.
type State struct {
	Document Document
	Mails    []Mail      // the pending ones, oldest first
	Parked   []Parked    // events that wait for what they build on, oldest first
	Timers   []Timer     // those that run, one of a kind at the most
	Asked    []time.Time // when the settled mails were owed that asked for the signature and were begun; oldest first
	Erased   uint64      // sequence of the event that erased the document, 0 if none did; then all else is empty
}

// Parked is an event that arrived before the one it builds on.
type Parked struct {
	Entry Entry
	Until time.Time // after that it is a dead letter
}

// Facts is what the rules need to know beyond the document.
type Facts struct {
	Settings
	Holders   map[string]Holder  // the live document that has a key, for every key that the entry or a parked event names (NamedKeys)
	Blocked   map[uint64]Holding // by sequence: what stood in an event's way and has been erased since
	Attempted map[MailID]bool    // of the mails that a bounced event names: begun by a worker
}

// Holding is why an event was refused that another document stood in the way of.
type Holding struct {
	Code  Code // CodeOrderTaken or CodeNumberTaken
	Order SID  // the refused event's
	Holder
}

// PendingEvent is an event that has to be appended to the log, once ever.
type PendingEvent struct {
	Account  SID    // "_" if the cause names none
	Document SID    // "_" if the cause names none
	What     string // the rest of the subject: "became.signed.1"
	Body     Body
	Cause    uint64    // sequence of the entry that owed it
	At       time.Time // time of that entry
	Due      time.Time // not to be appended before; At unless it is a timer
	Answers  uint64    // of a refusal and of a parking limit: sequence of the entry that it is about, which changed nothing; 0 for all others
}

// Subject is where the event belongs on the log.
func (o PendingEvent) Subject() string {
	return SubjectPrefix + string(o.Account) + "." + string(o.Document) + "." + o.What
}

// Note is one line of a document's history.
type Note struct {
	What   string // the event's type, ResultParked, ResultRefused, or "mail accepted" and so on
	Detail string
}

// Result is what became of an entry.
type Result string

// The results. Each entry on the log has exactly one.
const (
	ResultApplied    Result = "applied"
	ResultUnchanged  Result = "unchanged" // it asked for what already is
	ResultParked     Result = "parked"
	ResultRefused    Result = "refused"
	ResultDeadLetter Result = "dead_letter"
)

// Verdict is what the rules say of one event: what became of it and, if it
// was refused, why. A parked event gets a second verdict later.
type Verdict struct {
	Entry   Entry
	Result  Result
	Problem *Problem // set for ResultRefused and ResultDeadLetter
	Holder  SID      // the document that has the order or the number, whichever account it is of; set for CodeOrderTaken and CodeNumberTaken
}

// Decision is the answer to one entry.
type Decision struct {
	State     State          // from now on
	Mails     []Mail         // the mails that are new or changed, settled ones too
	Pending   []PendingEvent // to be appended
	Dropped   []PendingEvent // timers owed before that are no longer needed; only their subjects count
	Bounces   []Bounce       // what was reported of mails
	Notes     []Note         // for the document's history
	Verdicts  []Verdict      // on the entry, and on parked events that it let through
	Unchanged bool           // nothing of the document or its mails changed
}

// Decide answers one entry about one document. It cannot fail: an event that
// asks for what cannot be is answered with a verdict and an owed refused event.
// A claimed or settled entry names the mails of many documents; Decide heeds
// those of this one.
func Decide(s State, e Entry, f Facts) Decision {
	e.Time = e.Time.UTC().Truncate(time.Millisecond) // as the store keeps it, so that a replica that reloads decides the same
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
	}
	return d.decision()
}

// decider gathers one decision.
type decider struct {
	state   *State // out's
	facts   Facts
	cause   Entry
	now     time.Time
	same    bool // the event that is being decided asked for what already is
	holder  SID  // the document that stands in its way
	out     Decision
	touched []MailID
	changed bool
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

// take decides one event, the entry itself or a parked one.
func (d *decider) take(e Entry) {
	doc := &d.state.Document
	status, round := doc.Status, doc.Round
	d.same, d.holder = false, ""
	result, p := ResultApplied, (*Problem)(nil)
	switch {
	case d.state.Erased != 0:
		p = d.erased(e)
	case asks(e.Body) && doc.Status != Unseen && e.Account != "" && e.Account != doc.AccountSID:
		p = problem(CodeAccount, "subject", "document %s is not account %s's", e.Document, e.Account)
	case otherRound(*doc, e.Body):
		p = problem(CodeRound, "data.round", "document %s is in round %d", doc.SID, doc.Round)
	case waits(d.facts.Rules, doc.Status, e.Body):
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
	if doc.Status != status || doc.Round != round {
		d.owe(fmt.Sprintf("became.%s.%d", doc.Status, doc.Round), Became{*doc}, d.now)
	}
	d.advance()
	d.out.Verdicts = append(d.out.Verdicts, Verdict{Entry: e, Result: result, Problem: p, Holder: d.holder})
}

// erase leaves nothing of a document but the sequence of the event that erased
// it; if there are several, the last one's.
//
// An event of erasure always applies. Whether the document may be erased is
// decided before the event is appended, by MayErase. It cannot be refused here,
// because replicas would differ: the entries that show that the document's work
// is done are taken off the log after this event. A replica that reads the log
// while they are taken away, or later, meets the event without them.
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

// erased answers an event about a document that is no more. What Countersign
// itself had on its way says nothing now.
func (d *decider) erased(e Entry) *Problem {
	if asks(e.Body) {
		return problem(CodeErased, "subject", "document %s was erased; nothing can be done with it any more", e.Document)
	}
	d.same = true
	return nil
}

// asks reports whether an event asks for something, and can be refused. What
// Countersign itself said, a refusal for one, is no question: refused in turn,
// it would never end.
func asks(b Body) bool {
	k := KindOf(b.Type())
	return k == nil || k.Upstream() // a message that cannot be read is of no kind
}

// answer applies an event that does not have to wait, by the rule of its kind.
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

// refuse owes the refused event for an event that cannot apply.
func (d *decider) refuse(e Entry, p *Problem) Result {
	p.Message = sentence(p.Message)
	r := Refused{Sequence: e.Sequence, EventID: e.ID, Source: e.Source, Problem: *p}
	foreign := false
	if b, ok := e.Body.(Invalid); ok {
		r.EventID, r.Source, foreign = b.EventID, b.Origin, b.Foreign
	}
	account, document := e.Account, e.Document
	if account == "" || document == "" {
		account, document = "_", "_"
	}
	d.out.Pending = append(d.out.Pending, PendingEvent{
		Account: account, Document: document, What: fmt.Sprintf("refused.%d", e.Sequence), Body: r,
		Cause: d.cause.Sequence, At: d.now, Due: d.now, Answers: e.Sequence,
	})
	if p.Code != CodeAccount && !foreign { // what others do is not the document's history
		d.note(string(ResultRefused), fmt.Sprintf("entry %d, %s: %s", e.Sequence, p.Code, p.Message))
	}
	if p.Code.Dead() {
		return ResultDeadLetter
	}
	return ResultRefused
}

// owe owes an event about the document.
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
