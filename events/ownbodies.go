package events

import (
	"slices"

	"countersign/workflow"
)

func (r *reader) register(b workflow.Register, to *topic) {
	r.agree("data.hosted_number_order_sid", b.OrderSID == to.order)
	r.agree("data.authorization_document_sid", b.DocumentSID == to.document)
	r.agree("data.account_sid", b.AccountSID == to.account)
}

func (r *reader) verification(b workflow.Verification, to *topic) {
	r.agree("data.hosted_number_order_sid", b.OrderSID == to.order)
	r.agree("data.account_sid", b.AccountSID == to.account)
	r.agree("data.sequence", b.Sequence == to.number)
}

func (r *reader) became(b workflow.Became, to *topic) {
	r.agree("data.sid", b.SID == to.document)
	r.agree("data.account_sid", b.AccountSID == to.account)
	r.agree("data.status", b.Status == to.status)
	r.agreeRound(b.Round, to)
}

func (r *reader) refused(b workflow.Refused, to *topic) {
	r.agree("data.sequence", b.Sequence == to.number)
	r.present("data.code", string(b.Code))
}

func (r *reader) erased(b workflow.Erased, to *topic) {
	r.agree("data.authorization_document_sid", b.DocumentSID == to.document)
	r.agree("data.account_sid", b.AccountSID == to.account)
}

func (r *reader) discarded(b workflow.Discarded, to *topic) {
	r.agree("data.sequence", b.Sequence == to.number)
	r.present("data.reason", b.Reason)
}

func (r *reader) timerDue(b workflow.TimerDue, to *topic) {
	r.agree("data.timer", b.Timer == to.timer)
	r.agreeRound(b.Round, to)
}

func (r *reader) letterStale(b workflow.LetterStale, to *topic) {
	r.agreeRound(b.Round, to)
	r.present("data.reason", b.Reason)
}

func (r *reader) incomplete(b workflow.Incomplete, to *topic) {
	r.agreeRound(b.Round, to)
}

func (r *reader) claimed(b workflow.Claimed, _ *topic) {
	r.present("data.worker", b.Worker)
	r.mails("data.mails", b.Mails)
}

func (r *reader) quarantined(b workflow.Quarantined, to *topic) {
	r.agree("data.sequence", b.Sequence == to.number)
}

func (r *reader) rulesActivated(b workflow.RulesActivated, _ *topic) {
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
	for _, p := range b.LetterRequires {
		if !slices.Contains(workflow.LetterParts, p) {
			r.fail(workflow.CodeInvalid, "data.letter_requires", "want some of %q, got %s", workflow.LetterParts, quote(string(p)))
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

func (r *reader) settled(b workflow.Settled, _ *topic) {
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
			r.fail(workflow.CodeInvalid, field, "must be the id of an email, got %s", quote(string(id)))
			return
		}
	}
}

func (r *reader) agree(field string, same bool) {
	if !same {
		r.fail(workflow.CodeInvalid, field, "does not agree with the subject")
	}
}

// agreeRound checks that the round is the one that the subject names.
func (r *reader) agreeRound(round int, to *topic) {
	r.agree("data.round", round > 0 && uint64(round) == to.number)
}

func (r *reader) present(field, s string) {
	if s == "" {
		r.fail(workflow.CodeInvalid, field, "missing")
	}
}
