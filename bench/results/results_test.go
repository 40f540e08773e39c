package results

import (
	"path/filepath"
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	for want, of := range map[float64][]float64{0: nil, 3: {3}, 2: {3, 1}, 5: {9, 1, 5}} {
		if got := Median(of); got != want {
			t.Errorf("%v: %v, must be %v", of, got, want)
		}
	}
}

func TestPools_MediansOfRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "runs.jsonl")
	var runs []Run
	for _, rate := range []float64{10, 30, 20} {
		runs = append(runs, Run{Mode: "pool", System: "countersign", Pool: 8, Result: Harness{Rate: rate, Delay: 10}})
	}
	if err := Write(file, append(runs, Run{Mode: "delay"})); err != nil {
		t.Fatal(err)
	}
	read, err := Read[Run](file)
	if err != nil || len(read) != 4 {
		t.Fatalf("read %d, %v", len(read), err)
	}
	if got := Pools(read); len(got) != 1 || got[0].Delay != 10 || !slices.Equal(got[0].Points, []Point{{8, 120}}) {
		t.Errorf("got %v", got)
	}
}
