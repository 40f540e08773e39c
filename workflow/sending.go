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
