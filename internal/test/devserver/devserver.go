// Package devserver runs `countersign dev` as a process, for examples that need
// a worker and are not part of the program.
package devserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// startWait is how long the program may take to be built, to start, and to
// read its log.
const startWait = 5 * time.Minute

// Server is a `countersign dev` that runs.
type Server struct {
	URL string // of its NATS server

	cmd *exec.Cmd
	dir string // holds the program and its data
}

// Start builds the program, starts it on free ports of the loopback, and waits
// until it follows its log. It fails with what the program printed if that
// ends, or is not ready within five minutes. The caller must call Stop.
func Start(ctx context.Context) (_ *Server, err error) {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	dir, err := os.MkdirTemp("", "countersign-example-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	program := filepath.Join(dir, "countersign")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "countersign/cmd/countersign").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build countersign: %w\n%s", err, out)
	}
	s := &Server{dir: dir, cmd: exec.Command(program, "dev", "--data-dir", filepath.Join(dir, "data"),
		"--nats-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start countersign dev: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.cmd.Process.Kill() })
	printed, err := s.ready(stderr)
	if !stop() || err != nil {
		_ = s.cmd.Process.Kill()
		return nil, errors.Join(fmt.Errorf("countersign dev is not ready; it printed:\n%s", printed), err, s.cmd.Wait())
	}
	go io.Copy(io.Discard, stderr) // the program must be able to print
	return s, nil
}

// ready reads what the program prints until it says that it is up.
func (s *Server) ready(stderr io.Reader) (printed string, err error) {
	var all strings.Builder
	in := bufio.NewReader(stderr)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return all.String(), err
		}
		all.WriteString(line)
		if words := strings.Fields(line); len(words) > 1 && words[0] == "NATS" {
			s.URL = words[1]
		}
		if strings.HasPrefix(line, "up until Ctrl-C") {
			return all.String(), nil
		}
	}
}

// Stop ends the program as Ctrl-C does, waits for it, and removes its data. It
// fails with the program's exit code.
func (s *Server) Stop() error {
	defer os.RemoveAll(s.dir)
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return err
	}
	return s.cmd.Wait()
}
