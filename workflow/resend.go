package workflow

import "fmt"

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
	return d.Status == Signing || d.Status == Opened && !d.Hold && !d.waiting()
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
		if doc.waiting() {
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
