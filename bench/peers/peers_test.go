package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"countersign/bench/results"
)

func TestMeasure_SaysWhatIsMissing(t *testing.T) {
	err := measure(t.Context(), options{bench: filepath.Join(t.TempDir(), "nothing")})
	if err == nil || !strings.Contains(err.Error(), "make bench-peers BENCH=folder") {
		t.Errorf("got %v", err)
	}
}

func TestTables_RatiosOfMedians(t *testing.T) {
	file := filepath.Join(t.TempDir(), "runs.jsonl")
	var runs []results.Run
	for _, of := range []struct {
		system string
		cpu    float64
	}{{ours, 1}, {ours, 9}, {ours, 2}, {"naive", 4}, {"naive", 5}, {"naive", 100}} {
		runs = append(runs, results.Run{Mode: "throughput", System: of.system, Result: results.Harness{ServiceCPU: of.cpu, BrokerCPU: 1, Rate: 1}})
	}
	runs = append(runs, results.Run{Mode: "pool", System: ours, Pool: 8, Result: results.Harness{Rate: 100, Delay: 10}})
	if err := results.Write(file, runs); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := tables(&out, file); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| CPU of the service | naive | 2 (1 to 9) | 5 (4 to 100) | 0.40 | ≤ 0.40 |", "10 ms  8: 600 (0.75)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, &out)
		}
	}
}

func TestJobsOf_ModesAndSystems(t *testing.T) {
	o := options{systems: []string{ours, "naive"}, n: 1000}
	for mode, want := range map[string]int{"throughput": 2, "latency": 2, "synced": 2, "delay": 2, "pool": 15, "backlog": 1, "other": 0} {
		jobs, err := jobsOf(mode, o)
		if len(jobs) != want || (err != nil) != (want == 0) {
			t.Errorf("%s: %d jobs, %v", mode, len(jobs), err)
		}
	}
	if _, err := jobsOf("throughput", options{systems: []string{"nobody"}}); err == nil {
		t.Error("accepted a system that there is not")
	}
}

func TestReap_EndsWhatWorksInFolder(t *testing.T) {
	dir := t.TempDir()
	left := exec.Command("sleep", "3600")
	left.Dir = dir
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	reap(dir)
	if err := left.Wait(); err == nil || left.ProcessState.ExitCode() != -1 {
		t.Errorf("it ended by %v", left.ProcessState)
	}
}
