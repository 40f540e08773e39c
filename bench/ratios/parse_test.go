package main

import (
	"slices"
	"testing"

	"countersign/bench/results"
)

func TestParse_MediansOfUnits(t *testing.T) {
	got := parse(`goos: linux
BenchmarkWrite/signature/pieces-2   	    5000	     30 ns/op	      20.5 cpu-ns/op	      35 allocs/op
BenchmarkWrite/signature/pieces-2   	    5000	     10 ns/op	      10.5 cpu-ns/op	      35 allocs/op
BenchmarkWrite/signature/pieces-2   	    5000	     20 ns/op	      99.5 cpu-ns/op	      35 allocs/op
BenchmarkFollow   	       1	 422279835 ns/op	     47362 events/s
PASS
`, []string{"cpu-ns/op", "events/s"})
	want := []results.Figure{{Name: "Write/signature/pieces", Unit: "cpu-ns/op", Value: 20.5}, {Name: "Follow", Unit: "events/s", Value: 47362}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestRatio(t *testing.T) {
	const loop = 0.010
	for f, want := range map[results.Figure]float64{
		{Unit: "cpu-ns/op", Value: 5_000_000}: 0.5,
		{Unit: "cpu-µs/entry", Value: 20_000}: 2,
		{Unit: "entries/s", Value: 300}:       3,
		{Unit: "allocs/op", Value: 7}:         0,
	} {
		if got := ratio(f, loop); got < want*0.999 || got > want*1.001 {
			t.Errorf("%v: %v, must be %v", f, got, want)
		}
	}
}
