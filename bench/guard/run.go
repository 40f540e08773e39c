package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/internal/natsd"
)

// system is one of the two that are compared.
type system struct {
	name    string
	command func(ctx context.Context, dir, natsURL, smtpAddr string) *exec.Cmd
}

func countersign(program string) system {
	return system{"countersign", func(ctx context.Context, dir, natsURL, smtpAddr string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, program, "serve")
		cmd.Env = append(os.Environ(),
			"COUNTERSIGN_NATS_URL="+natsURL, "COUNTERSIGN_SMTP_URL=smtp://"+smtpAddr+"?tls=none", "COUNTERSIGN_MAIL_FROM=loa@countersign.example",
			"COUNTERSIGN_DATA_DIR="+filepath.Join(dir, "data"), "COUNTERSIGN_LISTEN=127.0.0.1:0", "COUNTERSIGN_ADMIN_LISTEN=127.0.0.1:0")
		return cmd
	}}
}

func naiveLoop(self string) system {
	return system{naiveCommand, func(ctx context.Context, dir, natsURL, smtpAddr string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, self, naiveCommand)
		cmd.Env = append(os.Environ(), "NATS_URL="+natsURL, "SMTP_ADDR="+smtpAddr, "DATA_DIR="+dir)
		return cmd
	}}
}

// cost is what a run took, without the start of the system.
type cost struct {
	spent               // by its process, from the first event to its end
	wall  time.Duration // from the first event to the last document done
}

// spent is CPU time: in the program itself, and with the kernel's work for it.
type spent struct{ user, all time.Duration }

// run leads n documents through their lives in a system with a new data folder. It
// fails if the system ends, if a document is not done before ctx ends, and if an
// email or event comes twice.
func run(ctx context.Context, s system, dir string, n int) (c cost, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return c, err
	}
	defer os.RemoveAll(dir)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	broker, err := natsd.Start(natsd.Options{Listen: "127.0.0.1:0", Name: "bench", StoreDir: filepath.Join(dir, "nats")})
	if err != nil {
		return c, err
	}
	defer broker.Shutdown()
	l := &lives{done: make(chan struct{}), fail: fail, left: n, documents: make([]progress, n)}
	mails, err := listen(l.mailed)
	if err != nil {
		return c, err
	}
	defer mails.Close()
	url := "nats://" + broker.Addr().String()
	nc, err := l.connect(url)
	if err != nil {
		return c, err
	}
	defer nc.Close()
	var said bytes.Buffer
	cmd := s.command(ctx, dir, url, mails.Addr().String())
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return c, err
	}
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		fail(fmt.Errorf("the program ended: %v", err))
		ended <- err
	}()
	begun, err := l.live(ctx, cmd.Process.Pid)
	c.wall = time.Since(begun.at)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if stopped := <-ended; err == nil && stopped != nil {
		err = fmt.Errorf("stop it: %w", stopped)
	}
	user := cmd.ProcessState.UserTime()
	c.spent = spent{user - begun.user, user + cmd.ProcessState.SystemTime() - begun.all}
	if err == nil {
		err = l.exact()
	}
	if err != nil {
		return c, fmt.Errorf("%w; it printed:\n%s", err, tail(said.String()))
	}
	return c, nil
}

// start is when the first event was published, and the CPU time that the system had
// taken by then.
type start struct {
	at time.Time
	spent
}

// live waits until the system follows the stream, and leads the documents through
// their lives.
func (l *lives) live(ctx context.Context, pid int) (begun start, err error) {
	if err := l.follow(ctx); err != nil {
		return begun, err
	}
	begun.at = time.Now()
	if begun.spent, err = spentBy(pid); err != nil {
		return begun, err
	}
	go func() {
		for i := range l.documents {
			l.publish(created(i))
		}
	}()
	select {
	case <-l.done:
		return begun, nil
	case <-ctx.Done():
		return begun, fmt.Errorf("%d of %d documents are not done: %w", l.unfinished(), len(l.documents), context.Cause(ctx))
	}
}

// follow waits until the system consumes its stream, and reads its register events.
func (l *lives) follow(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if s, err := l.js.Stream(ctx, stream); err == nil && s.CachedInfo().State.Consumers > 0 {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("it does not follow the stream: %w", context.Cause(ctx))
		}
	}
	c, err := l.js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"authdocs.v1.*.*.order.*.register"}})
	if err != nil {
		return err
	}
	_, err = c.Consume(l.registered) // ends with the connection
	return err
}

// spentBy is the CPU time that a running process has taken, in steps of 10 ms: fields
// 14 and 15 of its stat, proc_pid_stat(5).
func spentBy(pid int) (spent, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return spent{}, err
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:])) // from the third on
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return spent{}, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	const tick = 10 * time.Millisecond
	return spent{time.Duration(user) * tick, time.Duration(user+system) * tick}, err
}

// tail is the end of what a program printed.
func tail(s string) string { return s[max(0, len(s)-2000):] }
