package countersign_test

import (
	"time"

	"countersign/internal/eventlog"
	"countersign/workflow"
)

// timers has documents reminded and expire, and letters get too old: with the
// settings' timers and with their own, in time, late and too early.
func (r *recorder) timers() {
	const day = int64(24 * 60 * 60)
	hours := func(n int) {
		r.now = r.now.Add(time.Duration(n) * time.Hour)
		r.settle()
	}
	r.stand(1, workflow.Signing) // before there are timers
	r.event(eventlog.RulesActivated("rules-1", r.now, workflow.RulesActivated{
		Version: 1, ParkingLimitSeconds: 3600, NotifyCC: workflow.Notices,
		Timers: &workflow.Timers{RemindAfter: 3 * day, RemindEvery: 3 * day, RemindMost: 4, ExpireAfter: 30 * day, FreshFor: 30 * day},
	}))
	for n, s := range workflow.Statuses {
		r.stand(10+n, s)
	}
	own := r.content(20)
	own.Timers = &workflow.OwnTimers{RemindAfter: new(day), RemindMost: new(1), ExpireAfter: new(2 * day), FreshFor: new(int64(0))}
	r.says(20, own)
	r.stand(21, workflow.Signing)
	r.stand(22, workflow.Signing)
	r.settle()
	r.timer(22, "reminder-1", 1) // too early
	r.timer(22, "expiry", 1)
	hours(24)
	r.status(21, workflow.Opened) // recalled, changed, and sent again
	r.says(21, workflow.Updated{Timers: &workflow.OwnTimers{RemindMost: new(0)}})
	r.status(21, workflow.Signing)
	r.settle()
	hours(10 * 24) // several reminders are missed
	r.stand(30, workflow.Signed)
	r.stand(31, workflow.Signed)
	r.stand(32, workflow.Signed)
	complete := func(n int) {
		r.says(n, workflow.OrderStatusChanged{Order: goldenHR(n), Status: workflow.OrderCompleted})
	}
	complete(30)
	complete(31)
	r.says(31, workflow.OrderStatusChanged{Order: goldenHR(31), Status: workflow.OrderActionRequired})
	r.says(32, workflow.OrderStatusChanged{Order: goldenHR(32), Status: workflow.OrderFailed, LetterTooOld: true})
	hours(24)
	for range 30 {
		hours(24)
	}
	r.says(30, workflow.OrderStatusChanged{Order: goldenHR(30), Status: workflow.OrderFailed})
	hours(24 * 40)
	r.event(eventlog.RulesActivated("rules-2", r.now, workflow.RulesActivated{Version: 1, ParkingLimitSeconds: 3600}))
	r.stand(40, workflow.Canceled)
}
