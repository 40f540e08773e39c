// Package results is what the programs below bench have measured, as files of JSON
// lines. Those beside this file are the ones of docs/performance.md: make figures
// writes them, and make plots draws them.
package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Run is one run of a system in the harness of the peers.
type Run struct {
	Mode   string  `json:"mode"`   // of bench-peers: throughput, latency, synced, delay, pool
	System string  `json:"system"` // countersign, naive, …
	Pool   int     `json:"pool"`   // connections to the mail server; 0 for a peer, which has its own
	Result Harness `json:"result"`
}

// Harness is what the harness prints of a run, as far as it is read here.
type Harness struct {
	Documents  int     `json:"n"`
	Exact      int     `json:"ok_docs"` // documents that got exactly their emails and events
	TimedOut   bool    `json:"timeout"`
	Rate       float64 `json:"docs_per_s"`
	ServiceCPU float64 `json:"sut_cpu_s_per_1k"`  // seconds for 1,000 documents
	BrokerCPU  float64 `json:"nats_cpu_s_per_1k"` // the same
	Delay      int     `json:"smtp_delay_ms"`
	Load       string  `json:"loadavg"`
	// Memory is the most that each program of the service held, in MB.
	Memory  map[string]int `json:"sut_peak_rss_mb"`
	Latency struct {
		Signature50 float64 `json:"sig_p50"` // milliseconds, as the others
		Signature99 float64 `json:"sig_p99"`
		Emails50    float64 `json:"mail_p50"`
		Emails99    float64 `json:"mail_p99"`
		Orders50    float64 `json:"orders_p50"`
		Orders99    float64 `json:"orders_p99"`
	} `json:"lat_ms"`
}

// Figure is one figure of a Go benchmark.
type Figure struct {
	Name  string  `json:"name"` // of the benchmark, without Benchmark and the number of cores
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
	Ratio float64 `json:"ratio"` // to the calibration loop of the same run
}

// Read reads a file of JSON lines. It fails if the file is missing or a line is not
// a T.
func Read[T any](file string) ([]T, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out []T
	for dec := json.NewDecoder(bytes.NewReader(data)); ; {
		var v T
		switch err := dec.Decode(&v); {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, v)
	}
}

// Write writes a file of JSON lines, in place of an older one.
func Write[T any](file string, all []T) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	for _, v := range all {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}

// Median is the median; 0 of no values.
func Median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Of returns a figure of every run of a system in a mode.
func Of(runs []Run, mode, system string, figure func(Harness) float64) []float64 {
	var out []float64
	for _, r := range runs {
		if r.Mode == mode && r.System == system {
			out = append(out, figure(r.Result))
		}
	}
	return out
}

// Point is a point of a line.
type Point struct{ X, Y float64 }

// Pool is how many emails a second countersign sends to a relay that takes Delay
// milliseconds for one, by connections.
type Pool struct {
	Delay  int
	Points []Point
}

// Pools are the medians of the mode pool, ordered.
func Pools(runs []Run) []Pool {
	all := map[int]map[int][]float64{}
	for _, r := range runs {
		if r.Mode != "pool" {
			continue
		}
		if all[r.Result.Delay] == nil {
			all[r.Result.Delay] = map[int][]float64{}
		}
		all[r.Result.Delay][r.Pool] = append(all[r.Result.Delay][r.Pool], 6*r.Result.Rate)
	}
	var out []Pool
	for _, delay := range slices.Sorted(maps.Keys(all)) {
		p := Pool{Delay: delay}
		for _, c := range slices.Sorted(maps.Keys(all[delay])) {
			p.Points = append(p.Points, Point{float64(c), Median(all[delay][c])})
		}
		out = append(out, p)
	}
	return out
}
