package examples_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/workflow"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// noon is when the log of these tests begins.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// world is a log, what the rules make of it, and a mail server, in memory:
// enough to play the day in any order in which the neighbours may answer.
type world struct {
	t        *testing.T
	sequence uint64
	subjects map[string]bool
	met      map[string]bool // identities
	states   map[workflow.SID]workflow.State
	holders  map[string]workflow.Holder
	owed     []workflow.PendingEvent
	tried    map[string]bool // greylisted addresses
	got      ending
}

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, subjects: map[string]bool{}, met: map[string]bool{}, tried: map[string]bool{},
		states: map[workflow.SID]workflow.State{}, holders: map[string]workflow.Holder{},
	}
	w.got.Documents = map[workflow.SID]*expectation{}
	return w
}

// take appends an entry and applies it to the document sid.
func (w *world) take(sid workflow.SID, e workflow.Entry) {
	w.sequence++
	e.Sequence, e.Time = w.sequence, noon.Add(time.Duration(w.sequence)*time.Second)
	w.subjects[e.Subject] = true
	id := e.Source + " " + e.ID
	if w.met[id] {
		return
	}
	w.met[id] = true
	before := w.states[sid].Document
	d := workflow.Decide(w.states[sid], e, workflow.Facts{Holders: w.holders, Settings: workflow.Settings{ParkingLimit: 24 * time.Hour}})
	w.states[sid] = d.State
	for _, key := range workflow.HeldKeys(before) {
		delete(w.holders, key)
	}
	for _, key := range workflow.HeldKeys(d.State.Document) {
		w.holders[key] = workflow.Holder{Document: sid, Account: d.State.Document.AccountSID}
	}
	for _, o := range d.Pending {
		if !strings.HasPrefix(o.What, "due.") {
			w.owed = append(w.owed, o)
		}
	}
	w.note(sid, d)
}

// note keeps what the test is about.
func (w *world) note(sid workflow.SID, d workflow.Decision) {
	for _, v := range d.Verdicts {
		switch v.Result {
		case workflow.ResultRefused:
			w.got.Totals.Refused++
		case workflow.ResultDeadLetter:
			w.got.Totals.Dead++
		}
	}
	for _, m := range d.Mails {
		switch m.State {
		case workflow.MailAccepted:
			w.count(&w.document(sid).Mails, m)
		case workflow.MailRejected:
			w.count(&w.document(sid).Rejected, m)
		}
	}
}

func (w *world) count(mails *map[workflow.MailKind]map[string]int, m workflow.Mail) {
	if *mails == nil {
		*mails = map[workflow.MailKind]map[string]int{}
	}
	if (*mails)[m.Kind] == nil {
		(*mails)[m.Kind] = map[string]int{}
	}
	(*mails)[m.Kind][strings.ToLower(m.Recipient)]++
}

func (w *world) document(sid workflow.SID) *expectation {
	if w.got.Documents[sid] == nil {
		w.got.Documents[sid] = &expectation{Orders: map[workflow.SID]workflow.OrderStatus{}}
	}
	return w.got.Documents[sid]
}

func (w *world) publish(l line) {
	e := l.decode(w.sequence + 1)
	w.take(e.Document, e)
}

// append puts one owed event on the log.
func (w *world) append(i int) {
	o := w.owed[i]
	w.owed = slices.Delete(w.owed, i, i+1)
	subject := fmt.Sprintf("authdocs.v1.%s.%s.%s", o.Account, o.Document, o.What)
	if w.subjects[subject] {
		w.t.Errorf("%s is owed twice", subject)
	}
	switch b := o.Body.(type) {
	case workflow.Became:
		doc := w.document(o.Document)
		doc.Became = append(doc.Became, strings.TrimPrefix(o.What, "became."))
	case workflow.Register:
		w.document(o.Document).Register++
	case workflow.Refused:
		if b.Message == "" {
			w.t.Errorf("%s has no reason", subject)
		}
	}
	w.take(o.Document, workflow.Entry{Subject: subject, Account: o.Account, Document: o.Document, ID: subject, Source: workflow.Source, Body: o.Body})
}

// due lists the documents with a mail to be sent, in a fixed order.
func (w *world) due() []workflow.SID {
	var sids []workflow.SID
	for sid, s := range w.states {
		if len(s.Mails) > 0 {
			sids = append(sids, sid)
		}
	}
	slices.Sort(sids)
	return sids
}

