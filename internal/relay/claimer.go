package relay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"countersign/db"
	"countersign/internal/delivery"
	"countersign/internal/eventlog"
	"countersign/internal/failpoint"
	"countersign/workflow"
)

// claimer claims due emails on the log and gives the claimed emails to the
// senders.
type claimer struct {
	*Mails
	name    string // the worker's and the run's
	flight  *flight
	settler *settler
	jobs    chan job

	claims  int                  // for the ids of claims
	wait    time.Duration        // how long pending emails may be overdue while another worker is at work
	last    uint64               // the last claim on the log, if it is known beyond the store
	seen    map[uint64]time.Time // when an open claim was seen first, by the own monotonic clock
	blocked map[string]time.Time // until when a limit keeps a domain, or a person who is asked to sign, waiting
	own     map[uint64]bool      // claims of this run
	ownOpen bool                 // one of them was open at the last check
	look    time.Time            // when to look for emails in doubt again, unless another worker claims before
	foreign uint64               // the last claim at that look, if it was another worker's
	full    bool                 // no email could be claimed, because others are in flight
}

func newClaimer(r *Mails, name string, f *flight, s *settler) *claimer {
	return &claimer{
		Mails: r, name: name, flight: f, settler: s, jobs: make(chan job, claimMost*2), wait: patience(name),
		seen: map[uint64]time.Time{}, blocked: map[string]time.Time{}, own: map[uint64]bool{},
	}
}

