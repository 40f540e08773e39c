package mail_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"countersign/internal/delivery"
	"countersign/internal/mail"
	"countersign/workflow"
)

func TestPoolSend_NothingBeginsAfterTheDeadline(t *testing.T) {
	expired := func(t *testing.T) context.Context {
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		t.Cleanup(cancel)
		return ctx
	}
	canceled := func(t *testing.T) context.Context {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return ctx
	}
	for _, c := range []struct {
		name string
		ctx  func(*testing.T) context.Context
	}{{"passed", expired}, {"canceled", canceled}} {
		t.Run(c.name+" before it begins", func(t *testing.T) {
			server := catch(t)
			got := pool(t, settings(t, server.addr)).Send(c.ctx(t), mail.Message{Mail: mailOf(workflow.MailSignature, document())})
			if got.Outcome != workflow.Deferred || got.Server || server.connections() != 0 {
				t.Errorf("got %+v over %d connections, want deferred over none", got, server.connections())
			}
		})
	}
}

func TestPoolSend_DeadlineBoundsTheDialogue(t *testing.T) {
	t.Run("for a connection", func(t *testing.T) {
		server, held, release, first := catch(t), make(chan struct{}), make(chan struct{}), make(chan delivery.Result, 1)
		server.on(func(_ int, at step, _ *smtp.Conn) error {
			if at == atRcpt {
				close(held)
				<-release
			}
			return nil
		})
		p := pool(t, settings(t, server.addr))
		go func() { first <- send(t, p) }()
		<-held
		if got := sendWithin(t, p, short); got.Outcome != workflow.Deferred || got.Server {
			t.Errorf("got %+v, want deferred", got)
		}
		close(release)
		if got := <-first; got.Outcome != workflow.Accepted {
			t.Errorf("the mail that was under way: got %+v, want accepted", got)
		}
	})

	t.Run("no step can move it", func(t *testing.T) {
		server, done := speak(t, script{"RCPT": hang}), make(chan delivery.Result, 1)
		p := pool(t, settings(t, server.addr))
		go func() { done <- sendWithin(t, p, short) }()
		select {
		case got := <-done:
			if got.Outcome != workflow.Deferred {
				t.Errorf("got %+v, want deferred", got)
			}
		case <-time.After(8 * time.Second): // go-mail's own time-out is 15 s for each step
			t.Error("the dialogue outlived its deadline")
		}
		await(t, "the connection is closed", func() bool { return server.heard("(gone)") == 1 })
	})

	t.Run("canceled midway lets the dialogue end", func(t *testing.T) {
		server := catch(t)
		ctx, cancel := context.WithCancel(t.Context())
		server.on(func(_ int, at step, _ *smtp.Conn) error {
			if at == atRcpt {
				cancel()
			}
			return nil
		})
		got := pool(t, settings(t, server.addr)).Send(ctx, mail.Message{Mail: mailOf(workflow.MailSignature, document())})
		if got.Outcome != workflow.Accepted {
			t.Errorf("got %+v, want accepted", got)
		}
	})
}

func TestPoolSend_ConnectionsAreReused(t *testing.T) {
	server := catch(t)
	c := settings(t, server.addr)
	c.Pool = 4
	p := pool(t, c)
	if p.Size() != 4 {
		t.Errorf("size %d, want 4", p.Size())
	}
	for range 10 {
		if r := send(t, p); r.Outcome != workflow.Accepted {
			t.Fatalf("got %+v", r)
		}
	}
	if n := server.connections(); n != 1 {
		t.Errorf("10 mails one after the other took %d connections, want 1", n)
	}
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if r := send(t, p); r.Outcome != workflow.Accepted {
				t.Errorf("got %+v", r)
			}
		})
	}
	wg.Wait()
	if n := server.connections(); n > 4 {
		t.Errorf("50 mails took %d connections, want at most 4", n)
	}
	if n := len(server.stored()); n != 50 {
		t.Errorf("the server stored %d mails, want 50", n)
	}
}

func TestPoolSend_ConnectionAfterTrouble(t *testing.T) { eachPath(t, connectionAfterTrouble) }