// send hands the oldest mail of a document to the mail server.
func (w *world) send(sid workflow.SID) {
	m := w.states[sid].Mails[0]
	w.own(sid, workflow.Claimed{Mails: []workflow.MailID{m.ID}})
	outcome := workflow.Accepted
	switch {
	case strings.HasPrefix(m.Recipient, "no-such-user@"):
		outcome = workflow.Rejected
	case strings.HasPrefix(m.Recipient, "greylisted") && !w.tried[m.Recipient]:
		w.tried[m.Recipient] = true
		outcome = workflow.Deferred
	}
	w.own(sid, workflow.Settled{Claim: w.sequence, Outcomes: []workflow.MailOutcome{{Mail: m.ID, Outcome: outcome, Reply: "reply"}}})
}

func (w *world) own(sid workflow.SID, b workflow.Body) {
	w.take(sid, workflow.Entry{Subject: "authdocs.v1._.mail", ID: fmt.Sprint(w.sequence + 1), Source: workflow.Source, Body: b})
}

// pace says which of the three goes on next: the publisher, the events that
// are owed, or the mail server. A share of 0 means only when no other can.
type pace struct {
	name                 string
	publish, event, mail float64
}

// play plays the lines to the end, at a pace.
func (w *world) play(lines []line, p pace, rnd *rand.Rand) {
	for next := 0; ; {
		due := w.due()
		steps := []struct {
			share float64
			can   bool
			do    func()
		}{
			{p.publish, next < len(lines) && (lines[next].After == "" || w.subjects[lines[next].After]), func() { w.publish(lines[next]); next++ }},
			{p.event, len(w.owed) > 0, func() { w.append(rnd.IntN(len(w.owed))) }},
			{p.mail, len(due) > 0, func() { w.send(due[rnd.IntN(len(due))]) }},
		}
		best, score := -1, -1.0
		for i, s := range steps {
			if roll := s.share * rnd.Float64(); s.can && roll > score {
				best, score = i, roll
			}
		}
		if best < 0 {
			if next < len(lines) {
				w.t.Fatalf("line %d waits for %s, which never comes", next+1, lines[next].After)
			}
			return
		}
		steps[best].do()
	}
}

// end writes down how the documents ended.
func (w *world) end() ending {
	for sid, s := range w.states {
		if s.Document.Status == workflow.Unseen {
			continue
		}
		e := w.document(sid)
		e.Status, e.Round = s.Document.Status, s.Document.Round
		for _, o := range s.Document.Orders {
			e.Orders[o.SID] = o.Status
		}
		slices.Sort(e.Became) // owed events may land in any order
	}
	return w.got
}

// The day ends as day.expected.json says, however quick or slow the mail
// server, the relay and the publisher are.
func TestDay_EndsTheSameAtAnyPace(t *testing.T) {
	lines, want := day(t)
	for _, e := range want.Documents {
		slices.Sort(e.Became)
	}
	for _, p := range []pace{
		{"a slow publisher", 0, 1, 1},
		{"slow mail", 1, 1, 0},
		{"slow events", 1, 0, 1},
		{"all of a speed", 1, 1, 1},
		{"a quick publisher", 1, .1, .1},
		{"quick mail", .1, .1, 1},
	} {
		t.Run(p.name, func(t *testing.T) {
			for seed := range uint64(5) {
				w := newWorld(t)
				w.play(lines, p, rand.New(rand.NewPCG(seed, 1)))
				got := w.end()
				if diff := cmp.Diff(want.Documents, got.Documents, cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("seed %d (- expected, + is):\n%s", seed, diff)
				}
				if got.Totals.Refused != want.Totals.Refused || got.Totals.Dead != want.Totals.Dead {
					t.Fatalf("seed %d: %d refused and %d dead letters, want %d and %d", seed,
						got.Totals.Refused, got.Totals.Dead, want.Totals.Refused, want.Totals.Dead)
				}
			}
		})
	}
}

// Published twice, the day changes nothing the second time.
func TestDay_TwiceIsTheDayOnce(t *testing.T) {
	lines, want := day(t)
	w := newWorld(t)
	p, rnd := pace{"", 1, 1, 1}, rand.New(rand.NewPCG(1, 2))
	w.play(lines, p, rnd)
	once, err := json.Marshal(w.states)
	if err != nil {
		t.Fatal(err)
	}
	w.play(lines, p, rnd)
	twice, err := json.Marshal(w.states)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(once), string(twice)); diff != "" {
		t.Error(diff)
	}
	if got := w.end().Totals; got.Refused != want.Totals.Refused || got.Dead != want.Totals.Dead {
		t.Errorf("%d refused, %d dead letters", got.Refused, got.Dead)
	}
}
