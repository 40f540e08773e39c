package workflow

import (
	"fmt"
	"reflect"
	"time"
)

// Timers says when the signer of a letter is reminded, when the letter expires
// unsigned, and how long a signed one stays fresh. Times are in seconds; 0 is
// never.
type Timers struct {
	RemindAfter int64 `json:"remind_after_seconds,omitempty"` // from the moment the letter is sent to the first reminder
	RemindEvery int64 `json:"remind_every_seconds,omitempty"` // from each reminder to the next; 0 for no second one
	RemindMost  int   `json:"remind_at_most,omitempty"`       // reminders of a round
	ExpireAfter int64 `json:"expire_after_seconds,omitempty"` // from the moment the letter is sent; then the document fails
	FreshFor    int64 `json:"fresh_for_seconds,omitempty"`    // from the signature on; then the letter is too old for orders that are not completed
}

// OwnTimers replace the timers of the settings in force for one document. A
// field that is left out keeps the value of the settings; 0 is never.
type OwnTimers struct {
	RemindAfter *int64 `json:"remind_after_seconds,omitempty"` // from the moment the letter is sent to the first reminder
	RemindEvery *int64 `json:"remind_every_seconds,omitempty"` // from each reminder to the next; 0 for no second one
	RemindMost  *int   `json:"remind_at_most,omitempty"`       // reminders of a round
	ExpireAfter *int64 `json:"expire_after_seconds,omitempty"` // from the moment the letter is sent; then the document fails
	FreshFor    *int64 `json:"fresh_for_seconds,omitempty"`    // from the signature on; then the letter is too old for orders that are not completed
}

// With returns t with the values that own replaces. own may be nil.
func (t Timers) With(own *OwnTimers) Timers {
	if own != nil {
		set(&t.RemindAfter, own.RemindAfter)
		set(&t.RemindEvery, own.RemindEvery)
		set(&t.RemindMost, own.RemindMost)
		set(&t.ExpireAfter, own.ExpireAfter)
		set(&t.FreshFor, own.FreshFor)
	}
	return t
}

// orNil returns nil if no field is set.
func (o *OwnTimers) orNil() *OwnTimers {
	if o == nil || *o == (OwnTimers{}) {
		return nil
	}
	return o
}

// same reports whether two documents' own timers are equal.
func (o *OwnTimers) same(other *OwnTimers) bool {
	return reflect.DeepEqual(o.orNil(), other.orNil())
}

// Settings are the settings that the rules decide by, as they are on the log.
// An entry is decided by the settings of the last RulesActivated before it.
type Settings struct {
	Rules        int           // version of the rules; 0 means the first
	ParkingLimit time.Duration // how long an event may stay parked
	Timers       Timers        // for documents without their own
	MailLimits   MailLimits    // how often a document may ask its signer
	NotifyCC     []Status      // those of Notices about which cc is told
	Requires     []LetterPart  // what a letter must name before it is sent
}

// Activate returns the settings after b. It fails with ErrUnavailable if b
// activates a version of the rules that this program does not know: then the
// follower of the log must stop before that entry.
func (s Settings) Activate(b RulesActivated) (Settings, error) {
	if b.Version > RulesVersion() {
		return s, fmt.Errorf("%w: rules version %d is in force from here on, and this program knows version %d; start a newer one",
			ErrUnavailable, b.Version, RulesVersion())
	}
	next := Settings{
		Rules:        max(s.Rules, b.Version), // a worker that has not read about a newer version does not undo it
		ParkingLimit: Seconds(b.ParkingLimitSeconds), NotifyCC: b.NotifyCC, Requires: b.LetterRequires,
	}
	if b.Timers != nil {
		next.Timers = *b.Timers
	}
	if b.MailLimits != nil {
		next.MailLimits = *b.MailLimits
	}
	return next, nil
}

// InForce returns the event that activates the settings.
func (s Settings) InForce() RulesActivated {
	b := RulesActivated{Version: s.Rules, ParkingLimitSeconds: int64(s.ParkingLimit / time.Second), NotifyCC: s.NotifyCC, LetterRequires: s.Requires}
	if s.Timers != (Timers{}) {
		b.Timers = &s.Timers
	}
	if s.MailLimits != (MailLimits{}) {
		b.MailLimits = &s.MailLimits
	}
	return b
}

// Seconds converts a number of seconds of the contract to a duration.
func Seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// Notices lists the statuses about which cc can be told, besides signing and
// signed.
var Notices = []Status{Canceled, Failed}
