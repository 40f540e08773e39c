package relay

import (
	"fmt"
	"hash/fnv"
	"time"

	"countersign/internal/delivery"
	"countersign/workflow"
)

// Retry says when a deferred email is sent again.
type Retry struct {
	First  time.Duration // after the first try; it doubles from try to try
	Max    time.Duration // no wait is longer
	GiveUp time.Duration // after its first try, an email that is still deferred is rejected, and one in doubt is held
}

// serverWait bounds the wait of an email that was deferred because the mail
// server is away or refuses us, so that all emails leave soon after that ends.
const serverWait = time.Minute

// unsureWait bounds the wait of an email whose refusal leaves open whom it is
// about: long enough for other emails to get the same refusal.
const unsureWait = 5 * time.Second

// An email that is in doubt for the second time waits at least doubtFirst, and each
// time twice as long, up to doubtMost, whatever the settings say: a server that
// takes emails and never confirms them gets few copies.
const (
	doubtFirst = 30 * time.Second
	doubtMost  = time.Hour
)

// doubtAgain is the shortest wait of an email that was in doubt so often before.
func doubtAgain(doubts int) time.Duration {
	return min(doubtFirst<<min(doubts-1, 10), doubtMost)
}

// after is the wait after the given try, the first being 1, with a tenth of
// jitter either way that depends on the email alone.
func (r Retry) after(id workflow.MailID, try int) time.Duration {
	d := r.First
	for n := 1; n < try && d < r.Max; n++ {
		d *= 2
	}
	d = min(d, r.Max)
	h := fnv.New32a()
	h.Write([]byte(id))
	h.Write([]byte{byte(try)})
	return d*9/10 + d/5*time.Duration(h.Sum32()%1000)/1000
}

// outcome is what a result means for the email: whether it is retried, and when.
func (r *Mails) outcome(m workflow.Mail, result delivery.Result) workflow.MailOutcome {
	o := workflow.MailOutcome{Mail: m.ID, Outcome: result.Outcome, Code: result.Code, Reply: result.Reply}
	switch result.Outcome {
	case workflow.Unknown:
		wait := r.doubt()
		if m.Doubts > 0 { // each try may have been another copy
			wait = max(wait, r.Retry.after(m.ID, m.Doubts), doubtAgain(m.Doubts))
		}
		o.RetryAfterMs = wait.Milliseconds()
		if r.Hold || r.exhausted(m) {
			o.Outcome, o.RetryAfterMs = workflow.Held, 0
		}
	case workflow.Deferred:
		wait := r.Retry.after(m.ID, m.Attempts)
		if result.Server { // this does not count as a try, nor towards mail-give-up-after
			o.Outcome, o.RetryAfterMs = workflow.Released, min(wait, serverWait).Milliseconds()
			return o
		}
		if result.Unsure {
			wait = min(wait, unsureWait)
		}
		o.RetryAfterMs = wait.Milliseconds()
		if m.Attempts <= 1 {
			r.Logger.Info("an email is deferred by the mail server; it is retried until mail-give-up-after",
				"document", m.Document, "kind", string(m.Kind), "code", result.Code, "reply", result.Reply)
		}
		if r.exhausted(m) {
			o.Outcome, o.RetryAfterMs = workflow.Rejected, 0
			o.Reply = fmt.Sprintf("deferred for %s; the last reply: %s", r.Retry.GiveUp, result.Reply)
		}
	}
	return o
}

// exhausted reports whether the email has been retried for as long as it may.
// Waiting behind another email, or because no worker ran, does not count.
func (r *Mails) exhausted(m workflow.Mail) bool {
	return !m.Trouble.IsZero() && r.Log.Now().Sub(m.Trouble) > r.Retry.GiveUp
}

// doubt is how long after a claim its emails without an outcome are in doubt.
func (r *Mails) doubt() time.Duration { return r.Deadline + r.Deadline/10 }
