package workflow

import (
	"slices"
	"time"
)

// MailLimits says how often one document may ask its signer by email, with
// signature emails and reminders together. Only emails that a worker has begun
// to send count, because an email that is replaced earlier reaches nobody.
type MailLimits struct {
	Interval int64 `json:"interval_seconds,omitempty"` // average seconds between two emails: MailBurst emails may go within MailBurst intervals; 0 for no limit
	PerDay   int   `json:"per_day,omitempty"`          // emails within 24 hours; 0 for no limit
}

// MailBurst is how many emails of a document MailLimits.Interval lets through
// at once: people often correct a document several times in a row, and then
// leave it alone.
const MailBurst = 5

// MailDay is the period of the limits per day.
const MailDay = 24 * time.Hour

// next returns when another email may become pending, after those that became
// pending at the times in asked, oldest first. It is zero if that is now.
func (l MailLimits) next(asked []time.Time, now time.Time) (next time.Time) {
	within := func(most int, window time.Duration) {
		if most == 0 || len(asked) < most {
			return
		}
		if at := asked[len(asked)-most].Add(window); at.After(now) && at.After(next) {
			next = at
		}
	}
	if l.Interval > 0 {
		within(MailBurst, MailBurst*Seconds(l.Interval))
	}
	within(l.PerDay, MailDay)
	return next
}

// Asks reports whether emails of this kind ask the signer for the signature.
func (k MailKind) Asks() bool { return k == MailSignature || k == MailReminder }

// begun reports whether the mail asks for the signature and a worker has begun
// to send it.
func (m Mail) begun() bool { return m.Kind.Asks() && m.Attempts > 0 }

// nextAsk returns when another email that asks for the signature may become
// pending. It is zero if that is now. replaces says that the new email replaces
// those that no worker has begun.
func (d *decider) nextAsk(replaces bool) time.Time {
	asked := d.state.Asked
	for _, m := range d.state.Mails {
		if m.begun() || m.Kind.Asks() && !replaces && !m.State.Done() {
			asked = insert(asked, m.CausedAt)
		}
	}
	return d.facts.MailLimits.next(asked, d.now)
}

// insert returns a copy of the times, oldest first, with one more.
func insert(times []time.Time, t time.Time) []time.Time {
	i, _ := slices.BinarySearchFunc(times, t, time.Time.Compare)
	return slices.Insert(slices.Clip(times), i, t)
}

// tooMany refuses an event that would make another signature email pending too
// soon.
func (d *decider) tooMany(replaces bool) *Problem {
	at := d.nextAsk(replaces)
	if at.IsZero() {
		return nil
	}
	return d.tooSoon("has asked its signer by email too often", at)
}

// tooSoon refuses an event until at.
func (d *decider) tooSoon(why string, at time.Time) *Problem {
	at = at.Add(time.Second - 1).Truncate(time.Second) // never before the limit allows it
	p := problem(CodeTooManyEmails, "", "document %s %s; ask again at %s or later", d.state.Document.SID, why, at.Format(time.RFC3339))
	p.Until = at
	return p
}
