package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// share of the recorded ratio that a run must reach.
const share = 0.7

// recorded is what the file has.
type recorded struct {
	CPU float64 `json:"cpu"` // the naive loop's CPU time divided by countersign's, for the same documents
}

// keep keeps the lower figures of two runs. The zero cost is no run.
func (c *cost) keep(other cost) {
	lower := func(a, b time.Duration) time.Duration {
		if a == 0 {
			return b
		}
		return min(a, b)
	}
	c.cpu, c.wall = lower(c.cpu, other.cpu), lower(c.wall, other.wall)
}

// ratios are the naive loop's figures divided by countersign's: higher is better.
type ratios struct{ cpu, wall float64 }

func ratio(ours, theirs cost) ratios {
	return ratios{theirs.cpu.Seconds() / ours.cpu.Seconds(), theirs.wall.Seconds() / ours.wall.Seconds()}
}

// judge compares with the recorded ratio, or records one.
func judge(file string, r ratios, record bool) error {
	fmt.Printf("naive loop / countersign, best of each: CPU %.3f, time %.3f\n", r.cpu, r.wall)
	if record {
		return os.WriteFile(file, fmt.Appendf(nil, "{\"cpu\": %.3f}\n", r.cpu), 0o644)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var old recorded
	if err := json.Unmarshal(data, &old); err != nil || old.CPU <= 0 {
		return fmt.Errorf("%s must have a ratio above 0 as cpu (%v); write it with make bench-record", file, err)
	}
	if r.cpu < share*old.CPU {
		return fmt.Errorf("countersign is slower than recorded: the CPU ratio is %.3f and must be at least %.3f (%.1f of %.3f in %s); find what made it slower, or, if it must be so, write a new ratio with make bench-record",
			r.cpu, share*old.CPU, share, old.CPU, file)
	}
	fmt.Printf("at least %.3f is required (%.1f of the recorded %.3f): passed\n", share*old.CPU, share, old.CPU)
	return nil
}
