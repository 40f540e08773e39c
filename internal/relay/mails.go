package relay

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"countersign/db"
	"countersign/internal/delivery"
	"countersign/internal/eventlog"
	"countersign/internal/failpoint"
	"countersign/workflow"
)

// Sender hands mails to the mail server.
type Sender interface {
	// Size is how many Sends may run at a time.
	Size() int

	// Send sends one mail and says what became of it. The deadline of ctx
	// bounds the dialogue.
	Send(ctx context.Context, m workflow.Mail) delivery.Result
}

// Limits bounds how fast mails may go out.
type Limits interface {
	// Allow asks to send one mail to a domain now, which asks for a signature
	// whom db.DueMail's Asked names, if any. If it may not be sent, wait says
	// when to ask again, and full which of the two has to wait.
	Allow(domain, asked string, now time.Time) (full string, wait time.Duration)
}

// Mails sends the mails that the store owes: it claims a batch on the log,
// sends it within the deadline, and settles the outcomes on the log.
type Mails struct {
	Store    *db.Store
	Log      *eventlog.Log
	Sender   Sender
	Limits   Limits
	Retry    Retry
	Deadline time.Duration // from a claim to the end of its mails' dialogues
	Hold     bool          // a mail in doubt is held, not sent again
	Logger   *slog.Logger
	Host     string // of the mail server, for what is said of it
	Port     int
	User     string // that logs in there; empty if nobody does
	Name     string // of this run, in the ids of its claims; a random one where it is empty

	name    string // the worker's and the run's
	claims  int
	wait    time.Duration        // how long owed mails may be overdue while another worker is at work
	last    uint64               // the last claim on the log, as far as it is known beyond the store
	seen    map[uint64]time.Time // when an open claim was seen first, by the own monotonic clock
	blocked map[string]time.Time // domains, and people who are asked to sign, that a limit keeps waiting; and until when
	own     map[uint64]bool      // claims of this run
	waits   bool                 // one of them was open at the last look
	jobs    chan job
	results chan result
	settles int
	freed   chan struct{} // a mail has left our hands

	mu      sync.Mutex
	inHand  map[uint64]int // mails without an outcome yet, of our own open claims
	unbegun int
	late    bool          // mails in hand were not begun in time, and are handed back
	pace    time.Duration // how long a mail takes its connection, averaged
	server  server
}

// job is a mail in hand.
type job struct {
	mail  workflow.Mail
	batch *claimed
}

// claimed is a claim of our own.
type claimed struct {
	seq      uint64
	start    time.Time // before the claim was appended
	wall     time.Time // the same by the clock that goes on while the machine sleeps
	failures int       // of the mail server, then
}

// late reports whether the claim is too old for its mails to be begun. A machine
// that slept has a monotonic clock that stood still, and another worker may have
// claimed them since.
func (c *claimed) late(deadline time.Duration) bool {
	return max(time.Since(c.start), time.Now().Round(0).Sub(c.wall)) > deadline/4
}

// result is the outcome of a mail in hand, on its way to the log.
type result struct {
	claim   uint64
	outcome workflow.MailOutcome
	settled chan struct{} // closed once it stands there
}

// claimMost is how many mails one claim takes in hand at the most.
const claimMost = 500

