package relay

import (
	"context"
	"fmt"
	"sync"
	"time"

	"countersign/internal/eventlog"
	"countersign/internal/failpoint"
	"countersign/workflow"
)

// settler appends the outcomes of claimed emails to the log.
type settler struct {
	*Mails
	name    string // the worker's and the run's
	flight  *flight
	results chan result
	settles int // for the ids of entries
}

// result is the outcome of an email on its way to the log.
type result struct {
	sent
	settled chan struct{} // closed once the outcome is on the log
}

func newSettler(r *Mails, name string, f *flight) *settler {
	return &settler{Mails: r, name: name, flight: f, results: make(chan result, r.Sender.Size())}
}

// settle returns when the outcome of an email is on the log. A connection
// begins no other email before that, so that at most one email per connection
// can be sent and not recorded.
func (s *settler) settle(e sent) {
	if !e.begun.IsZero() {
		s.flight.said(time.Since(e.begun))
	}
	r := result{e, make(chan struct{})}
	s.results <- r
	<-r.settled
	if !e.begun.IsZero() {
		s.flight.took(time.Since(e.begun))
	}
	s.flight.wake()
}

// run appends outcomes as they come, those that have come together in one event
// for each claim, until results is closed.
func (s *settler) run(ctx context.Context) {
	var applied sync.WaitGroup
	defer applied.Wait()
	for first := range s.results {
		together := s.more(first)
		s.flight.ended(len(together))
		claims, outcomes := []uint64{}, map[uint64][]workflow.MailOutcome{}
		for _, got := range together {
			if outcomes[got.claim] == nil {
				claims = append(claims, got.claim)
			}
			outcomes[got.claim] = append(outcomes[got.claim], got.outcome)
		}
		for _, claim := range claims {
			s.settles++
			seq := s.append(ctx, fmt.Sprintf("%s.settled.%d", s.name, s.settles), claim, outcomes[claim])
			n := len(outcomes[claim])
			applied.Go(func() {
				// Until the entry is applied, these emails are claimed in the
				// store. A log that loses its tail may never show the outcome
				// again.
				wait, cancel := context.WithTimeout(ctx, s.doubt())
				defer cancel()
				_ = s.Store.WaitApplied(wait, seq)
				s.flight.landed(claim, n)
			})
		}
		for _, got := range together {
			close(got.settled)
		}
	}
}

// more returns a result together with all results that are waiting or that come
// in time.
func (s *settler) more(first result) []result {
	together := []result{first}
	var over <-chan time.Time
	for {
		select {
		case next, ok := <-s.results:
			if !ok {
				return together
			}
			together = append(together, next)
			continue
		default:
		}
		if !s.flight.gathers(len(together)) {
			return together
		}
		if over == nil {
			timer := time.NewTimer(gather)
			defer timer.Stop()
			over = timer.C
		}
		select {
		case next, ok := <-s.results:
			if !ok {
				return together
			}
			together = append(together, next)
		case <-over:
			return together
		}
	}
}

// append appends outcomes to the log and returns the entry's sequence. It
// retries until it succeeds; after the end of ctx, for at most the deadline.
func (s *settler) append(ctx context.Context, id string, claim uint64, outcomes []workflow.MailOutcome) uint64 {
	live, cancel := s.outlive(ctx)
	defer cancel()
	e := eventlog.Settled(id, s.Log.Now(), workflow.Settled{Worker: s.Store.Position().Worker, Claim: claim, Outcomes: outcomes})
	failpoint.Hit("settle")
	seq, err := s.Log.Append(live, e)
	failpoint.Hit("settled")
	if err != nil {
		s.Logger.Error("the outcomes of emails could not be recorded: the emails are in doubt", "claim", claim, "emails", len(outcomes), "err", err)
	}
	return seq
}

// release settles emails that were claimed and not begun.
func (s *settler) release(ctx context.Context, seq uint64, ids []workflow.MailID) {
	outcomes := make([]workflow.MailOutcome, len(ids))
	for i, id := range ids {
		outcomes[i] = workflow.MailOutcome{Mail: id, Outcome: workflow.Released}
	}
	s.append(ctx, fmt.Sprintf("%s.back.%d", s.name, seq), seq, outcomes)
}

// outlive returns a context that ends a deadline after ctx does.
func (r *Mails) outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	return outlive(ctx, r.Deadline)
}

func outlive(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	live, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, cancel) })
	return live, func() { stop(); cancel() }
}