// run claims until ctx ends.
func (c *claimer) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-c.flight.freed: // the next check sees it
		default:
		}
		changed := c.Store.MailsChanged()
		wait, err := c.step(ctx)
		if err != nil && ctx.Err() == nil {
			c.Logger.Warn("pending emails wait: the next try is in a second", "err", err)
			wait = time.Second
		}
		if wait <= 0 {
			continue
		}
		var freed chan struct{}
		if c.full {
			freed = c.flight.freed
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-freed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// step claims once, if there is something to claim and it is this worker's turn.
// It returns how long to wait before the next step.
func (c *claimer) step(ctx context.Context) (time.Duration, error) {
	// Read before looking for due emails: a claim that is applied after the look
	// may have taken the same emails.
	known := max(c.last, c.Store.Position().Claim)
	doubtful, wait, err := c.doubtful(ctx)
	if err != nil {
		return 0, err
	}
	room, pauseFor := c.room()
	if c.full = room == 0; c.full {
		return min(wait, pauseFor), nil
	}
	now := c.Log.Now()
	if !active(c.Store) {
		now = now.Add(-c.wait)
	}
	due, next, err := c.due(ctx, now, room)
	if err != nil {
		return 0, err
	}
	ids := append(doubtful, due...)
	if len(ids) == 0 {
		return min(wait, max(next, time.Millisecond)), nil
	}
	if len(doubtful) > 0 {
		c.Logger.Warn("emails in doubt are sent again", "emails", len(doubtful))
	}
	if claimed, err := c.claim(ctx, ids, known); err != nil || !claimed || next == 0 {
		return 0, err
	}
	// Nothing else was due. Emails that become pending close the channel that run
	// has taken before the look.
	left, err := c.nextDue(ctx, now)
	return min(wait, next, left), err
}

// room is how many emails may be claimed. While the mail server is in trouble it
// is one, after a pause that grows.
func (c *claimer) room() (int, time.Duration) {
	if pause, failing := c.server.pause(time.Now()); failing {
		if pause > 0 || c.flight.waiting() {
			return 0, max(pause, 10*time.Millisecond)
		}
		return 1, 0
	}
	return c.flight.room(c.ownOpen)
}

// due lists the due emails that the rate limits let through, at most room, and how
// long to wait for more: 0 if there may be more now.
func (c *claimer) due(ctx context.Context, now time.Time, room int) ([]workflow.MailID, time.Duration, error) {
	wait := idle
	var but []string
	for key, until := range c.blocked {
		if left := time.Until(until); left > 0 {
			but = append(but, key)
			wait = min(wait, left)
		} else {
			delete(c.blocked, key)
		}
	}
	due, err := c.Store.DueMails(ctx, now, but, room)
	if err != nil {
		return nil, 0, err
	}
	var ids []workflow.MailID
	for _, m := range due {
		if c.limited(m) {
			continue
		}
		if full, left := c.Limits.Allow(m.Domain, m.Asked, time.Now()); left > 0 {
			c.block(full, left, m)
			wait = min(wait, left)
			continue
		}
		ids = append(ids, m.ID)
	}
	switch {
	case len(due) >= room:
		return ids, 0, nil
	case len(due) > 0:
		return ids, wait, nil
	}
	left, err := c.nextDue(ctx, now)
	return nil, min(wait, left), err
}

// nextDue is how long to wait for the next pending email that was not due at now.
func (c *claimer) nextDue(ctx context.Context, now time.Time) (time.Duration, error) {
	next, err := c.Store.NextDueMail(ctx)
	if left := next.Sub(now); left > 0 {
		return left + time.Millisecond, err
	}
	return idle, err
}

// limited reports whether a limit keeps the email waiting.
func (c *claimer) limited(m db.DueMail) bool {
	_, domain := c.blocked[m.Domain]
	_, person := c.blocked[m.Asked]
	return domain || m.Asked != "" && person
}

// block keeps a domain, or a person who is asked to sign, waiting. The second
// is logged: it takes hours, and shows that somebody sends too much.
func (c *claimer) block(full string, left time.Duration, m db.DueMail) {
	c.blocked[full] = time.Now().Add(left)
	if m.Asked != "" && full == m.Asked {
		c.Logger.Warn("emails that ask one person to sign wait: there are too many; see mail-recipient-day",
			"mail", m.ID, "wait", left.Round(time.Second).String())
	}
}

// claim appends a claim of the emails, if no worker has claimed since known, the
// last claim that was known when the emails were chosen. Then it hands them to
// the senders. claimed is false if another worker has claimed.
func (c *claimer) claim(ctx context.Context, ids []workflow.MailID, known uint64) (claimed bool, err error) {
	c.claims++
	id := fmt.Sprintf("%s.claim.%d", c.name, c.claims)
	start := time.Now()
	// A claim that was sent is waited for even if ctx ends: its emails are released.
	live, cancel := c.outlive(ctx)
	defer cancel()
	failpoint.Hit("claim")
	body := workflow.Claimed{Worker: c.Store.Position().Worker, Mails: ids}
	seq, err := c.Log.Claim(live, eventlog.Claimed(id, c.Log.Now(), body), known)
	if errors.Is(err, workflow.ErrConflict) {
		return false, c.lost(live, known)
	}
	if err != nil {
		return false, err
	}
	failpoint.Hit("claim-acked")
	c.last = seq
	maps.DeleteFunc(c.own, func(old uint64, _ bool) bool { return c.seen[old].IsZero() })
	c.own[seq] = true
	mails, err := c.taken(ctx, seq, len(ids))
	if err != nil {
		c.settler.release(live, seq, ids)
		return false, err
	}
	failpoint.Hit("claim-applied")
	b := &claim{seq: seq, start: start, wall: start.Round(0), failures: c.server.failed()}
	for _, m := range mails {
		c.jobs <- job{m, b}
	}
	return true, nil
}

// taken returns the emails of our claim once it is applied: what the log says, not
// what was asked for. It fails if that takes longer than a quarter of the deadline.
func (c *claimer) taken(ctx context.Context, seq uint64, asked int) ([]workflow.Mail, error) {
	ctx = context.WithoutCancel(ctx)
	c.flight.hold(seq, asked)
	err := applied(ctx, c.Store, seq, c.Deadline/4)
	if err != nil {
		c.flight.hold(seq, 0)
		return nil, err
	}
	mails, err := c.Store.ClaimedMails(ctx, seq)
	c.flight.hold(seq, len(mails))
	return mails, err
}

// lost finds out which claim is the last one, and makes this worker a standby.
// It fails with workflow.ErrUnavailable if that claim is older than known: the
// log has lost its tail, and the follower has not noticed yet.
func (c *claimer) lost(ctx context.Context, known uint64) error {
	last, err := c.Log.LastClaim(ctx)
	if err != nil {
		return err
	}
	c.Logger.Debug("another worker claimed first", "claim", last)
	c.last = last // once this claim is applied, the store knows which emails it took
	if last < known {
		return fmt.Errorf("%w: claim %d is not on the log any more, the last is %d", workflow.ErrUnavailable, known, last)
	}
	return applied(ctx, c.Store, last, c.Deadline)
}

// doubtful lists the emails of claims that were left without an outcome for too
// long, after settling those that must not be sent again. It returns how long to
// wait for the next.
func (c *claimer) doubtful(ctx context.Context) ([]workflow.MailID, time.Duration, error) {
	foreign := c.foreign
	if p := c.Store.Position(); !p.Active() {
		foreign = p.Claim
	}
	if left := time.Until(c.look); left > 0 && foreign == c.foreign && !c.flight.behind() {
		return nil, left, nil
	}
	open, err := c.Store.OpenClaims(ctx)
	if err != nil {
		return nil, 0, err
	}
	wait := idle
	c.ownOpen = false
	var ids []workflow.MailID
	seen := make(map[uint64]time.Time, len(open))
	for _, seq := range open {
		if seen[seq] = c.seen[seq]; seen[seq].IsZero() {
			seen[seq] = time.Now()
		}
		left := time.Until(seen[seq].Add(c.doubt()))
		c.ownOpen = c.ownOpen || c.own[seq] && left > 0
		if c.flight.has(seq) {
			continue
		}
		if !active(c.Store) {
			left += overdue
		}
		if left > 0 {
			wait = min(wait, left)
			continue
		}
		again, err := c.abandoned(ctx, seq)
		if err != nil {
			return nil, 0, err
		}
		ids = append(ids, again...)
	}
	c.seen, c.foreign = seen, foreign
	if c.look = time.Now().Add(wait); len(ids) > 0 {
		c.look = time.Time{}
	}
	return ids, wait, nil
}

// abandoned settles the emails of a claim without an outcome that must be held,
// that are withdrawn, or that are in doubt for more than the first time. It
// returns those to be sent again now.
func (c *claimer) abandoned(ctx context.Context, seq uint64) ([]workflow.MailID, error) {
	mails, err := c.Store.ClaimedMails(ctx, seq)
	if err != nil {
		return nil, err
	}
	const why = "claimed, and no outcome"
	var again []workflow.MailID
	var over []workflow.MailOutcome
	for _, m := range mails {
		switch {
		case m.Withdrawn:
			over = append(over, workflow.MailOutcome{Mail: m.ID, Outcome: workflow.Unknown, Reply: why})
		case c.Hold:
			over = append(over, workflow.MailOutcome{Mail: m.ID, Outcome: workflow.Held, Reply: why})
		case m.Doubts > 0: // each try may have been another copy
			over = append(over, c.outcome(m, delivery.Result{Outcome: workflow.Unknown, Reply: why}))
		default:
			again = append(again, m.ID)
		}
	}
	if len(over) > 0 {
		at := c.settler.append(ctx, fmt.Sprintf("%s.abandoned.%d", c.name, seq), seq, over)
		if err := applied(ctx, c.Store, at, c.Deadline); err != nil {
			return nil, err
		}
	}
	return again, nil
}
