package sim

import (
	"strings"
	"testing"
)

// TestBreakage_EachIsNoticed takes one mechanism out at a time: the same simulation has to
// notice, or it would not notice its loss either.
func TestBreakage_EachIsNoticed(t *testing.T) {
	for _, c := range []struct {
		name   string
		broken breakage
		by     string // the invariant that has to notice; empty for any
	}{
		{"no inbox", noInbox, ""},
		{"claims without compare-and-set", noClaimCheck, ""},
		{"owed events without an expected sequence", noOwedCheck, ""},
		{"position apart from the state", positionApart, ""},
		{"no guard", noGuard, ""},
		{"a foreign entry passes for the event", noPlaceCheck, ""},
		{"a taken message id passes for the event", noIDCheck, ""},
		{"emails to one recipient without an order", noMailOrder, "I4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := uint64(1); seed <= 200; seed++ {
				if w := runSeed(t, seed, c.broken); w.wrong != nil {
					t.Logf("noticed at seed %d: %.300v", seed, w.wrong)
					if !strings.HasPrefix(w.wrong.Error(), c.by) {
						t.Errorf("another invariant than %s has noticed", c.by)
					}
					return
				}
			}
			t.Error("nothing has noticed in 200 schedules")
		})
	}
}
