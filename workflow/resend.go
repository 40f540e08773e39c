package workflow

import "fmt"

// TypeResend is the CloudEvents type of a request to send the signature email
// again.
const TypeResend = "authorization_document.resend"

// Resend asks for the signature mail of the document's round to be sent once
// more. One that is still owed is due at once instead.
type Resend struct {
	Round int `json:"round,omitempty"` // the document's round that it is about; in another the event is refused. Left out: whichever it is in
}

// Type implements Body.
func (Resend) Type() string { return TypeResend }

// out reports whether the document has been sent to the signer, or is on its way.
func (d *Document) out() bool { return d.Status == Signing || d.Status == Opened && !d.Hold }

// resend owes the signature mail of the round once more, with the number of
// the entry that asks. While one is owed there is no second one.
func (d *decider) resend(e Entry, _ Resend) *Problem {
	doc := &d.state.Document
	if !doc.out() {
		stand := standing(doc.Status)
		if doc.Hold {
			stand = "held"
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
