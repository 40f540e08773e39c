package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"countersign/internal/test/eventstest"
	"countersign/internal/test/logtest"
)

// running is a worker in this process.
type running struct {
	t    *testing.T
	stop context.CancelFunc
	done chan int
	log  *logtest.Buffer
}

// start runs a worker with the given environment, in this process.
func start(t *testing.T, env []string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t: t, stop: stop, done: make(chan int, 1), log: &logtest.Buffer{}}
	go func() { r.done <- run(ctx, []string{"serve"}, env, io.Discard, r.log) }()
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("the worker's log:\n%s", r.log)
		}
	})
	return r
}

// end ends the worker as SIGTERM does, and returns its exit code.
func (r *running) end() int {
	r.t.Helper()
	r.stop()
	select {
	case code := <-r.done:
		r.done <- code
		return code
	case <-time.After(30 * time.Second):
		r.t.Fatalf("the worker does not end\n%s", r.log)
		return -1
	}
}

// says waits until the worker's log holds a text.
func (r *running) says(text string) {
	r.t.Helper()
	eventstest.Wait(r.t, "the worker to say "+text, func() bool { return strings.Contains(r.log.String(), text) })
}

// address finds where the worker listens, "public" or "admin".
func (r *running) address(which string) string {
	r.t.Helper()
	r.says("countersign is up")
	return addressIn(r.t, r.log, which)
}

func addressIn(t *testing.T, log *logtest.Buffer, which string) string {
	t.Helper()
	m := regexp.MustCompile(`"` + which + `":"([^"]+)"`).FindStringSubmatch(log.String())
	if m == nil {
		t.Fatalf("no %s address in %s", which, log)
	}
	return m[1]
}

// killable is a worker, or a NATS server, in a process of its own.
type killable struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  *logtest.Buffer
	dead chan struct{} // closed once it has ended
}

// process starts a worker and waits until it has read the log.
func (x *town) process(env []string) *killable {
	x.t.Helper()
	k := x.launch(env)
	k.says("read to its end")
	return k
}

// launch starts a worker and does not wait.
func (x *town) launch(env []string) *killable {
	x.t.Helper()
	return launch(x.t, append(env, "AS_PROGRAM=1"), "serve")
}

// launch starts this test binary, to be what env makes of it.
func launch(t *testing.T, env []string, args ...string) *killable {
	t.Helper()
	return spawn(t, os.Args[0], env, args...)
}

// spawn starts a program.
func spawn(t *testing.T, program string, env []string, args ...string) *killable {
	t.Helper()
	k := &killable{t: t, log: &logtest.Buffer{}, dead: make(chan struct{})}
	k.cmd = exec.Command(program, args...)
	k.cmd.Env = append(env, "PATH="+os.Getenv("PATH"))
	k.cmd.Stderr = k.log
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = k.cmd.Wait() // it is killed: that is no news
		close(k.dead)
	}()
	t.Cleanup(func() {
		k.kill()
		if t.Failed() {
			t.Logf("the log of process %d:\n%s", k.cmd.Process.Pid, k.log)
		}
	})
	return k
}

// says waits until its log holds a text.
func (k *killable) says(text string) {
	k.t.Helper()
	eventstest.WaitFor(k.t, time.Minute, "the process to say "+text, func() bool { return strings.Contains(k.log.String(), text) })
}

// address finds where it listens, "public" or "admin".
func (k *killable) address(which string) string {
	k.t.Helper()
	k.says("countersign is up")
	return addressIn(k.t, k.log, which)
}

// kill ends it as kill -9 does. It may be called again.
func (k *killable) kill() {
	_ = k.cmd.Process.Kill() // it may have ended
	<-k.dead
}

// freeze stops it as a machine does that is paused; thaw lets it go on.
func (k *killable) freeze() { _ = k.cmd.Process.Signal(syscall.SIGSTOP) }
func (k *killable) thaw()   { _ = k.cmd.Process.Signal(syscall.SIGCONT) }

// dies waits until it has ended by itself, and returns its exit code; -1 where
// a signal ended it.
func (k *killable) dies() int {
	k.t.Helper()
	select {
	case <-k.dead:
	case <-time.After(time.Minute):
		k.t.Fatalf("process %d does not end\n%s", k.cmd.Process.Pid, k.log)
	}
	return k.cmd.ProcessState.ExitCode()
}
