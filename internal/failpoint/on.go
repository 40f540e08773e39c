//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"syscall"
)

// Variable is the environment variable that arms one point:
// "name[:n][=kill|freeze|panic]". At the n-th hit, the first unless it says
// otherwise, the process gets SIGKILL (kill, which is also the default), or
// SIGSTOP (freeze), or panics.
const Variable = "FAILPOINT"

type point struct {
	name, deed string

	mu   sync.Mutex
	left int // hits until the deed
}

var armed = sync.OnceValue(func() *point { return parse(os.Getenv(Variable)) })

var form = regexp.MustCompile(`^([a-z-]+)(?::([1-9][0-9]*))?(?:=(kill|freeze|panic))?$`)

// parse reads the variable; nil if it is empty.
func parse(s string) *point {
	if s == "" {
		return nil
	}
	m := form.FindStringSubmatch(s)
	if m == nil {
		panic(fmt.Sprintf("%s=%q is not name[:n][=kill|freeze|panic]", Variable, s))
	}
	p := &point{name: m[1], deed: m[3], left: 1}
	if m[2] != "" {
		p.left, _ = strconv.Atoi(m[2])
	}
	return p
}

// Hit says that the program is at a step. It does not return from a kill, and
// from a freeze once the process goes on.
func Hit(name string) {
	p := armed()
	if p == nil || p.name != name {
		return
	}
	p.mu.Lock()
	p.left--
	now := p.left == 0
	p.mu.Unlock()
	if now {
		p.act()
	}
}

func (p *point) act() {
	switch p.deed {
	case "panic":
		panic("failpoint " + p.name)
	case "freeze":
		signal(syscall.SIGSTOP)
	default:
		signal(syscall.SIGKILL)
	}
}

// signal sends the process a signal by the thread that runs this, which is
// the first to obey: sent to the process as a whole, it may take this thread
// last, a good deal of work later.
func signal(s syscall.Signal) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_, _, _ = syscall.Syscall(syscall.SYS_TGKILL, uintptr(os.Getpid()), uintptr(syscall.Gettid()), uintptr(s))
}
