package relay

import (
	"context"
	"fmt"
	"sync"
	"time"

	"countersign/internal/delivery"
	"countersign/internal/eventlog"
	"countersign/internal/failpoint"
	"countersign/workflow"
)

// send sends one mail in hand, if its time to begin has not passed and it was
// not withdrawn before we read what it says. It returns when the outcome stands
// on the log: a connection begins no mail before, so that no more mails than
// there are connections can be sent and not recorded.
func (r *Mails) send(ctx context.Context, j job) {
	r.mu.Lock()
	r.unbegun--
	failures := r.server.failures
	late := j.batch.late(r.Deadline)
	r.late = r.late || late
	r.mu.Unlock()
	defer r.wake()
	outcome := workflow.MailOutcome{Mail: j.mail.ID, Outcome: workflow.Released}
	var begun time.Time
	if !late && !j.mail.Withdrawn && ctx.Err() == nil && failures == j.batch.failures {
		deadline, cancel := context.WithDeadline(context.WithoutCancel(ctx), j.batch.start.Add(r.Deadline))
		begun = time.Now()
		sent := r.Sender.Send(deadline, j.mail)
		cancel()
		r.learn(sent)
		if sent.Server {
			begun = time.Time{} // it says nothing of how long a mail takes
		}
		outcome = r.outcome(j.mail, sent)
	}
	settled := make(chan struct{})
	r.results <- result{j.batch.seq, outcome, settled}
	<-settled
	if !begun.IsZero() {
		r.keepPace(time.Since(begun))
	}
}

// keepPace averages how long a mail takes its connection, to the end of the
// wait for the outcome's entry.
func (r *Mails) keepPace(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pace = (r.pace*15 + min(took, r.Deadline)) / 16
}

func (r *Mails) wake() {
	select {
	case r.freed <- struct{}{}:
	default:
	}
}

// outcome says what a result means for the mail.
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
		if result.Server { // no try at this mail: its time to give up does not run
			o.Outcome, o.RetryAfterMs = workflow.Released, min(wait, serverWait).Milliseconds()
			return o
		}
		if result.Unsure {
			wait = min(wait, unsureWait)
		}
		o.RetryAfterMs = wait.Milliseconds()
		if m.Attempts <= 1 {
			r.Logger.Info("an email is deferred by the mail server; it is tried again until mail-give-up-after",
				"document", m.Document, "kind", string(m.Kind), "code", result.Code, "reply", result.Reply)
		}
		if r.exhausted(m) {
			o.Outcome, o.RetryAfterMs = workflow.Rejected, 0
			o.Reply = fmt.Sprintf("deferred for %s; the last reply: %s", r.Retry.GiveUp, result.Reply)
		}
	}
	return o
}

// exhausted reports whether the mail has been tried for as long as it may. What
// it waited behind another mail, or because no worker ran, does not count.
func (r *Mails) exhausted(m workflow.Mail) bool {
	return !m.Trouble.IsZero() && r.Log.Now().Sub(m.Trouble) > r.Retry.GiveUp
}

// doubt is how long an open claim is left to whoever made it.
func (r *Mails) doubt() time.Duration { return r.Deadline + r.Deadline/10 }

// settle appends outcomes as they come, those that have come together in one
// event for each claim.
func (r *Mails) settle(ctx context.Context) {
	var applied sync.WaitGroup
	defer applied.Wait()
	for first := range r.results {
		claims, outcomes := []uint64{}, map[uint64][]workflow.MailOutcome{}
		together := []result{first}
		for more := true; more; {
			select {
			case next, ok := <-r.results:
				if more = ok; ok {
					together = append(together, next)
				}
			default:
				more = false
			}
		}
		for _, got := range together {
			if outcomes[got.claim] == nil {
				claims = append(claims, got.claim)
			}
			outcomes[got.claim] = append(outcomes[got.claim], got.outcome)
		}
		for _, claim := range claims {
			r.settles++
			seq := r.settled(ctx, fmt.Sprintf("%s.settled.%d", r.name, r.settles), claim, outcomes[claim])
			n := len(outcomes[claim])
			applied.Go(func() {
				// Until then the store takes them for ours still. A log that loses
				// its tail may never show the outcome again.
				wait, cancel := context.WithTimeout(ctx, r.doubt())
				defer cancel()
				r.Store.WaitApplied(wait, seq)
				r.letGo(claim, n)
			})
		}
		for _, got := range together {
			close(got.settled)
		}
	}
}

