package mail

import (
	"sync"
	"time"

	"countersign/internal/delivery"
	"countersign/workflow"
)

// jury decides whom a refusal is about when its codes leave it open, by what
// other mails met:
//
//   - One reply that mails to two domains get alike is about us.
//   - A reply without a plain code that only one domain has met is believed at the
//     second try, so that other mails can meet it in between.
//   - A refusal that seems to be about us, while other mails are accepted, is about
//     this mail or its domain: the mail waits alone.
//
// It forgets what it has not met for an hour.
type jury struct {
	mu       sync.Mutex
	accepted int                         // mails, since the start
	byDomain map[string]int              // the same for each domain
	replies  map[string]sighting         // by likeness
	refused  map[workflow.MailID]refusal // mails that the server refused
	swept    time.Time
}

// sighting is a reply that was met.
type sighting struct {
	domain string // that met it first
	more   bool   // other domains met it too
	others int    // mails accepted for other domains, when it was last met
	at     time.Time
}

// refusal is a mail that was refused.
type refusal struct {
	accepted int // other mails, when it last was
	at       time.Time
}

const (
	juryKeeps = time.Hour
	juryMost  = 10_000 // of each kind
)

// judge completes a result, and learns from it.
func (j *jury) judge(r delivery.Result, id workflow.MailID, to string) delivery.Result {
	domain := domainOf(to)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sweep()
	if r.Outcome == workflow.Accepted {
		j.accepted++
		j.byDomain[domain]++
		delete(j.refused, id)
		return r
	}
	key := likeness(r.Stage, r.Code, r.Reply, to)
	if r.Server {
		r.Alike = key
	}
	if r.Code/100 != 5 || r.Stage == delivery.AtConnect || r.Stage == delivery.AtEHLO || r.Stage == delivery.AtSTARTTLS || r.Stage == delivery.AtAUTH {
		return r
	}
	seen, met := j.replies[key]
	others := j.accepted - j.byDomain[domain]
	alone := met && !seen.more && seen.domain == domain && others > seen.others && (r.Stage == delivery.AtRCPT || r.Stage == delivery.AtDot)
	if !met {
		seen.domain = domain
	}
	seen.more, seen.others, seen.at = seen.more || seen.domain != domain, others, time.Now()
	j.replies[key] = seen
	last, again := j.refused[id]
	j.refused[id] = refusal{j.accepted, seen.at}

	enhanced := enhancedOf(r.Reply)
	switch blame(r.Stage, r.Code, enhanced, seen.more) {
	case faultRecipient:
		if !again && !plainly(r.Code, enhanced) {
			r.Outcome, r.Unsure = workflow.Deferred, true
		}
	case faultUs:
		r.Outcome, r.Server, r.Alike = workflow.Deferred, true, key
		if alone || again && j.accepted > last.accepted {
			r.Server, r.Alike = false, ""
		}
	}
	return r
}

// sweep forgets what is old, and everything if it is too much.
func (j *jury) sweep() {
	now := time.Now()
	full := len(j.byDomain) >= juryMost || len(j.replies) >= juryMost || len(j.refused) >= juryMost
	if j.byDomain == nil || full {
		j.accepted = 0
		j.byDomain, j.replies, j.refused = map[string]int{}, map[string]sighting{}, map[workflow.MailID]refusal{}
	}
	if now.Sub(j.swept) < juryKeeps/60 {
		return
	}
	j.swept = now
	for key, s := range j.replies {
		if now.Sub(s.at) > juryKeeps {
			delete(j.replies, key)
		}
	}
	for id, r := range j.refused {
		if now.Sub(r.at) > juryKeeps {
			delete(j.refused, id)
		}
	}
}
