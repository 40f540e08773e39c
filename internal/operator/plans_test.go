package operator

import (
	"errors"
	"testing"

	"countersign/workflow"
)

const (
	account workflow.SID = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	px      workflow.SID = "PX000102030405060708090a0b0c0d0e0f"
)

func document(s workflow.Status, hold bool) workflow.Document {
	return workflow.Document{SID: px, AccountSID: account, Status: s, Hold: hold, Round: 2, Email: "owner@example.com"}
}

// ids are the ids of a plan's events.
func ids(p Plan) (list []string) {
	for _, e := range p.Events {
		list = append(list, e.ID)
	}
	return list
}

func TestPlan_SameStateGivesSameIDs(t *testing.T) {
	mail := func(state workflow.MailState, attempts int) []workflow.Mail {
		return []workflow.Mail{{Kind: workflow.MailSignature, Round: 2, State: state, Attempts: attempts}}
	}
	for name, c := range map[string]struct {
		plan func() (Plan, error)
		ids  []string
	}{
		"recall":           {func() (Plan, error) { return Recall(document(workflow.Signing, false)) }, []string{"recall." + string(px) + ".2"}},
		"recall, held":     {func() (Plan, error) { return Recall(document(workflow.Opened, true)) }, nil},
		"cancel":           {func() (Plan, error) { return Cancel(document(workflow.Signing, false), "why") }, []string{"cancel." + string(px) + ".2"}},
		"cancel, canceled": {func() (Plan, error) { return Cancel(document(workflow.Canceled, false), "why") }, nil},
		"resend": {
			func() (Plan, error) {
				return Resend(document(workflow.Signing, false), mail(workflow.MailAccepted, 3), nil)
			},
			[]string{"resend." + string(px) + ".2.1.3"},
		},
		"resend, held": {func() (Plan, error) { return Resend(document(workflow.Opened, true), nil, nil) }, []string{"send." + string(px) + ".2"}},
		"resend to the same address": {
			func() (Plan, error) { return Resend(document(workflow.Signing, false), nil, new("Owner@example.com")) }, nil,
		},
	} {
		p, err := c.plan()
		if err != nil || len(p.Events) != len(c.ids) || p.Say == "" {
			t.Errorf("%s: %q with %d events, %v", name, p.Say, len(p.Events), err)
			continue
		}
		for i, id := range ids(p) {
			if id != c.ids[i] {
				t.Errorf("%s: event %d has the id %s, want %s", name, i, id, c.ids[i])
			}
		}
	}
}

func TestResend_CorrectedAddressIsRecalledChangedAndSent(t *testing.T) {
	p, err := Resend(document(workflow.Signing, false), nil, new("other@example.com"))
	if err != nil || len(p.Events) != 3 {
		t.Fatalf("%d events, %v", len(p.Events), err)
	}
	again, err := Resend(document(workflow.Signing, false), nil, new("OTHER@example.com"))
	if err != nil || p.Events[0].ID != again.Events[0].ID {
		t.Errorf("the ids are %q and %q, %v", ids(p), ids(again), err)
	}
	sent, ok := p.Events[2].Body.(workflow.StatusChanged)
	if !ok || sent.Status != workflow.Signing || sent.Round != 3 {
		t.Errorf("the last event is %+v", p.Events[2].Body)
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	empty, err := Resend(document(workflow.Signing, false), nil, new(""))
	if err != nil || empty.Check() == nil {
		t.Errorf("an empty address is taken: %v, %v", empty, err)
	}
	bad, err := Resend(document(workflow.Signing, false), nil, new("nobody"))
	if p := (*workflow.Problem)(nil); err != nil || !errors.As(bad.Check(), &p) {
		t.Errorf("an address that is none: %v, %v", bad.Check(), err)
	}
}

func TestPlan_EndedDocumentsAreConflicts(t *testing.T) {
	signed := document(workflow.Signed, false)
	_, recall := Recall(signed)
	_, cancel := Cancel(signed, "why")
	_, resend := Resend(signed, nil, nil)
	for name, err := range map[string]error{"recall": recall, "cancel": cancel, "resend": resend} {
		if !errors.Is(err, workflow.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