// letGo notes that mails of our own claim have their outcome.
func (r *Mails) letGo(claim uint64, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inHand[claim] -= n; r.inHand[claim] <= 0 {
		delete(r.inHand, claim)
	}
}

// settled appends outcomes and returns the entry's sequence. It tries until it
// has succeeded; after the end of ctx, for as long as the deadline.
func (r *Mails) settled(ctx context.Context, id string, claim uint64, outcomes []workflow.MailOutcome) uint64 {
	live, cancel := r.outlive(ctx)
	defer cancel()
	e := eventlog.Settled(id, r.Log.Now(), workflow.Settled{Worker: r.Store.Position().Worker, Claim: claim, Outcomes: outcomes})
	failpoint.Hit("settle")
	seq, err := r.Log.Append(live, e)
	failpoint.Hit("settled")
	if err != nil {
		r.Logger.Error("outcomes of mails are lost; they are in doubt", "claim", claim, "mails", len(outcomes), "err", err)
	}
	return seq
}

// outlive returns a context that ends a deadline after ctx does.
func (r *Mails) outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	live, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(r.Deadline, cancel) })
	return live, func() { stop(); cancel() }
}

// handBack settles mails that were claimed and not begun.
func (r *Mails) handBack(ctx context.Context, seq uint64, ids []workflow.MailID) {
	outcomes := make([]workflow.MailOutcome, len(ids))
	for i, id := range ids {
		outcomes[i] = workflow.MailOutcome{Mail: id, Outcome: workflow.Released}
	}
	r.settled(ctx, fmt.Sprintf("%s.back.%d", r.name, seq), seq, outcomes)
}

// doubtful lists the mails of claims that were left without an outcome for too
// long, after settling those that are not to be sent again. It says how long to
// wait for the next.
func (r *Mails) doubtful(ctx context.Context) ([]workflow.MailID, time.Duration, error) {
	open, err := r.Store.OpenClaims(ctx)
	if err != nil {
		return nil, 0, err
	}
	wait := idle
	r.waits = false
	var ids []workflow.MailID
	seen := make(map[uint64]time.Time, len(open))
	for _, seq := range open {
		if seen[seq] = r.seen[seq]; seen[seq].IsZero() {
			seen[seq] = time.Now()
		}
		r.mu.Lock()
		_, ours := r.inHand[seq]
		r.mu.Unlock()
		left := time.Until(seen[seq].Add(r.doubt()))
		r.waits = r.waits || r.own[seq] && left > 0
		if ours {
			continue
		}
		if !active(r.Store) {
			left += overdue
		}
		if left > 0 {
			wait = min(wait, left)
			continue
		}
		again, err := r.abandoned(ctx, seq)
		if err != nil {
			return nil, 0, err
		}
		ids = append(ids, again...)
	}
	r.seen = seen
	return ids, wait, nil
}

// abandoned settles the mails of a claim that are held, not wanted any more, or
// in doubt for more than the first time, and returns those to be sent again now.
func (r *Mails) abandoned(ctx context.Context, seq uint64) ([]workflow.MailID, error) {
	mails, err := r.Store.ClaimedMails(ctx, seq)
	if err != nil {
		return nil, err
	}
	var again []workflow.MailID
	var over []workflow.MailOutcome
	for _, m := range mails {
		switch {
		case m.Withdrawn:
			over = append(over, workflow.MailOutcome{Mail: m.ID, Outcome: workflow.Unknown, Reply: "claimed, and no outcome"})
		case r.Hold:
			over = append(over, workflow.MailOutcome{Mail: m.ID, Outcome: workflow.Held, Reply: "claimed, and no outcome"})
		case m.Doubts > 0: // each try may have been another copy
			over = append(over, r.outcome(m, delivery.Result{Outcome: workflow.Unknown, Reply: "claimed, and no outcome"}))
		default:
			again = append(again, m.ID)
		}
	}
	if len(over) > 0 {
		at := r.settled(ctx, fmt.Sprintf("%s.abandoned.%d", r.name, seq), seq, over)
		if err := applied(ctx, r.Store, at, r.Deadline); err != nil {
			return nil, err
		}
	}
	return again, nil
}
