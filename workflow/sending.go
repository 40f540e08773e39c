package workflow

import (
	"fmt"
	"slices"
	"time"
)

// mail makes one email about the document in its present state pending.
func (d *decider) mail(kind MailKind, n int, to string) {
	doc := &d.state.Document
	m := Mail{
		ID: mailID(doc, kind, n), Document: doc.SID, Round: doc.Round, Kind: kind, Recipient: to,
		State: MailWaiting, CauseSeq: d.cause.Sequence, CauseIndex: len(d.touched), CausedAt: d.now, Due: d.now,
	}
	d.state.Mails = append(d.state.Mails, m)
	d.touched = append(d.touched, m.ID)
}

// advance lets the oldest unfinished email to each recipient go, if it waited for
// others. Emails to different recipients do not wait for each other.
func (d *decider) advance() {
	if !slices.ContainsFunc(d.state.Mails, func(m Mail) bool { return m.State == MailWaiting }) {
		return
	}
	busy := make(map[string]bool) // recipients with an older unfinished email
	for i := range d.state.Mails {
		m := &d.state.Mails[i]
		if m.State.Done() {
			continue
		}
		to := recipientKey(m.Recipient)
		if m.State == MailWaiting && !busy[to] {
			m.State = MailPending
			if m.Due.Before(d.now) {
				m.Due = d.now
			}
			d.touched = append(d.touched, m.ID)
		}
		busy[to] = true
	}
}

// withdraw withdraws the emails that carry the link of the round. An email that
// a worker is sending cannot be withdrawn, but it is not retried.
func (d *decider) withdraw() {
	for i := range d.state.Mails {
		m := &d.state.Mails[i]
		if m.State.Done() || m.Kind != MailSignature && m.Kind != MailReminder {
			continue
		}
		m.Withdrawn = true
		if m.State != MailClaimed {
			d.finish(m, MailWithdrawn)
		}
		d.touched = append(d.touched, m.ID)
	}
}

// freeze keeps a copy of the document for the pending notices of the round,
// before the document moves on to another round.
func (d *decider) freeze() {
	doc := d.state.Document
	for i := range d.state.Mails {
		m := &d.state.Mails[i]
		if !m.State.Done() && !m.Withdrawn && m.Round == doc.Round {
			m.About = &doc
			d.touched = append(d.touched, m.ID)
		}
	}
}

func (d *decider) finish(m *Mail, s MailState) {
	m.State, m.DoneAt = s, d.now
	d.note("mail "+string(s), mailDetail(m))
}

func mailDetail(m *Mail) string {
	if m.Reply == "" {
		return string(m.ID)
	}
	return fmt.Sprintf("%s: %s", m.ID, m.Reply)
}

// claim marks emails as claimed by a worker. If an earlier claim of an email
// has no outcome, the email is in doubt: it may be sent twice.
func (d *decider) claim(e Entry, b Claimed) {
	d.same = true
	for i := range d.state.Mails {
		m := &d.state.Mails[i]
		if m.State != MailPending && m.State != MailClaimed || !slices.Contains(b.Mails, m.ID) {
			continue
		}
		d.same = false
		if m.State == MailClaimed {
			m.Doubts++
			d.trouble(m)
			d.note("mail in doubt", fmt.Sprintf("%s: claim %d has no outcome", m.ID, m.Claim))
		}
		if m.Withdrawn {
			d.finish(m, MailWithdrawn)
		} else {
			m.State, m.Claim = MailClaimed, e.Sequence
			m.Attempts++
		}
		d.touched = append(d.touched, m.ID)
	}
}

// settle records the outcomes of emails. An outcome counts only if its claim is
// the last one of the email.
func (d *decider) settle(_ Entry, b Settled) {
	d.same = true
	for _, o := range b.Outcomes {
		i := slices.IndexFunc(d.state.Mails, func(m Mail) bool { return m.ID == o.Mail })
		if i < 0 || d.state.Mails[i].State != MailClaimed || d.state.Mails[i].Claim != b.Claim {
			continue
		}
		d.same = false
		m := &d.state.Mails[i]
		d.touched = append(d.touched, m.ID)
		told := m.Code == o.Code && m.Reply == o.Reply
		m.Code, m.Reply = o.Code, o.Reply
		switch o.Outcome {
		case Accepted:
			d.finish(m, MailAccepted)
		case Rejected:
			d.finish(m, MailRejected)
		case Held:
			m.Doubts++
			d.finish(m, MailHeld)
		default:
			d.again(m, o, told)
		}
		d.follow(*m, o)
	}
}

