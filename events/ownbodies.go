package events

import (
	"encoding/json"
	"errors"
	"slices"

	"countersign/workflow"
)

// own reads one of Countersign's own events. Nobody else may write them, so
// they are held to their shape and to their subject, and to no more. The id of
// one that is appended once follows from its subject.
func (r *reader) own(e *envelope, to topic) workflow.Body {
	body, err := workflow.DecodeBody(e.typ, e.data.raw)
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind) && kind.Field != "":
		r.fail(workflow.CodeInvalid, "data."+kind.Field, "want %s, got %s", kind.Type.Kind(), kind.Value)
	case err != nil:
		r.fail(workflow.CodeInvalid, "data", "%v", err)
	case e.data.raw[0] != '{':
		r.want(&e.data, "an object")
	}
	if r.problem != nil {
		return nil
	}
	switch b := body.(type) {
	case workflow.Became:
		r.agree("data.sid", b.SID == to.document)
		r.agree("data.account_sid", b.AccountSID == to.account)
		r.agree("data.status", b.Status == to.status)
		r.agree("data.round", b.Round > 0 && uint64(b.Round) == to.number)
	case workflow.Register:
		r.agree("data.hosted_number_order_sid", b.OrderSID == to.order)
		r.agree("data.authorization_document_sid", b.DocumentSID == to.document)
		r.agree("data.account_sid", b.AccountSID == to.account)
	case workflow.Refused:
		r.agree("data.sequence", b.Sequence == to.number)
		r.present("data.code", string(b.Code))
	case workflow.TimerDue:
		r.agree("data.timer", b.Timer == to.timer)
		r.agree("data.round", b.Round > 0 && uint64(b.Round) == to.number)
	case workflow.LetterStale:
		r.agree("data.round", b.Round > 0 && uint64(b.Round) == to.number)
		r.present("data.reason", b.Reason)
	case workflow.Claimed:
		r.present("data.worker", b.Worker)
		r.mails("data.mails", b.Mails)
	case workflow.Settled:
		r.settled(b)
	case workflow.Erased:
		r.agree("data.authorization_document_sid", b.DocumentSID == to.document)
		r.agree("data.account_sid", b.AccountSID == to.account)
	case workflow.Discarded:
		r.agree("data.sequence", b.Sequence == to.number)
		r.present("data.reason", b.Reason)
	case workflow.Quarantined:
		r.agree("data.sequence", b.Sequence == to.number)
	case workflow.RulesActivated:
		r.activated(b)
	}
	switch body.(type) {
	case workflow.Became, workflow.Register, workflow.Refused, workflow.TimerDue, workflow.LetterStale, workflow.Discarded, workflow.Quarantined:
		r.agree("id", e.id == to.id)
	}
	return body
}

func (r *reader) activated(b workflow.RulesActivated) {
	if b.Version < 1 {
		r.fail(workflow.CodeInvalid, "data.version", "%d is no version", b.Version)
	}
	if b.ParkingLimitSeconds < 0 {
		r.fail(workflow.CodeInvalid, "data.parking_limit_seconds", "%d is below 0", b.ParkingLimitSeconds)
	}
	for _, s := range b.NotifyCC {
		if !slices.Contains(workflow.Notices, s) {
			r.fail(workflow.CodeInvalid, "data.notify_cc", "want some of %q, got %s", workflow.Notices, quote(string(s)))
		}
	}
	var timers workflow.Timers
	if b.Timers != nil {
		timers = *b.Timers
	}
	var limits workflow.MailLimits
	if b.MailLimits != nil {
		limits = *b.MailLimits
	}
	for _, t := range []struct {
		field   string
		n, most int64
	}{
		{"timers.remind_after_seconds", timers.RemindAfter, MaxSeconds},
		{"timers.remind_every_seconds", timers.RemindEvery, MaxSeconds},
		{"timers.remind_at_most", int64(timers.RemindMost), MaxReminds},
		{"timers.expire_after_seconds", timers.ExpireAfter, MaxSeconds},
		{"timers.fresh_for_seconds", timers.FreshFor, MaxSeconds},
		{"mail_limits.interval_seconds", limits.Interval, MaxSeconds},
		{"mail_limits.per_day", int64(limits.PerDay), MaxPerDay},
	} {
		if t.n < 0 || t.n > t.most {
			r.fail(workflow.CodeInvalid, "data."+t.field, "want 0 to %d, got %d", t.most, t.n)
		}
	}
}

func (r *reader) settled(b workflow.Settled) {
	r.present("data.worker", b.Worker)
	ids := make([]workflow.MailID, len(b.Outcomes))
	for i, o := range b.Outcomes {
		ids[i] = o.Mail
		if !slices.Contains(workflow.Outcomes, o.Outcome) {
			r.fail(workflow.CodeInvalid, "data.outcomes", "want one of %q, got %s", workflow.Outcomes, quote(string(o.Outcome)))
		}
	}
	r.mails("data.outcomes", ids)
}

func (r *reader) mails(field string, ids []workflow.MailID) {
	for _, id := range ids {
		if !isSID(string(id.Document()), "PX") {
			r.fail(workflow.CodeInvalid, field, "not the id of a mail: %s", quote(string(id)))
			return
		}
	}
}

func (r *reader) agree(field string, same bool) {
	if !same {
		r.fail(workflow.CodeInvalid, field, "does not agree with the subject")
	}
}

func (r *reader) present(field, s string) {
	if s == "" {
		r.fail(workflow.CodeInvalid, field, "missing")
	}
}
