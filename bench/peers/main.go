// Command peers runs countersign and what a user would take instead on the same work,
// in turn, and prints their ratios.
//
//	go run ./bench/peers -bench ../shared/bench   # make bench-peers
//
// The folder of -bench holds the harness and the peers. They are copied and built in a
// temporary folder; nothing is written into theirs. Each round runs every system once
// in each mode; the tables have ratios of medians. The runs go to a file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"countersign/bench/results"
)

type options struct {
	bench, out     string
	modes, systems []string
	rounds, n      int
}

func main() {
	var o options
	flag.StringVar(&o.bench, "bench", "../shared/bench", "folder of the harness and the peers")
	flag.StringVar(&o.out, "out", "bin/peers.jsonl", "file for the runs, which replaces an older one; make plots draws those of bench/results/peers.jsonl")
	modes := flag.String("modes", "throughput,latency,synced,delay,pool", "what to measure; also backlog: 50 times the documents at once, countersign alone, for its memory")
	names := flag.String("systems", "countersign,naive,naive-plain,watermill", "what to run; also watermill-plain, river-sqlite and, with PostgreSQL 15 installed, river-pg")
	flag.IntVar(&o.rounds, "rounds", 5, "runs of each system in each mode, in turn")
	flag.IntVar(&o.n, "documents", 2000, "documents in a run for throughput; other modes derive theirs from it")
	table := flag.Bool("table", false, "print the tables of the file's runs, and run nothing")
	flag.Parse()
	o.modes, o.systems = strings.Split(*modes, ","), strings.Split(*names, ",")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := error(nil)
	if !*table {
		err = measure(ctx, o)
	}
	if err == nil {
		err = tables(os.Stdout, o.out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-peers:", err)
		os.Exit(1)
	}
}

// measure runs everything, and writes the runs.
func measure(ctx context.Context, o options) error {
	if _, err := os.Stat(filepath.Join(o.bench, "build.sh")); err != nil {
		return fmt.Errorf("the harness and the peers are not in %s: %w; name their folder: make bench-peers BENCH=folder", o.bench, err)
	}
	dir, err := os.MkdirTemp("", "countersign-peers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := prepare(ctx, o.bench, dir); err != nil {
		return err
	}
	var runs []results.Run
	for round := range o.rounds {
		for _, m := range o.modes {
			jobs, err := jobsOf(m, o)
			if err != nil {
				return err
			}
			for _, j := range jobs {
				r, err := j.run(ctx, dir)
				if err != nil {
					return err
				}
				fmt.Fprintf(os.Stderr, "round %d %-10s %-14s %6.0f documents/s, CPU s/1,000: service %.2f, broker %.2f; peak MB %v; load %s\n",
					round+1, r.Mode, r.System, r.Result.Rate, r.Result.ServiceCPU, r.Result.BrokerCPU, r.Result.Memory, r.Result.Load)
				runs = append(runs, r)
				if err := results.Write(o.out, runs); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// prepare copies the folder of the peers to dir, and builds them and countersign.
func prepare(ctx context.Context, from, dir string) error {
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	fmt.Fprintln(os.Stderr, "building the harness, the peers and countersign; this takes a minute or two")
	peers := exec.CommandContext(ctx, "./build.sh")
	peers.Dir = dir
	ours := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, "bin", "countersign"), "./cmd/countersign")
	for _, cmd := range []*exec.Cmd{peers, ours} {
		if out, err := cmd.CombinedOutput(); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err), errors.New(string(out)))
		}
	}
	return nil
}
