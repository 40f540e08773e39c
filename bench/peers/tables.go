package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"countersign/bench/results"
)

// row is a line of the table of targets.
type row struct {
	what, mode, peer string
	figure           func(results.Harness) float64
	target           string
}

func rate(h results.Harness) float64    { return h.Rate }
func service(h results.Harness) float64 { return h.ServiceCPU }
func broker(h results.Harness) float64  { return h.BrokerCPU }

var rows = []row{
	{"CPU of the service", "throughput", "naive", service, "≤ 0.40"},
	{"CPU of the broker", "throughput", "naive", broker, "≤ 1.2"},
	{"life cycles/s", "throughput", "naive", rate, "≥ 1.5"},
	{"CPU of the service", "throughput", "naive-plain", service, "≤ 0.55"},
	{"CPU of the service", "throughput", "watermill", service, ""},
	{"life cycles/s", "throughput", "watermill", rate, ""},
	{"CPU a document at 5/s", "latency", "naive", service, "≤ 1.5"},
	{"signature email p50", "latency", "naive", func(h results.Harness) float64 { return h.Latency.Signature50 }, "≤ 1.2"},
	{"signature email p99", "latency", "naive", func(h results.Harness) float64 { return h.Latency.Signature99 }, "≤ 1.3"},
	{"all emails p50", "latency", "naive", func(h results.Harness) float64 { return h.Latency.Emails50 }, "≤ 1.3"},
	{"all emails p99", "latency", "naive", func(h results.Harness) float64 { return h.Latency.Emails99 }, "≤ 1.5"},
	{"registers p50", "latency", "naive", func(h results.Harness) float64 { return h.Latency.Orders50 }, "≤ 1.0"},
	{"registers p99", "latency", "naive", func(h results.Harness) float64 { return h.Latency.Orders99 }, ""},
	{"broker synced, life cycles/s", "synced", "naive", rate, "≥ 1.4"},
	{"broker synced, CPU of the service", "synced", "naive", service, ""},
	{"relay of 10 ms, life cycles/s", "delay", "naive", rate, ""},
}

// tables prints the table of targets, as ratios of medians, and what each connection
// of a pool brings.
func tables(w io.Writer, file string) error {
	runs, err := results.Read[results.Run](file)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "| what | against | countersign, median (lowest to highest) | peer | ratio | target |\n| --- | --- | --- | --- | --- | --- |")
	for _, r := range rows {
		mine, theirs := results.Of(runs, r.mode, ours, r.figure), results.Of(runs, r.mode, r.peer, r.figure)
		if len(mine) == 0 || len(theirs) == 0 {
			continue // not measured this time
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %.2f | %s |\n", r.what, r.peer, spread(mine), spread(theirs), results.Median(mine)/results.Median(theirs), r.target)
	}
	if delayed := results.Of(runs, "delay", ours, rate); len(delayed) > 0 {
		fmt.Fprintf(w, "| relay of 10 ms, share of C/L emails/s | – | %s |  | %.2f | ≥ 0.9 |\n", spread(delayed), results.Median(delayed)*6*0.010/defaultPool)
	}
	pools(w, runs)
	return nil
}

func spread(v []float64) string {
	return fmt.Sprintf("%.3g (%.3g to %.3g)", results.Median(v), slices.Min(v), slices.Max(v))
}

// pools prints countersign's documents a second for each size of the pool.
func pools(w io.Writer, runs []results.Run) {
	byDelay := results.Pools(runs)
	if len(byDelay) == 0 {
		return
	}
	fmt.Fprintln(w, "\nemails/s, by connections and by the relay's time for an email (share of C/L):")
	for _, line := range byDelay {
		var cells []string
		for _, p := range line.Points {
			cell := fmt.Sprintf("%d: %.0f", int(p.X), p.Y)
			if line.Delay > 0 {
				cell += fmt.Sprintf(" (%.2f)", p.Y*float64(line.Delay)/1000/p.X)
			}
			cells = append(cells, cell)
		}
		fmt.Fprintf(w, "%3d ms  %s\n", line.Delay, strings.Join(cells, ", "))
	}
}
