package workflow_test

import (
	"fmt"
	"testing"
	"time"

	"countersign/workflow"
)

func TestDecide_ParkedEventsOfADocumentAreBounded(t *testing.T) {
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	facts := workflow.Facts{Settings: workflow.Settings{ParkingLimit: time.Hour}}
	var s workflow.State
	seq := uint64(0)
	say := func(account workflow.SID, b workflow.Body) workflow.Decision {
		seq++
		d := workflow.Decide(s, workflow.Entry{
			Sequence: seq, Time: at, Account: account, Document: "PX00000000000000000000000000000001", ID: fmt.Sprint(seq), Source: "/x", Body: b,
		}, facts)
		s = d.State
		return d
	}
	const stranger, owner = workflow.SID("ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"), workflow.SID("ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	for n := range 3 * workflow.MaxParked {
		v := say(stranger, workflow.StatusChanged{Status: workflow.Signed}).Verdicts[0]
		if parks := n < workflow.MaxParked; parks != (v.Result == workflow.ResultParked) {
			t.Fatalf("event %d: %s", n, v.Result)
		} else if !parks && (v.Problem.Code != workflow.CodeParkedTooMany || v.Result != workflow.ResultDeadLetter) {
			t.Fatalf("event %d: %s, %+v", n, v.Result, v.Problem)
		}
	}
	if n := len(s.Parked); n != workflow.MaxParked {
		t.Errorf("%d events wait, want %d", n, workflow.MaxParked)
	}
	if v := say(owner, workflow.StatusChanged{Status: workflow.Canceled}).Verdicts[0]; v.Result != workflow.ResultParked {
		t.Errorf("another account's events take the owner's place: %s", v.Result)
	}
	created := workflow.Created{AddressSID: "AD00000000000000000000000000000000", Email: "owner@example.com"}
	if say(owner, created); s.Document.Status != workflow.Canceled || len(s.Parked) != 0 {
		t.Errorf("the document is %s, and %d events wait", s.Document.Status, len(s.Parked))
	}
}
