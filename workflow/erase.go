package workflow

import "time"

// MayErase decides whether a document may be erased. It returns nil if nothing
// more can happen to the document: it is canceled, failed, or signed with all
// its orders completed or failed; each of its mails has an outcome; and each
// event that it caused and that was due at the time now is on the log. pending
// are the events that are not on the log yet; timers that are due after now do
// not prevent the erasure.
//
// Otherwise it returns a Problem with the code CodeStatus that says what is
// still pending.
func MayErase(d Document, mails []Mail, pending []PendingEvent, now time.Time) *Problem {
	left := func(format string, args ...any) *Problem {
		return problem(CodeStatus, "", "document "+string(d.SID)+" is not finished: "+format, args...)
	}
	if !d.Status.Ended() {
		return left("it is %s", d.Status)
	}
	for _, o := range d.Orders {
		if d.Status == Signed && o.Status != OrderCompleted && o.Status != OrderFailed {
			return left("order %s is %s", o.SID, o.Status)
		}
	}
	for _, m := range mails {
		if !m.State.Done() {
			return left("email %s is %s", m.ID, m.State)
		}
	}
	for _, e := range pending {
		if !e.Due.After(now) {
			return left("the event %s is pending", e.What)
		}
	}
	return nil
}
