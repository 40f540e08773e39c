// Command guard runs whole lives of documents through countersign and through a
// naive loop, in turn, and compares what they cost. It fails if countersign has
// become slower in comparison than recorded.json says.
//
//	go run ./bench/guard          # make bench-guard
//	go run ./bench/guard -record  # make bench-record
//
// A document is created, three emails are sent, it is signed, three emails and
// three register events follow. The mail server and the NATS server are in this
// process; countersign and the loop are processes of their own, each with a new
// SQLite database on disk. Each round runs both, and the best of each counts: what
// else the machine does can only add to a figure.
//
// The CPU time of the two processes decides. The lives a second are printed for the
// reader alone: they change by half if the machine does other work.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// limit is how long one run may take. A run takes a few seconds on an idle machine.
const limit = 2 * time.Minute

func main() {
	if len(os.Args) == 2 && os.Args[1] == naiveCommand {
		exitIf(naive())
		return
	}
	record := flag.Bool("record", false, "write the ratio of this run to -file, instead of comparing with it")
	file := flag.String("file", "bench/guard/recorded.json", "the recorded ratio")
	documents := flag.Int("documents", 600, "documents in a run")
	rounds := flag.Int("rounds", 5, "runs of each, in turn")
	slowdown := flag.Float64("slowdown", 0, "make countersign slower by this share of its CPU time, to see the guard fail: 0.5 is half as much again")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "countersign-guard-")
	exitIf(err)
	err = guard(ctx, dir, *slowdown, *documents, *rounds, *file, *record)
	os.RemoveAll(dir)
	exitIf(err)
}

func exitIf(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-guard:", err)
		os.Exit(1)
	}
}

// guard builds countersign, runs both systems in turn, and judges.
func guard(ctx context.Context, dir string, slowdown float64, documents, rounds int, file string, record bool) error {
	program := filepath.Join(dir, "countersign")
	if err := build(ctx, program, slowdown); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var ours, theirs cost
	for round := range rounds {
		for _, s := range []struct {
			system
			best *cost
		}{{countersign(program), &ours}, {naiveLoop(self), &theirs}} {
			ctx, cancel := context.WithTimeout(ctx, limit)
			c, err := run(ctx, s.system, filepath.Join(dir, fmt.Sprint(s.name, round)), documents)
			cancel()
			if err != nil {
				return fmt.Errorf("run %d of %s: %w", round+1, s.name, err)
			}
			fmt.Printf("%-12s %6.2f s of CPU, %6.0f lives/s\n", s.name, c.cpu.Seconds(), float64(documents)/c.wall.Seconds())
			s.best.keep(c)
		}
	}
	return judge(file, ratio(ours, theirs), record)
}

// build builds countersign, with testdata/slow.go in it if it is to be slower.
func build(ctx context.Context, program string, slowdown float64) error {
	args := []string{"build", "-o", program}
	if slowdown > 0 {
		here, err := os.Getwd()
		if err != nil {
			return err
		}
		overlay := program + ".json"
		added := map[string]map[string]string{"Replace": {
			filepath.Join(here, "cmd/countersign/slow.go"): filepath.Join(here, "bench/guard/testdata/slow.go"),
		}}
		data, err := json.Marshal(added)
		if err == nil {
			err = os.WriteFile(overlay, data, 0o600)
		}
		if err != nil {
			return err
		}
		os.Setenv("SLOWDOWN", fmt.Sprint(slowdown))
		args = append(args, "-overlay", overlay)
	}
	if out, err := exec.CommandContext(ctx, "go", append(args, "./cmd/countersign")...).CombinedOutput(); err != nil {
		return fmt.Errorf("build countersign: %w\n%s", err, out)
	}
	return nil
}