// Run claims and sends until ctx ends. Then it finishes the dialogues that
// have begun, settles what it has in hand, and returns nil.
func (r *Mails) Run(ctx context.Context) error {
	r.name = r.Store.Position().Worker + "." + cmp.Or(r.Name, rand.Text()[:8])
	r.seen, r.blocked, r.inHand, r.own = map[uint64]time.Time{}, map[string]time.Time{}, map[uint64]int{}, map[uint64]bool{}
	r.jobs, r.freed = make(chan job, claimMost*2), make(chan struct{}, 1)
	r.results = make(chan result, r.Sender.Size())
	r.pace, r.wait = 20*time.Millisecond, patience(r.name)
	var senders, settler sync.WaitGroup
	settler.Go(func() { r.settle(ctx) })
	for range r.Sender.Size() {
		senders.Go(func() {
			for j := range r.jobs {
				r.send(ctx, j)
			}
		})
	}
	for ctx.Err() == nil {
		select {
		case <-r.freed: // the look that follows sees it
		default:
		}
		changed := r.Store.Changed()
		wait, err := r.step(ctx)
		if err != nil && ctx.Err() == nil {
			r.Logger.Warn("owed mails wait", "err", err)
			wait = time.Second
		}
		if wait <= 0 {
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-r.freed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	close(r.jobs)
	senders.Wait()
	close(r.results)
	settler.Wait()
	return nil
}

// step claims once, if there is something to claim and it is this worker's
// turn, and says how long to wait before the next look.
func (r *Mails) step(ctx context.Context) (time.Duration, error) {
	// Before the first look at what there is to claim: a claim that is applied
	// after it may have taken the same mails.
	known := max(r.last, r.Store.Position().Claim)
	doubtful, wait, err := r.doubtful(ctx)
	if err != nil {
		return 0, err
	}
	room, pauseFor := r.room()
	if room == 0 {
		return min(wait, pauseFor), nil
	}
	now := r.Log.Now()
	if !active(r.Store) {
		now = now.Add(-r.wait)
	}
	due, next, err := r.due(ctx, now, room)
	if err != nil {
		return 0, err
	}
	ids := append(doubtful, due...)
	if len(ids) == 0 {
		return min(wait, next), nil
	}
	if len(doubtful) > 0 {
		r.Logger.Warn("mails in doubt are sent again", "mails", len(doubtful))
	}
	return 0, r.claim(ctx, ids, known)
}

// idle is how long to wait where nothing is known to come.
const idle = time.Second

// due lists the due mails that the rate limits let through, and how long to
// wait where there are none.
func (r *Mails) due(ctx context.Context, now time.Time, room int) ([]workflow.MailID, time.Duration, error) {
	wait := idle
	var but []string
	for key, until := range r.blocked {
		if left := time.Until(until); left > 0 {
			but = append(but, key)
			wait = min(wait, left)
		} else {
			delete(r.blocked, key)
		}
	}
	due, err := r.Store.DueMails(ctx, now, but, room)
	if err != nil {
		return nil, 0, err
	}
	var ids []workflow.MailID
	for _, m := range due {
		if r.waiting(m) {
			continue
		}
		if full, left := r.Limits.Allow(m.Domain, m.Asked, time.Now()); left > 0 {
			r.block(full, left, m)
			wait = min(wait, left)
			continue
		}
		ids = append(ids, m.ID)
	}
	if len(due) > 0 {
		return ids, max(wait, time.Millisecond), nil
	}
	next, err := r.Store.NextDueMail(ctx)
	if left := next.Sub(now); left > 0 {
		wait = min(wait, left+time.Millisecond)
	}
	return nil, wait, err
}

// waiting reports whether a limit keeps the mail waiting.
func (r *Mails) waiting(m db.DueMail) bool {
	_, domain := r.blocked[m.Domain]
	_, person := r.blocked[m.Asked]
	return domain || m.Asked != "" && person
}

// block keeps a domain, or a person who is asked to sign, waiting. The second
// is logged: it takes hours, and shows that somebody sends too much.
func (r *Mails) block(full string, left time.Duration, m db.DueMail) {
	r.blocked[full] = time.Now().Add(left)
	if m.Asked != "" && full == m.Asked {
		r.Logger.Warn("emails that ask one person to sign wait, because there are too many of them; see mail-recipient-day",
			"mail", m.ID, "wait", left.Round(time.Second))
	}
}

// room is how many mails may be claimed: no more than the pool can begin
// within a quarter of the deadline, and while the mail server is in trouble
// one, after a pause that grows.
func (r *Mails) room() (int, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server.failures > 0 {
		if left := time.Until(r.server.until); left > 0 || r.unbegun > 0 {
			return 0, max(left, 10*time.Millisecond)
		}
		return 1, 0
	}
	if r.late && r.waits {
		return 0, idle // else what was handed back first would be overtaken by the rest
	}
	r.late = false
	begin := r.Sender.Size() * int(r.Deadline/4/max(r.pace, time.Microsecond))
	room := max(1, min(begin, claimMost))
	if r.unbegun > room/2 {
		return 0, idle
	}
	return room - r.unbegun, 0
}

// claim takes the mails in hand, if no worker has claimed since the claim that
// was the last known when they were chosen.
func (r *Mails) claim(ctx context.Context, ids []workflow.MailID, known uint64) error {
	r.claims++
	id := fmt.Sprintf("%s.claim.%d", r.name, r.claims)
	start := time.Now()
	// A claim on its way is waited for: what it took in hand is handed back.
	live, cancel := r.outlive(ctx)
	defer cancel()
	failpoint.Hit("claim")
	claim := workflow.Claimed{Worker: r.Store.Position().Worker, Mails: ids}
	seq, err := r.Log.Claim(live, eventlog.Claimed(id, r.Log.Now(), claim), known)
	if errors.Is(err, workflow.ErrConflict) {
		return r.lost(live, known)
	}
	if err != nil {
		return err
	}
	failpoint.Hit("claim-acked")
	r.last = seq
	maps.DeleteFunc(r.own, func(old uint64, _ bool) bool { return r.seen[old].IsZero() })
	r.own[seq] = true
	mails, err := r.taken(ctx, seq, len(ids))
	if err != nil {
		r.handBack(live, seq, ids)
		return err
	}
	failpoint.Hit("claim-applied")
	if len(mails) == 0 {
		return nil
	}
	r.mu.Lock()
	failures := r.server.failures
	r.mu.Unlock()
	b := &claimed{seq: seq, start: start, wall: start.Round(0), failures: failures}
	for _, m := range mails {
		r.jobs <- job{m, b}
	}
	return nil
}

// taken returns the mails that are in hand by our own claim, once it is
// applied: what the log says, not what was asked for. It fails where that takes
// too long.
func (r *Mails) taken(ctx context.Context, seq uint64, asked int) ([]workflow.Mail, error) {
	ctx = context.WithoutCancel(ctx)
	r.hold(seq, asked)
	err := applied(ctx, r.Store, seq, r.Deadline/4)
	if err != nil {
		r.hold(seq, 0)
		return nil, err
	}
	mails, err := r.Store.ClaimedMails(ctx, seq)
	r.hold(seq, len(mails))
	return mails, err
}

// lost learns which claim was the last, and stands by. It fails where that is
// an older one than the one known here: the log has lost its tail, and the
// follower has not found out yet.
func (r *Mails) lost(ctx context.Context, known uint64) error {
	last, err := r.Log.LastClaim(ctx)
	if err != nil {
		return err
	}
	r.Logger.Debug("another worker claimed first", "claim", last)
	r.last = last // once it is applied, it is known what it took
	if last < known {
		return fmt.Errorf("%w: claim %d is not on the log any more, the last is %d", workflow.ErrUnavailable, known, last)
	}
	return applied(ctx, r.Store, last, r.Deadline)
}

// hold notes how many mails of our own claim have no outcome yet.
func (r *Mails) hold(seq uint64, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unbegun += n - r.inHand[seq]
	r.inHand[seq] = n
	if n == 0 {
		delete(r.inHand, seq)
	}
}
