package main

import (
	"path/filepath"
	"testing"
)

func TestJudge(t *testing.T) {
	file := filepath.Join(t.TempDir(), "recorded.json")
	good := ratios{User: 1, All: 2}
	if err := judge(file, good, false); err == nil {
		t.Error("judged without a record")
	}
	if err := judge(file, good, true); err != nil {
		t.Fatal(err)
	}
	for r, passes := range map[ratios]bool{
		good: true, {User: 0.71, All: 1.21}: true, {User: 3, All: 9}: true,
		{User: 0.69, All: 2}: false, {User: 1, All: 1.19}: false, {User: 0.5, All: 1}: false,
	} {
		if err := judge(file, r, false); (err == nil) != passes {
			t.Errorf("%v: %v", r, err)
		}
	}
}

func TestCostKeep_BestOfEach(t *testing.T) {
	var best cost
	for _, c := range []cost{{spent{3, 9}, 1}, {spent{1, 8}, 9}, {spent{2, 7}, 2}} {
		best.keep(c)
	}
	if want := (cost{spent{1, 7}, 1}); best != want {
		t.Errorf("got %v", best)
	}
}
