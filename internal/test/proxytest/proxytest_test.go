package proxytest

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// echo answers with what it is sent.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); c.Close() }()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

// say sends a text and reads as much back.
func say(c net.Conn, text string) (string, error) {
	if _, err := io.WriteString(c, text); err != nil {
		return "", err
	}
	back := make([]byte, len(text))
	n, err := io.ReadFull(c, back)
	return string(back[:n]), err
}

func TestProxy_CutAndHeal(t *testing.T) {
	p := Start(t, echo(t))
	c := dial(t, p)
	if got, err := say(c, "hello"); got != "hello" {
		t.Fatalf("got %q, %v", got, err)
	}
	p.Cut()
	if _, err := say(c, "hello"); err == nil {
		t.Error("a cut connection answers")
	}
	if _, err := say(dial(t, p), "hello"); err == nil {
		t.Error("a new connection answers while the proxy is cut")
	}
	p.Heal()
	if got, err := say(dial(t, p), "hello"); got != "hello" {
		t.Errorf("healed: got %q, %v", got, err)
	}
}

func TestProxy_SilenceInOneWay(t *testing.T) {
	for _, way := range []Way{Up, Down} {
		p := Start(t, echo(t))
		c := dial(t, p)
		p.Set(way, Fault{Silent: true})
		_ = c.SetDeadline(time.Now().Add(100 * time.Millisecond))
		if got, err := say(c, "hello"); !errors.Is(err, errTimeout(err)) {
			t.Errorf("way %d: got %q, %v", way, got, err)
		}
		p.Heal()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		back := make([]byte, 5)
		if _, err := io.ReadFull(c, back); string(back) != "hello" {
			t.Errorf("way %d: after the silence came %q, %v", way, back, err)
		}
	}
}

// errTimeout is err where it is a time-out.
func errTimeout(err error) error {
	var n net.Error
	if errors.As(err, &n) && n.Timeout() {
		return err
	}
	return errors.ErrUnsupported
}

func TestProxy_ResetInTheMiddle(t *testing.T) {
	p := Start(t, echo(t))
	c := dial(t, p)
	p.Set(Down, Fault{ResetAfter: 3})
	got, err := say(c, "hello")
	if !errors.Is(err, syscall.ECONNRESET) || len(got) > 3 {
		t.Errorf("got %q, %v, want a reset after three bytes", got, err)
	}
	if got, err := say(dial(t, p), "hello"); got != "hello" {
		t.Errorf("afterwards: got %q, %v", got, err)
	}
}

func TestProxy_LatencyAndSlowDrain(t *testing.T) {
	for name, f := range map[string]Fault{"latency": {Latency: 200 * time.Millisecond}, "slow": {PerSecond: 20}} {
		p := Start(t, echo(t))
		c := dial(t, p)
		p.Set(Up, f)
		began := time.Now()
		if got, err := say(c, "hello"); got != "hello" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		if took := time.Since(began); took < 190*time.Millisecond {
			t.Errorf("%s: it took %s", name, took)
		}
	}
}

func TestProxy_Filter(t *testing.T) {
	p := Filter(t, echo(t), func(client io.Writer, _ io.Reader) error {
		_, err := io.WriteString(client, "no!!!")
		<-t.Context().Done()
		return err
	})
	if got, err := say(dial(t, p), "hello"); got != "no!!!" {
		t.Errorf("got %q, %v", got, err)
	}
}
