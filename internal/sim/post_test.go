package sim

import (
	"context"
	"strings"
	"time"

	"countersign/internal/delivery"
	"countersign/workflow"
)

// post is the model of the mail server, and what it has accepted.
type post struct {
	down     bool // nobody can connect, or log in
	accepted map[workflow.MailID][]acceptance
}

type acceptance struct {
	claim uint64
	at    time.Time
}

// poolSize is how many mails a worker can have under way.
const poolSize = 2

// sender is a worker's way to the mail server.
type sender struct{ run *run }

// Size implements relay.Sender.
func (sender) Size() int { return poolSize }

// Send implements relay.Sender: a dialogue of three steps, begin, dot and
// reply.
func (s sender) Send(ctx context.Context, m workflow.Mail) delivery.Result {
	w, r := s.run.w, delivery.Result{Outcome: workflow.Deferred, Reply: "the connection broke"}
	c := &call{run: s.run, key: "send " + string(m.ID), ctx: ctx}
	begun, dot := false, false
	c.late = func() {
		switch {
		case dot, begun && w.trouble(2):
			if !dot {
				w.accept(s.run, m) // frozen between the dot and its reply
			}
			w.faults++
			r = delivery.Result{Outcome: workflow.Unknown, Reply: "no reply to the dot"}
		default:
			r = delivery.Result{Outcome: workflow.Deferred, Reply: "no time left"}
		}
	}
	c.step = func() bool {
		switch {
		case dot && w.trouble(w.plan.lossy):
			w.faults++
			r = delivery.Result{Outcome: workflow.Unknown, Reply: "no reply to the dot"}
		case dot:
			r = delivery.Result{Outcome: workflow.Accepted, Code: 250, Reply: "OK"}
		case begun:
			dot = true
			w.accept(s.run, m)
			if w.trouble(w.plan.dying) {
				w.strike(s.run)
			}
			return false
		case w.post.down && !w.calm.Load():
			r = delivery.Result{Outcome: workflow.Deferred, Reply: "connection refused", Server: true}
		default:
			w.begins(s.run, m)
			switch {
			case strings.HasPrefix(m.Recipient, "nobody"):
				r = delivery.Result{Outcome: workflow.Rejected, Code: 550, Reply: "no such user"}
			case w.trouble(w.plan.deferring):
				r = delivery.Result{Outcome: workflow.Deferred, Code: 451, Reply: "try again later"}
			default:
				begun = true
				return false
			}
		}
		w.log("%s send %s: %s", s.run.name, m.ID, r.Outcome)
		return true
	}
	if err := w.park(c); err != nil {
		return delivery.Result{Outcome: workflow.Deferred, Reply: err.Error()}
	}
	return r
}

// accept notes that the server has taken a mail.
func (w *world) accept(r *run, m workflow.Mail) {
	w.log("%s send %s: taken, of claim %d", r.name, m.ID, m.Claim)
	w.post.accepted[m.ID] = append(w.post.accepted[m.ID], acceptance{m.Claim, time.Now()})
	w.takes(m)
}
