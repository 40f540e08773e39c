package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// ratios are the naive loop's figures divided by countersign's, for the same documents:
// higher is better. The file has those of a run that was good enough.
type ratios struct {
	User float64 `json:"user"` // CPU time in the program
	All  float64 `json:"all"`  // CPU time, with the kernel's
	wall float64
}

// A run must reach these shares of the recorded ratios. The time in the program varies
// by a twentieth on a busy machine. If everything takes half as much again, the ratio
// is 0.60 to 0.64 of what it was. The kernel's
// time varies by a quarter, as it depends on who else wants disk and processor; its
// limit is there for work that moves into system calls.
const (
	shareUser = 0.7
	shareAll  = 0.6
)

// keep keeps the lower figures of two runs. The zero cost is no run.
func (c *cost) keep(other cost) {
	lower := func(to *time.Duration, d time.Duration) {
		if *to == 0 || d < *to {
			*to = d
		}
	}
	lower(&c.user, other.user)
	lower(&c.all, other.all)
	lower(&c.wall, other.wall)
}

func ratio(ours, theirs cost) ratios {
	of := func(theirs, ours time.Duration) float64 { return theirs.Seconds() / ours.Seconds() }
	return ratios{of(theirs.user, ours.user), of(theirs.all, ours.all), of(theirs.wall, ours.wall)}
}

// judge compares with the recorded ratios, or records new ones. Without a file it only
// prints.
func judge(file string, r ratios, record bool) error {
	fmt.Printf("naive loop / countersign, best of each: CPU in the program %.3f, all CPU %.3f, time %.3f\n", r.User, r.All, r.wall)
	if file == "" {
		return nil
	}
	if record {
		return os.WriteFile(file, fmt.Appendf(nil, "{\"user\": %.3f, \"all\": %.3f}\n", r.User, r.All), 0o644)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var old ratios
	if err := json.Unmarshal(data, &old); err != nil || old.User <= 0 || old.All <= 0 {
		return fmt.Errorf("%s must have ratios above 0 as user and all (%v); write it with make bench-record", file, err)
	}
	for _, c := range []struct {
		what             string
		got, share, from float64
	}{{"CPU in the program", r.User, shareUser, old.User}, {"all CPU", r.All, shareAll, old.All}} {
		if c.got < c.share*c.from {
			return fmt.Errorf("whole lives cost more than they may: the ratio of %s is %.3f and must be at least %.3f, which is %.2f of the %.3f in %s; find what made countersign slower (-profile helps), or, if it must be so, write new ratios with make bench-record",
				c.what, c.got, c.share*c.from, c.share, c.from, file)
		}
		fmt.Printf("%s: at least %.3f is required: passed\n", c.what, c.share*c.from)
	}
	return nil
}
