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
// reader alone: if the machine does other work, they change by half.
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
	"strings"
	"syscall"
	"time"
)

// limit is how long one run may take. A run takes a few seconds on an idle machine.
const limit = 2 * time.Minute

// options are the program's flags.
type options struct {
	record            bool
	file, profile     string
	documents, rounds int
	slowdown          float64
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == naiveCommand {
		exitIf(naive())
		return
	}
	var o options
	flag.BoolVar(&o.record, "record", false, "write the ratio of this run to -file, instead of comparing with it")
	flag.StringVar(&o.file, "file", "bench/guard/recorded.json", "the recorded ratios; empty: print, and do not judge")
	flag.IntVar(&o.documents, "documents", 600, "documents in a run")
	flag.IntVar(&o.rounds, "rounds", 5, "runs of each, in turn")
	flag.Float64Var(&o.slowdown, "slowdown", 0, "have countersign take this share of its CPU time in the program more, to see the guard fail: 0.5 is half as much again")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of countersign's last run to this file, for go tool pprof, and do not judge")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exitIf(guard(ctx, o))
}

func exitIf(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-guard:", err)
		os.Exit(1)
	}
}

// guard builds countersign, runs both systems, and judges.
func guard(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "countersign-guard-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var added *addition
	switch {
	case o.slowdown > 0:
		added = &addition{"slowdown", fmt.Sprint(o.slowdown)}
	case o.profile != "":
		added = &addition{"profile", o.profile}
	}
	program := filepath.Join(dir, "countersign")
	if err := build(ctx, program, added); err != nil {
		return err
	}
	r, err := compare(ctx, program, dir, o)
	if err != nil || o.profile != "" {
		return err
	}
	return judge(o.file, r, o.record)
}

// compare runs both systems in turn. The best of each counts.
func compare(ctx context.Context, program, dir string, o options) (ratios, error) {
	self, err := os.Executable()
	if err != nil {
		return ratios{}, err
	}
	var ours, theirs cost
	for round := range o.rounds {
		for _, s := range []struct {
			system
			best *cost
		}{{countersign(program), &ours}, {naiveLoop(self), &theirs}} {
			ctx, cancel := context.WithTimeout(ctx, limit)
			c, err := run(ctx, s.system, filepath.Join(dir, fmt.Sprint(s.name, round)), o.documents)
			cancel()
			if err != nil {
				return ratios{}, fmt.Errorf("run %d of %s: %w", round+1, s.name, err)
			}
			fmt.Printf("%-12s %6.2f s of CPU, %.2f in the program; %4.0f lives/s\n", s.name, c.all.Seconds(), c.user.Seconds(), float64(o.documents)/c.wall.Seconds())
			s.best.keep(c)
		}
	}
	return ratio(ours, theirs), nil
}

// addition is a file of testdata that is compiled into countersign, and the value of
// the environment variable that it reads.
type addition struct{ name, value string }

// build builds countersign, with a file in it that is not its own if added is not nil.
func build(ctx context.Context, program string, added *addition) error {
	args := []string{"build", "-o", program}
	if added != nil {
		here, err := os.Getwd()
		if err != nil {
			return err
		}
		data, err := json.Marshal(map[string]map[string]string{"Replace": {
			filepath.Join(here, "cmd/countersign/zz_"+added.name+".go"): filepath.Join(here, "bench/guard/testdata", added.name+".go"),
		}})
		if err != nil {
			return err
		}
		overlay := program + ".json"
		if err := os.WriteFile(overlay, data, 0o600); err != nil {
			return err
		}
		if err := os.Setenv(strings.ToUpper(added.name), added.value); err != nil {
			return err
		}
		args = append(args, "-overlay", overlay)
	}
	if out, err := exec.CommandContext(ctx, "go", append(args, "./cmd/countersign")...).CombinedOutput(); err != nil {
		return fmt.Errorf("build countersign: %w\n%s", err, out)
	}
	return nil
}
