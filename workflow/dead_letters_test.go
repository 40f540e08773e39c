package workflow_test

import (
	"testing"

	"countersign/workflow"
)

func TestEntryCloses(t *testing.T) {
	for name, test := range map[string]struct {
		entry    workflow.Entry
		sequence uint64
		reason   string
	}{
		"an ordinary event":                                     {workflow.Entry{Sequence: 5}, 0, ""},
		"one that is sent in its place":                         {workflow.Entry{Sequence: 5, Redrives: 3}, 3, ""},
		"one that names itself":                                 {workflow.Entry{Sequence: 5, Redrives: 5}, 0, ""},
		"one that names a later entry":                          {workflow.Entry{Sequence: 5, Redrives: 9}, 0, ""},
		"one that discards it":                                  {workflow.Entry{Sequence: 5, Body: workflow.Discarded{Sequence: 3, Reason: "why"}}, 3, "why"},
		"one that discards another than it is sent in place of": {workflow.Entry{Sequence: 5, Redrives: 2, Body: workflow.Discarded{Sequence: 3}}, 3, ""},
	} {
		if sequence, reason := test.entry.Closes(); sequence != test.sequence || reason != test.reason {
			t.Errorf("%s closes %d, %q; want %d, %q", name, sequence, reason, test.sequence, test.reason)
		}
	}
}

func TestEntryMayClose(t *testing.T) {
	const other = "ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	for name, test := range map[string]struct {
		entry workflow.Entry
		of    workflow.SID
		want  bool
	}{
		"its account":                        {workflow.Entry{Account: account}, account, true},
		"another account":                    {workflow.Entry{Account: other}, account, false},
		"any account, if none is named":      {workflow.Entry{Account: other}, "", true},
		"an event without an account":        {workflow.Entry{}, account, true},
		"an operator, through any account's": {workflow.Entry{Account: other, Body: workflow.Discarded{}}, account, true},
	} {
		if got := test.entry.MayClose(test.of); got != test.want {
			t.Errorf("%s may close it: %v, want %v", name, got, test.want)
		}
	}
}