// trouble starts the time after which an email is given up, unless it is
// running already.
func (d *decider) trouble(m *Mail) {
	if m.Trouble.IsZero() {
		m.Trouble = d.now
	}
}

// again makes an email pending that was not accepted, or may not have been.
// told says that the outcome has the same words as the one before.
func (d *decider) again(m *Mail, o MailOutcome, told bool) {
	switch o.Outcome {
	case Released:
		m.Attempts--
		if o.Reply != "" {
			m.Trouble = time.Time{}
		}
		if o.Reply != "" && !told {
			d.note("mail waits", mailDetail(m))
		}
	case Unknown:
		m.Doubts++
		d.trouble(m)
		d.note("mail in doubt", mailDetail(m))
	default:
		d.trouble(m)
		d.note("mail "+string(o.Outcome), mailDetail(m))
	}
	if m.Withdrawn {
		d.finish(m, MailWithdrawn)
		return
	}
	m.State = MailPending
	if o.Outcome != Released || o.RetryAfterMs > 0 {
		m.Due = d.now.Add(time.Duration(o.RetryAfterMs) * time.Millisecond)
	}
}

// follow changes the document according to the outcome of its signature email.
func (d *decider) follow(m Mail, o MailOutcome) {
	doc := &d.state.Document
	if m.Kind != MailSignature || m.Round != doc.Round || doc.Status != Opened || doc.Hold {
		return
	}
	switch m.State {
	case MailAccepted:
		d.sent()
	case MailRejected:
		d.fail(EndedUndeliverable, "the signature mail was rejected: "+o.Reply)
	}
}

// TypeResend is the CloudEvents type of a request to send the signature email
// again.
const TypeResend = "authorization_document.resend"

// Resend asks for the signature email of the round to be sent once more. If it
// is still pending, it becomes due at once instead.
type Resend struct {
	Round int `json:"round,omitempty"` // the document's round that the event is about; if the document is in another round, the event is refused. Left out: any round
}

// Type implements Body.
func (Resend) Type() string { return TypeResend }

// out reports whether the document has been sent to the signer, or is being
// sent.
func (d *Document) out() bool {
	return d.Status == Signing || d.Status == Opened && !d.Hold && !d.Waits()
}

// resend makes the signature email of the round pending once more, with the
// sequence of the entry as its number. If one is pending already, there is no
// second one.
func (d *decider) resend(e Entry, _ Resend) *Problem {
	doc := &d.state.Document
	if !doc.out() {
		stand := standing(doc.Status)
		if doc.Hold {
			stand = "held"
		}
		if doc.Waits() {
			stand = "waiting for what its letter must name"
		}
		return problem(CodeStatus, "", "document %s is %s; it has no signature mail that could be sent again", doc.SID, stand)
	}
	for i := range d.state.Mails {
		m := &d.state.Mails[i]
		if m.Kind != MailSignature || m.Round != doc.Round || m.State.Done() {
			continue
		}
		if d.same = m.State != MailPending || !m.Due.After(d.now); !d.same {
			if m.Doubts > 0 && d.facts.MailLimits != (MailLimits{}) { // each try may be another copy
				return d.tooSoon("may have reached its signer, and its email is sent again in any case", m.Due)
			}
			m.Due = d.now
			d.touched = append(d.touched, m.ID)
			d.note(TypeResend, fmt.Sprintf("%s is due now, %s", m.ID, e.by()))
		}
		return nil
	}
	if p := d.tooMany(false); p != nil {
		return p
	}
	d.mail(MailSignature, int(e.Sequence), doc.Email)
	d.note(TypeResend, "to be sent again, "+e.by())
	return nil
}

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
