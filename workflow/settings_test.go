package workflow_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/workflow"
)

func TestSettingsActivate(t *testing.T) {
	known := workflow.RulesVersion()
	limits := workflow.MailLimits{PerDay: 3}
	before := workflow.Settings{
		Rules: known, ParkingLimit: time.Hour, Timers: workflow.Timers{ExpireAfter: 60}, MailLimits: limits, NotifyCC: workflow.Notices,
	}
	for name, test := range map[string]struct {
		event workflow.RulesActivated
		want  workflow.Settings
		err   error
	}{
		"an older version does not undo a newer one": {
			workflow.RulesActivated{Version: 0, ParkingLimitSeconds: 60}, workflow.Settings{Rules: known, ParkingLimit: time.Minute}, nil,
		},
		"what the event leaves out is off": {
			workflow.RulesActivated{Version: known, ParkingLimitSeconds: 60, MailLimits: &limits},
			workflow.Settings{Rules: known, ParkingLimit: time.Minute, MailLimits: limits},
			nil,
		},
		"an unknown version fails and changes nothing": {
			workflow.RulesActivated{Version: known + 1, ParkingLimitSeconds: 60}, before, workflow.ErrUnavailable,
		},
		"its own event changes nothing": {before.InForce(), before, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := before.Activate(test.event)
			if !errors.Is(err, test.err) {
				t.Errorf("the error is %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDecide_ErasureLeavesOnlyItsSequence erases a document twice, with mails,
// timers and parked events.
func TestDecide_ErasureLeavesOnlyItsSequence(t *testing.T) {
	d := newDesk(t)
	d.do(workflow.StatusChanged{Status: workflow.Canceled}) // is parked
	for _, b := range []workflow.Body{workflow.Erased{DocumentSID: document, Status: workflow.Canceled}, workflow.Erased{DocumentSID: document}} {
		got := d.do(b)
		want := workflow.State{Document: workflow.Document{SID: document}, Erased: d.seq}
		if diff := cmp.Diff(want, got.State); diff != "" {
			t.Errorf("state (-want +got):\n%s", diff)
		}
		if got.Unchanged || len(got.Verdicts) != 1 || got.Verdicts[0].Result != workflow.ResultApplied || len(got.Notes) != 1 || len(got.Pending) != 0 {
			t.Errorf("an erasure is answered with %+v", got)
		}
	}
	last := d.seq
	if got := d.do(created()); got.Verdicts[0].Problem == nil || got.Verdicts[0].Problem.Code != workflow.CodeErased || got.State.Erased != last {
		t.Errorf("an event after the erasure is answered with %+v", got)
	}
}

func TestErasedHolds(t *testing.T) {
	orders := []workflow.SID{order1, order2}
	for status, want := range map[workflow.Status][]workflow.SID{workflow.Signed: orders, workflow.Canceled: nil, workflow.Failed: nil} {
		if diff := cmp.Diff(want, workflow.Erased{Status: status, OrderSIDs: orders}.Holds()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", status, diff)
		}
	}
}
