// Command ratios runs the Go benchmarks that matter, and prints each figure with its
// ratio to a calibration loop of the same run: the ratio says the same on another
// machine, and an hour later, as far as anything does.
//
//	go run ./bench/ratios   # make bench
//
// The figures go to a file. For a single benchmark, go test -bench is quicker.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"countersign/bench/results"
)

// suite is one call of go test, and which units of what it prints are shown.
type suite struct {
	pkg, bench, time string
	units            []string
}

var suites = []suite{
	{"./events", "^BenchmarkDecode$", "20000x", []string{"ns/op", "allocs/op"}},
	{"./db", "^BenchmarkApply$/^(created|lives)$", "2x", []string{"cpu-µs/entry", "entries/s"}},
	{"./db", "^BenchmarkApply_Growth$", "5x", []string{"cpu-µs/entry"}},
	{"./internal/mail", "^BenchmarkWrite$/^.*$/^pieces$", "5000x", []string{"cpu-ns/op", "allocs/op"}},
	{"./internal/mail", "^BenchmarkPoolSend_Latency$", "2x", []string{"emails/s", "of-C/L", "of-bare"}},
	{"./internal/eventlog", "^BenchmarkFollow$", "1x", []string{"events/s"}},
	{"./bench", "^BenchmarkAPI", "500x", []string{"p50-us", "p99-us"}},
}

func main() {
	out := flag.String("out", "bin/bench.jsonl", "file for the figures; make plots draws those of bench/results/go.jsonl")
	count := flag.Int("count", 3, "runs of each benchmark; the median counts")
	only := flag.String("only", "", "run only the benchmarks of packages or names with this text in them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *out, *only, *count); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, only string, count int) error {
	fmt.Printf("%-55s %10s  %-13s %s\n", "benchmark", "figure", "unit", "of calibration")
	var all []results.Figure
	for _, s := range suites {
		if !strings.Contains(s.pkg+" "+s.bench, only) {
			continue
		}
		figures, err := s.run(ctx, count)
		if err != nil {
			return err
		}
		for _, f := range figures {
			ratio := "–"
			if f.Ratio > 0 {
				ratio = fmt.Sprintf("%.4g", f.Ratio)
			}
			fmt.Printf("%-55s %10.4g  %-13s %s\n", f.Name, f.Value, f.Unit, ratio)
		}
		all = append(all, figures...)
	}
	fmt.Printf("one calibration loop: %.1f ms of CPU, best before and after each benchmark; a rate is multiplied by it, a time divided\n", quickest.Seconds()*1000)
	if only != "" {
		return nil // the file has a whole run
	}
	return results.Write(out, all)
}

// run runs the suite between two calibrations.
func (s suite) run(ctx context.Context, count int) ([]results.Figure, error) {
	before := calibrate()
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", s.bench, "-benchtime", s.time, "-benchmem", "-count", fmt.Sprint(count), "-timeout", "60m", s.pkg)
	if os.Getenv("BENCH_DOCUMENTS") == "" {
		cmd.Env = append(os.Environ(), "BENCH_DOCUMENTS=20000") // a million takes a quarter of an hour
	}
	printed, err := cmd.CombinedOutput()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err), errors.New(string(printed)))
	}
	loop := min(before, calibrate()).Seconds()
	figures := parse(string(printed), s.units)
	if len(figures) == 0 {
		return nil, fmt.Errorf("%s printed no figure in %s:\n%s", strings.Join(cmd.Args, " "), strings.Join(s.units, ", "), printed)
	}
	for i := range figures {
		figures[i].Ratio = ratio(figures[i], loop)
	}
	return figures, nil
}

// seconds is the length of the units that are times.
var seconds = map[string]float64{"ns/op": 1e-9, "cpu-ns/op": 1e-9, "cpu-µs/entry": 1e-6, "p50-us": 1e-6, "p99-us": 1e-6}

// ratio is a time in calibration loops, or how many there are in a calibration loop; 0
// for what is neither a time nor a rate.
func ratio(f results.Figure, loop float64) float64 {
	if unit, ok := seconds[f.Unit]; ok {
		return f.Value * unit / loop
	}
	if strings.HasSuffix(f.Unit, "/s") {
		return f.Value * loop
	}
	return 0
}

// parse reads the medians of some units from what go test printed, in its order.
func parse(printed string, units []string) []results.Figure {
	type key struct{ name, unit string }
	values, order := map[key][]float64{}, []key{}
	for line := range strings.Lines(printed) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			if _, err := strconv.Atoi(name[i+1:]); err == nil {
				name = name[:i] // of the number of cores
			}
		}
		for i := 2; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				continue
			}
			k := key{name, fields[i+1]}
			if values[k] == nil {
				order = append(order, k)
			}
			values[k] = append(values[k], v)
		}
	}
	var out []results.Figure
	for _, unit := range units {
		for _, k := range order {
			if k.unit == unit {
				out = append(out, results.Figure{Name: k.name, Unit: unit, Value: results.Median(values[k])})
			}
		}
	}
	return out
}
