package relay

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"countersign/db"
	"countersign/internal/delivery"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

// Sender gives emails to the mail server.
type Sender interface {
	// Size is how many Sends may run at a time.
	Size() int

	// Send sends one email and returns what happened to it. The deadline of ctx
	// bounds the dialogue.
	Send(ctx context.Context, m workflow.Mail) delivery.Result
}

// Limits bounds how fast emails may be sent.
type Limits interface {
	// Allow asks to send one email to a domain now. asked is the person whom it
	// asks to sign (db.DueMail's Asked), and empty if it asks nobody. If the email
	// may not be sent yet, wait says when to ask again, and full which of the two
	// has to wait.
	Allow(domain, asked string, now time.Time) (full string, wait time.Duration)
}

// Mails sends the emails that are pending in the store: a claimer claims a batch
// on the log, senders send it within the deadline, and a settler appends the
// outcomes to the log.
type Mails struct {
	Store    *db.Store
	Log      *eventlog.Log
	Sender   Sender
	Limits   Limits
	Retry    Retry
	Deadline time.Duration // from a claim to the end of its emails' dialogues
	Hold     bool          // an email in doubt is held and not sent again
	Logger   *slog.Logger
	Host     string // of the mail server, for what is logged about it
	Port     int
	User     string // the user name at the mail server; empty if there is no login
	Name     string // of this run, in the ids of its claims; random if it is empty

	server server
}

// job is an email that is claimed and not sent yet.
type job struct {
	mail  workflow.Mail
	claim *claim
}

// claim is a claim of this run.
type claim struct {
	seq      uint64
	start    time.Time // before the claim was appended
	wall     time.Time // the same by the clock that goes on while the machine sleeps
	failures int       // of the mail server at that time
}

// late reports whether the claim is too old for its emails to be begun. If the
// machine slept, its monotonic clock stopped, and another worker may have
// claimed them since.
func (c *claim) late(deadline time.Duration) bool {
	return max(time.Since(c.start), time.Now().Round(0).Sub(c.wall)) > deadline/4
}

// Run claims and sends until ctx ends. Then it finishes the dialogues that have
// begun, settles what it has claimed, and returns nil.
func (r *Mails) Run(ctx context.Context) error {
	name := r.Store.Position().Worker + "." + cmp.Or(r.Name, rand.Text()[:8])
	flight := newFlight(r.Sender.Size(), r.Deadline)
	settler := newSettler(r, name, flight)
	claimer := newClaimer(r, name, flight, settler)
	var senders, settling sync.WaitGroup
	settling.Go(func() { settler.run(ctx) })
	for range r.Sender.Size() {
		senders.Go(func() {
			for j := range claimer.jobs {
				settler.settle(r.send(ctx, j, flight))
			}
		})
	}
	claimer.run(ctx)
	close(claimer.jobs)
	senders.Wait()
	close(settler.results)
	settling.Wait()
	return nil
}

// sent is an email that a sender has finished.
type sent struct {
	claim   uint64
	outcome workflow.MailOutcome
	begun   time.Time // zero if it says nothing of how long an email takes
}

// send sends one claimed email, if its time to begin has not passed and it was
// not withdrawn before we read what it says.
func (r *Mails) send(ctx context.Context, j job, f *flight) sent {
	late := j.claim.late(r.Deadline)
	f.begin(late)
	s := sent{claim: j.claim.seq, outcome: workflow.MailOutcome{Mail: j.mail.ID, Outcome: workflow.Released}}
	if late || j.mail.Withdrawn || ctx.Err() != nil || r.server.failed() != j.claim.failures {
		return s
	}
	deadline, cancel := context.WithDeadline(context.WithoutCancel(ctx), j.claim.start.Add(r.Deadline))
	defer cancel()
	s.begun = time.Now()
	result := r.Sender.Send(deadline, j.mail)
	r.learn(result, time.Now())
	if result.Server {
		s.begun = time.Time{}
	}
	s.outcome = r.outcome(j.mail, result)
	return s
}
