package workflow_test

import (
	"slices"
	"testing"

	"countersign/workflow"
)

func TestKinds_RowsAgreeWithThemselves(t *testing.T) {
	types, subjects := map[string]bool{}, map[string]bool{}
	for _, k := range workflow.Kinds() {
		if k.Type == "" || types[k.Type] || workflow.KindOf(k.Type) != k {
			t.Errorf("%s: the type must be the row's alone", k.Type)
		}
		types[k.Type] = true
		if len(k.Subjects) == 0 || len(k.Writers) == 0 {
			t.Errorf("%s: subjects %q, writers %q", k.Type, k.Subjects, k.Writers)
		}
		for _, s := range k.Subjects {
			if subjects[s] {
				t.Errorf("%s: another kind is on the subject %s", k.Type, s)
			}
			subjects[s] = true
		}
		if k.Owed && !k.Once {
			t.Errorf("%s: an owed event is on the log once", k.Type)
		}
		if own := slices.Contains(k.Writers, workflow.WriterCountersign); own == k.Upstream() || own && len(k.Writers) > 1 {
			t.Errorf("%s: writers %q; want Countersign alone, or upstream and doors", k.Type, k.Writers)
		}
	}
}

func TestDecodeBody_EveryKindHasItsOwnBody(t *testing.T) {
	for _, k := range workflow.Kinds() {
		if b, err := workflow.DecodeBody(k.Type, []byte(`{}`)); err != nil || b.Type() != k.Type {
			t.Errorf("%s: %T, %v", k.Type, b, err)
		}
		if _, err := workflow.DecodeBody(k.Type, []byte(`[]`)); err == nil {
			t.Errorf("%s: a list was taken", k.Type)
		}
	}
	if _, err := workflow.DecodeBody("mail.lost", []byte(`{}`)); err == nil {
		t.Error("an unknown type was taken")
	}
}
