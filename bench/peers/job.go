package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"countersign/bench/results"
)

// defaultPool is countersign's number of connections if nothing is set.
const defaultPool = 8

// perRun is how long one run may take. The harness ends its broker after 15 minutes.
const perRun = 14 * time.Minute

// serve starts countersign; the harness sets the variables.
const serve = "env COUNTERSIGN_NATS_URL=$NATS_URL COUNTERSIGN_SMTP_URL=smtp://$SMTP_ADDR?tls=none COUNTERSIGN_MAIL_FROM=loa@bench.test" +
	" COUNTERSIGN_DATA_DIR=$DATA_DIR/countersign COUNTERSIGN_LISTEN=127.0.0.1:0 COUNTERSIGN_ADMIN_LISTEN=127.0.0.1:0 COUNTERSIGN_MAIL_POOL=%d ./bin/countersign serve"

// peer is how the harness starts a system.
type peer struct {
	command, env, check string
	real                bool // sends emails like ours, of 8 kB
}

var peers = map[string]peer{
	"naive":           {"./bin/naive", "WORKERS=16", "./check-sqlite.sh", true},
	"naive-plain":     {"./bin/naive", "WORKERS=16", "./check-sqlite.sh", false},
	"watermill":       {"./bin/watermill", "WORKERS=8", "./check-sqlite.sh", true},
	"watermill-plain": {"./bin/watermill", "WORKERS=8", "./check-sqlite.sh", false},
	"river-sqlite":    {"./bin/river", "DRIVER=sqlite,FETCH_COOLDOWN_MS=5,MAX_WORKERS=200", "./check-sqlite.sh", true},
	"river-pg":        {"./peers/river/run-pg.sh", "WORKERS=8,FETCH_COOLDOWN_MS=5,MAX_WORKERS=200", "./peers/river/check-pg.sh", true},
}

const ours = "countersign"

// job is one run to be made.
type job struct {
	mode, system string
	pool         int
	args         []string
}

// jobsOf are a mode's runs of one round.
func jobsOf(mode string, o options) ([]job, error) {
	n := func(n int) []string { return []string{"-n", fmt.Sprint(max(n, 50))} }
	if mode == "pool" { // countersign alone: how many connections a relay of some latency wants
		var jobs []job
		for _, delay := range []string{"0ms", "10ms", "50ms"} {
			for _, pool := range []int{4, 8, 16, 32, 64} {
				jobs = append(jobs, job{mode, ours, pool, append(n(o.n/4), "-smtp-delay", delay)})
			}
		}
		return jobs, nil
	}
	if mode == "backlog" {
		return []job{{mode, ours, defaultPool, n(50 * o.n)}}, nil
	}
	args, ok := map[string][]string{
		"throughput": n(o.n),
		"latency":    append(n(100), "-mode", "latency", "-rate", "5"),
		"synced":     append(n(o.n/2), "-nats-sync", "always"),
		"delay":      append(n(o.n/4), "-smtp-delay", "10ms"),
	}[mode]
	if !ok {
		return nil, fmt.Errorf("there is no mode %q; the modes are throughput, latency, synced, delay, pool and backlog", mode)
	}
	var jobs []job
	for _, s := range o.systems {
		if _, ok := peers[s]; !ok && s != ours {
			return nil, fmt.Errorf("there is no system %q", s)
		}
		j := job{mode, s, 0, args}
		if s == ours {
			j.pool = defaultPool
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// run runs the job in the folder in which everything is built.
func (j job) run(ctx context.Context, dir string) (results.Run, error) {
	ctx, cancel := context.WithTimeout(ctx, perRun)
	defer cancel()
	line := filepath.Join(dir, "line.json")
	if err := os.Remove(line); err != nil && !errors.Is(err, os.ErrNotExist) {
		return results.Run{}, err
	}
	args := append([]string{"-name", j.system, "-sink", "raw", "-timeout", "13m", "-quiet", "1s", "-out", line}, j.args...)
	env := os.Environ()
	if p, ok := peers[j.system]; ok {
		args = append(args, "-cmd", p.command, "-env", p.env, "-check-cmd", p.check)
		if p.real {
			env = append(env, "MAIL=real")
		}
	} else {
		args = append(args, "-contract", "countersign", "-cmd", fmt.Sprintf(serve, j.pool))
	}
	cmd := exec.CommandContext(ctx, "./bin/bench", args...)
	cmd.WaitDelay = time.Second // its children hold its output open
	cmd.Dir, cmd.Env = dir, append(env, "PERF="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		reap(dir)
		return results.Run{}, fmt.Errorf("%s in mode %s: %w\n%s", j.system, j.mode, err, out)
	}
	got, err := results.Read[results.Harness](line)
	if err != nil || len(got) != 1 {
		return results.Run{}, fmt.Errorf("%s in mode %s: the harness wrote %d results: %w", j.system, j.mode, len(got), err)
	}
	r := results.Run{Mode: j.mode, System: j.system, Pool: j.pool, Result: got[0]}
	if r.Result.TimedOut || r.Result.Exact != r.Result.Documents {
		return r, fmt.Errorf("%s in mode %s: %d of %d documents got exactly their emails and events", j.system, j.mode, r.Result.Exact, r.Result.Documents)
	}
	return r, nil
}

// reap ends what a harness that was ended left behind, its broker and the system: the
// processes that work in the folder.
func reap(dir string) {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real // as /proc has it
	}
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		if at, err := os.Readlink(link); err != nil || at != dir {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
