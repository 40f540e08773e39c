package relay

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"countersign/db"
	"countersign/workflow"
)

// WorkLog logs, for an operator, what ends a step of a document: it was sent,
// signed, canceled or failed, an event was refused, an email was given up, another
// worker took over. A line names documents, entries and the mail server's words.
// It holds no address, no token, and nothing that people and services wrote.
//
// What was on the event log when the worker started is counted and logged in one
// line, so that rebuilding a database does not repeat all of its past.
type WorkLog struct {
	logger   *slog.Logger
	worker   string
	claimer  string         // who made the last claim
	seen     uint64         // the last entry looked at
	old      uint64         // entries up to here are counted
	counts   map[string]int // by step
	counting bool
	causes   map[end]cause // of changes that are not announced yet
}

// end is what a document becomes.
type end struct {
	document workflow.SID
	status   workflow.Status
}

// cause is an entry that changes a document, and why it does.
type cause struct {
	sequence uint64
	why      string
}

// mostCauses bounds how many documents wait for their announcement.
const mostCauses = 10_000

// NewWorkLog makes the log of a worker. tail is the last entry on the log now.
func NewWorkLog(logger *slog.Logger, store *db.Store, tail uint64) *WorkLog {
	p := store.Position()
	return &WorkLog{
		logger: logger, worker: p.Worker, claimer: p.ClaimWorker, seen: p.Sequence, old: tail, counting: true,
		counts: map[string]int{}, causes: map[end]cause{},
	}
}

// applied looks at entries that the store has applied. Those that it has seen
// before are passed over.
func (w *WorkLog) applied(batch []workflow.Entry) {
	for _, e := range batch {
		if e.Sequence <= w.seen {
			continue
		}
		if w.seen = e.Sequence; w.seen > w.old {
			w.endCount()
		}
		w.entry(e)
	}
	if w.seen >= w.old {
		w.endCount()
	}
}

// rewound makes the entries after a sequence count as not seen: the log has lost
// them, and gives their sequences to other entries.
func (w *WorkLog) rewound(to uint64) { w.seen = min(w.seen, to) }

// endCount logs what was counted.
func (w *WorkLog) endCount() {
	if !w.counting {
		return
	}
	w.counting = false
	if len(w.counts) == 0 {
		return
	}
	args := []any{"sequence", w.seen}
	for _, step := range slices.Sorted(maps.Keys(w.counts)) {
		args = append(args, strings.ReplaceAll(step, " ", "_"), w.counts[step])
	}
	w.logger.Info("what happened before this worker had read the log to its end", args...)
}

// say logs that a step has ended, or counts it if it is old.
func (w *WorkLog) say(step string, args ...any) {
	if w.counting {
		w.counts[step]++
		return
	}
	w.logger.Info(step, args...)
}

func (w *WorkLog) entry(e workflow.Entry) {
	switch b := e.Body.(type) {
	case workflow.Became:
		w.became(e, b)
	case workflow.Refused:
		step := "refused"
		if b.Code.Dead() {
			step = "dead letter"
		}
		w.say(step, "document", e.Document, "sequence", b.Sequence, "code", b.Code, "field", b.Field)
	case workflow.Claimed:
		w.claimed(e, b)
	case workflow.Settled:
		w.settled(e, b)
	case workflow.Bounced:
		if b.Hard() && b.Mail.Kind() == workflow.MailSignature {
			w.because(e, e.Document, workflow.Failed, "came back: "+b.Status)
		}
	case workflow.TimerDue:
		if strings.HasPrefix(b.Timer, string(workflow.TimerExpiry)) {
			w.because(e, e.Document, workflow.Failed, "expired")
		}
	case workflow.LetterStale:
		w.say("letter too old", "document", e.Document, "round", b.Round, "sequence", e.Sequence, "orders", len(b.OrderSIDs))
	}
}

// because keeps why a document changes until the change is announced.
func (w *WorkLog) because(e workflow.Entry, document workflow.SID, becomes workflow.Status, why string) {
	if len(w.causes) >= mostCauses {
		clear(w.causes)
	}
	w.causes[end{document, becomes}] = cause{e.Sequence, why}
}

func (w *WorkLog) became(e workflow.Entry, b workflow.Became) {
	step := string(b.Status)
	args := []any{"document", b.SID, "round", b.Round, "sequence", e.Sequence}
	switch {
	case b.Status == workflow.Signing:
		step = "sent"
	case b.Status != workflow.Opened:
		args = append(args, "by", b.AskedBy.Writer)
	case b.Round > 1 && b.Hold:
		step = "recalled"
	default:
		return // it is on its way
	}
	c := w.causes[end{b.SID, b.Status}]
	if c.why != "" && (b.Status == workflow.Signing || b.Status == workflow.Failed && b.AskedBy.Entry == c.sequence) {
		args = append(args, "why", c.why)
	}
	delete(w.causes, end{b.SID, b.Status})
	w.say(step, args...)
}

func (w *WorkLog) claimed(e workflow.Entry, b workflow.Claimed) {
	before := w.claimer
	if w.claimer = b.Worker; before == "" || before == b.Worker {
		return
	}
	if b.Worker == w.worker {
		w.say("this worker took over", "sequence", e.Sequence, "from", before, "emails", len(b.Mails))
	} else {
		w.say("another worker took over", "sequence", e.Sequence, "from", before, "worker", b.Worker, "emails", len(b.Mails))
	}
}

func (w *WorkLog) settled(e workflow.Entry, b workflow.Settled) {
	released := 0
	for _, o := range b.Outcomes {
		words := strings.TrimSpace(fmt.Sprintf("%d %s", o.Code, o.Reply))
		if o.Code == 0 {
			words = o.Reply
		}
		step, becomes := "", workflow.Status("")
		switch o.Outcome {
		case workflow.Accepted:
			becomes = workflow.Signing
		case workflow.Rejected:
			step, becomes = "gave up on an email", workflow.Failed
		case workflow.Held:
			step = "held an email in doubt"
		case workflow.Released:
			released++
		}
		if becomes != "" && o.Mail.Kind() == workflow.MailSignature {
			w.because(e, o.Mail.Document(), becomes, words)
		}
		if step != "" {
			w.say(step, "document", o.Mail.Document(), "mail", o.Mail, "round", o.Mail.Round(), "sequence", e.Sequence, "reply", words)
		}
	}
	if released > 0 {
		w.say("released emails that were claimed", "sequence", e.Sequence, "claim", b.Claim, "emails", released, "worker", b.Worker)
	}
}
