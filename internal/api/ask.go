package api

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"countersign/db"
	"countersign/events"
	"countersign/internal/ratelimit"
	"countersign/workflow"
)

// asks reports whether a change of a document sends an email to its signer: if the
// document is held, only a change to signing does; if not, any change does.
func asks(before workflow.Document, b workflow.Updated, status workflow.Status) bool {
	if before.Status != workflow.Opened || status == workflow.Opened {
		return false
	}
	if before.Hold {
		return status == workflow.Signing
	}
	return b != (workflow.Updated{})
}

// ask appends events that ask the person at email to sign. It fails and appends
// nothing if the account has asked that person too often within 24 hours.
func (h *handler) ask(r *request, email string, es ...events.Event) error {
	if h.RecipientDay == 0 {
		return h.append(r, es...)
	}
	// Requests in progress are not in the database yet, and count, too.
	others, done := h.asking.begin(db.Asked(r.account, email))
	defer done()
	wait := time.Second // if others have taken all that is left, until they are done
	if left := h.RecipientDay - others; left > 0 {
		now := h.Now()
		at, err := h.Documents.AskedBefore(r.ctx, r.account, email, left, now.Add(-workflow.MailDay))
		if err != nil {
			return err
		}
		if at.IsZero() {
			return h.append(r, es...)
		}
		wait = at.Add(workflow.MailDay).Sub(now)
	}
	h.Metrics.limited.WithLabelValues("recipient").Inc()
	return tooManyEmails("this account has asked the person at Email to sign "+strconv.Itoa(h.RecipientDay)+" times within 24 hours", wait)
}

// asking counts the requests in progress that ask somebody to sign.
type asking struct {
	mu sync.Mutex
	n  map[string]int // by db.Asked; none is 0
}

// begin counts a request, until done is called, and returns how many others
// there are.
func (a *asking) begin(whom string) (others int, done func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n == nil {
		a.n = make(map[string]int)
	}
	others = a.n[whom]
	a.n[whom]++
	return others, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.n[whom]--; a.n[whom] == 0 {
			delete(a.n, whom)
		}
	}
}

// tooManyEmails is the fault of a request that would send one email too many.
func tooManyEmails(why string, wait time.Duration) *fault {
	f := newFault(http.StatusTooManyRequests, codeTooMany, "Too many emails: %s", why)
	f.retry = max(1, ratelimit.Seconds(wait))
	return f
}