func connectionAfterTrouble(t *testing.T, w path) {
	for _, c := range []struct {
		name   string
		first  script // of the first connection
		second workflow.Outcome
		conns  int
		resets int
	}{
		{"kept after a refused recipient", script{"RCPT": "550 5.1.1 no"}, workflow.Rejected, 1, 2},
		{"kept after a refused message", script{".": "554 5.1.1 no"}, workflow.Rejected, 1, 2},
		{"left after DATA was deferred", script{"DATA": "451 4.3.0 no"}, workflow.Accepted, 2, 0},
		{"left after MAIL was deferred", script{"MAIL": "450 4.3.2 no"}, workflow.Accepted, 2, 0},
		{"left after MAIL was refused", script{"MAIL": "554 5.7.1 no"}, workflow.Accepted, 2, 0},
		{"no RSET after an accepted mail", script{}, workflow.Accepted, 1, 0},
		{"left after 421", script{".": "421 4.3.2 bye"}, workflow.Accepted, 2, 0},
		{"left after a broken message", script{".": drop}, workflow.Accepted, 2, 0},
		{"left where RSET fails", script{".": "554 5.7.1 no", "RSET": "421 4.3.2 bye"}, workflow.Accepted, 2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			for verb := range c.first {
				if !w.meets(verb) {
					return
				}
			}
			server, p := w.speak(t, c.first, script{})
			send(t, p)
			if got := send(t, p); got.Outcome != c.second {
				t.Errorf("the second mail: got %+v, want %s", got, c.second)
			}
			if server.connections() != c.conns || !w.once && server.heard("RSET") != c.resets {
				t.Errorf("%d connections and %d RSET, want %d and %d", server.connections(), server.heard("RSET"), c.conns, c.resets)
			}
			if server.heard("NOOP") != 0 {
				t.Error("NOOP costs a round trip")
			}
		})
	}
}

func TestPoolSend_StaleConnectionIsReplaced(t *testing.T) { eachPath(t, staleConnectionIsReplaced) }

func staleConnectionIsReplaced(t *testing.T, w path) {
	for _, reply := range []string{drop, "421 4.4.2 idle for too long&"} {
		t.Run(reply+" to MAIL on a kept connection", func(t *testing.T) {
			server, p := w.kept().speak(t, script{"MAIL": reply}, script{})
			want, conns := workflow.Accepted, 2
			if w.once && reply == drop { // the message was sent, and nobody knows how far it came
				want, conns = workflow.Unknown, 1
			}
			if got := send(t, p); got.Outcome != want {
				t.Errorf("got %+v, want %s", got, want)
			}
			if n := server.connections(); n != conns {
				t.Errorf("%d connections, want %d", n, conns)
			}
			if got := send(t, p); got.Outcome != workflow.Accepted {
				t.Errorf("the next email: got %+v, want accepted", got)
			}
		})
	}

	t.Run("closed by the server while idle", func(t *testing.T) {
		w.warm = false
		server, p := w.speak(t, script{".": "250 2.0.0 queued as 42&"}, script{})
		send(t, p)
		await(t, "the server has closed", func() bool { return server.heard("(gone)") == 1 })
		if got := send(t, p); got.Outcome != workflow.Accepted {
			t.Errorf("got %+v, want accepted", got)
		}
	})
}

func TestPoolSend_EmailIsNotTriedAgain(t *testing.T) {
	t.Run("for the second time", func(t *testing.T) {
		server := speak(t, script{".": "250 2.0.0 queued as 42&"}, script{"MAIL": "421 4.3.2 no"})
		p := pool(t, settings(t, server.addr))
		send(t, p)
		if got := send(t, p); got.Outcome != workflow.Deferred || got.Code != 421 {
			t.Errorf("got %+v, want deferred", got)
		}
		if server.connections() != 2 {
			t.Errorf("%d connections, want 2", server.connections())
		}
	})

	t.Run("after the message", func(t *testing.T) {
		server := catch(t)
		server.on(func(n int, at step, k *smtp.Conn) error {
			if n == 2 && at == atStored {
				_ = k.Conn().Close()
			}
			return nil
		})
		p := pool(t, settings(t, server.addr))
		send(t, p)
		if got := send(t, p); got.Outcome != workflow.Unknown || len(server.stored()) != 2 {
			t.Errorf("got %+v and %d mails, want unknown and 2", got, len(server.stored()))
		}
	})
}

func TestPool_IdleConnectionsAreClosed(t *testing.T) {
	server := speak(t, script{})
	c := settings(t, server.addr)
	c.Idle = 20 * time.Millisecond
	p := pool(t, c)
	for n := 1; n <= 2; n++ {
		if got := send(t, p); got.Outcome != workflow.Accepted {
			t.Fatalf("got %+v", got)
		}
		await(t, "the connection is closed", func() bool { return server.heard("QUIT") == n && server.heard("(gone)") == n })
	}
}

func TestPoolClose_QuitsEveryConnection(t *testing.T) {
	server := speak(t, script{})
	p := pool(t, settings(t, server.addr))
	send(t, p)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if server.heard("QUIT") != 1 {
		t.Error("Close did not take leave of the server")
	}
	if got := send(t, p); got.Outcome != workflow.Deferred || got.Server || server.connections() != 1 {
		t.Errorf("after Close: got %+v over %d connections", got, server.connections())
	}
}

// await waits for a state, and fails the test if it does not come.
func await(t testing.TB, what string, reached func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for !reached() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
