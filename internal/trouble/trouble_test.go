package trouble_test

import (
	"testing"
	"time"

	"countersign/internal/trouble"
)

// TestLog_MentionsBeginChangesHoursAndEnd moves through the life of a trouble.
func TestLog_MentionsBeginChangesHoursAndEnd(t *testing.T) {
	rules := trouble.Rules{After: 5 * time.Second, Again: time.Hour, Flapping: time.Minute}
	start := time.Date(2026, 11, 24, 15, 0, 0, 0, time.UTC)
	var l trouble.Log
	for i, step := range []struct {
		at      time.Duration
		kind    string // "" for nothing wrong
		mention bool
	}{
		{0, "", false},
		{time.Second, "slow", false}, // too short
		{3 * time.Second, "", false},
		{4 * time.Minute, "slow", false},
		{4*time.Minute + 5*time.Second, "slow", true},
		{5 * time.Minute, "slow", false},
		{6 * time.Minute, "gone", false}, // the change is too short
		{6*time.Minute + 5*time.Second, "gone", true},
		{66 * time.Minute, "gone", false},
		{67 * time.Minute, "gone", true}, // an hour later
		{68 * time.Minute, "", true},
		{68*time.Minute + 10*time.Second, "gone", false}, // comes and goes
		{68*time.Minute + 20*time.Second, "gone", false},
		{68*time.Minute + 30*time.Second, "", false},
		{80 * time.Minute, "gone", false},
		{80*time.Minute + 5*time.Second, "gone", true}, // another trouble
	} {
		var got bool
		if now := start.Add(step.at); step.kind == "" {
			_, got = l.Right(now)
		} else {
			got = l.Wrong(step.kind, rules, now)
		}
		if got != step.mention {
			t.Errorf("step %d (%s at %s): mentioned %t, want %t", i, step.kind, step.at, got, step.mention)
		}
	}
	if began := l.Began(); !began.Equal(start.Add(80 * time.Minute)) {
		t.Errorf("it began at %s", began)
	}
	if began, _ := l.Right(start.Add(81 * time.Minute)); !began.Equal(start.Add(80*time.Minute)) || !l.Began().IsZero() {
		t.Errorf("it ended: began at %s, now %s", began, l.Began())
	}
}
