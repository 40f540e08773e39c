package catcher_test

import (
	"context"
	"errors"
	"net"
	"net/smtp"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"countersign/internal/catcher"
)

const letter = "From: Hosting Team <loa@example.com>\r\n" +
	"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n" +
	"Message-ID: <1@example.com>\r\n" +
	"MIME-Version: 1.0\r\n" +
	"Content-Type: multipart/alternative; boundary=b\r\n" +
	"\r\n" +
	"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nPlease=20sign:\r\nhttps://example.com/sign/x.\r\n" +
	"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+c2lnbjwvYj4=\r\n" +
	"--b--\r\n"

func TestRun_EmailIsCaughtWhole(t *testing.T) {
	c := start(t)
	before := time.Now()
	send(t, c, "loa@example.com", letter, "owner@example.com", "ops@example.com")
	mails := c.Mails()
	want := []catcher.Mail{{
		ID: 1, From: "loa@example.com", To: []string{"owner@example.com", "ops@example.com"},
		Subject: "Grüße", MessageID: "<1@example.com>",
		Header: map[string][]string{
			"From": {"Hosting Team <loa@example.com>"}, "Subject": {"=?utf-8?q?Gr=C3=BC=C3=9Fe?="}, "Message-Id": {"<1@example.com>"},
			"Mime-Version": {"1.0"}, "Content-Type": {"multipart/alternative; boundary=b"},
		},
		Text: "Please sign:\nhttps://example.com/sign/x.", HTML: "<b>sign</b>", Raw: []byte(letter),
	}}
	if diff := cmp.Diff(want, mails, cmpopts.IgnoreFields(catcher.Mail{}, "At")); diff != "" {
		t.Fatalf("mails (-want +got):\n%s", diff)
	}
	if at := mails[0].At; at.Before(before) || at.After(time.Now()) {
		t.Errorf("caught at %v", at)
	}
}

func TestMails_InOrderAndCounted(t *testing.T) {
	c := start(t)
	client := dial(t, c)
	for _, to := range []string{"a@example.com", "b@example.com", "c@example.com"} {
		if err := deliver(client, "", "Subject: x\r\n\r\n", to); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Wait(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range c.Mails() {
		got = append(got, m.To...)
	}
	if diff := cmp.Diff([]string{"a@example.com", "b@example.com", "c@example.com"}, got); diff != "" {
		t.Errorf("recipients (-want +got):\n%s", diff)
	}
	if n := c.Count(); n != 3 {
		t.Errorf("count %d, want 3", n)
	}
}

func TestWait_ReturnsWhenEnoughAreCaught(t *testing.T) {
	c := start(t)
	if err := c.Wait(t.Context(), 0); err != nil {
		t.Errorf("for none: %v", err)
	}
	done := make(chan error)
	go func() { done <- c.Wait(t.Context(), 2) }()
	send(t, c, "", letter, "a@example.com")
	send(t, c, "", letter, "b@example.com")
	if err := <-done; err != nil {
		t.Errorf("for two: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Wait(ctx, 3); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "with 2 caught") {
		t.Errorf("for a third one: got %v", err)
	}
}

func TestScript_IsCalledAtEachStep(t *testing.T) {
	c := start(t)
	type step struct {
		Phase   string
		From    string
		To      string
		Session int
		Caught  int
	}
	var mu sync.Mutex
	var got []step
	c.Script(func(s catcher.Step) error {
		mu.Lock()
		defer mu.Unlock()
		if s.Conn == nil {
			t.Error("no connection")
		}
		got = append(got, step{s.Phase.String(), s.From, s.To, s.Session, c.Count()})
		return nil
	})
	client := dial(t, c)
	if err := client.Auth(smtp.PlainAuth("", "user", "password", "127.0.0.1")); err != nil {
		t.Fatal(err)
	}
	if err := deliver(client, "loa@example.com", letter, "a@example.com", "b@example.com"); err != nil {
		t.Fatal(err)
	}
	send(t, c, "", letter, "c@example.com")
	want := []step{
		{"connect", "", "", 1, 0},
		{"auth", "", "", 1, 0},
		{"mail from", "loa@example.com", "", 1, 0},
		{"rcpt to", "loa@example.com", "a@example.com", 1, 0},
		{"rcpt to", "loa@example.com", "b@example.com", 1, 0},
		{"data", "loa@example.com", "a@example.com", 1, 0},
		{"stored", "loa@example.com", "a@example.com", 1, 1},
		{"connect", "", "", 2, 1},
		{"mail from", "", "", 2, 1},
		{"rcpt to", "", "c@example.com", 2, 1},
		{"data", "", "c@example.com", 2, 1},
		{"stored", "", "c@example.com", 2, 2},
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

func TestScript_Answers(t *testing.T) {
	reply := func(code int) error {
		return &gosmtp.SMTPError{Code: code, EnhancedCode: gosmtp.EnhancedCode{code / 100, 7, 1}, Message: "as told"}
	}
	for _, c := range []struct {
		name   string
		phase  catcher.Phase
		err    error
		code   int
		stored int
	}{
		{"too busy", catcher.Connect, reply(421), 421, 0},
		{"wrong password", catcher.Auth, reply(535), 535, 0},
		{"sender not known", catcher.MailFrom, reply(550), 550, 0},
		{"mailbox busy", catcher.RcptTo, reply(450), 450, 0},
		{"spam", catcher.Data, reply(554), 554, 0},
		{"stored, and yet refused", catcher.Stored, reply(451), 451, 1},
		{"an error of its own", catcher.RcptTo, errors.New("as told"), 451, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := start(t)
			srv.Script(func(s catcher.Step) error {
				if s.Phase == c.phase {
					return c.err
				}
				return nil
			})
			err := dialogue(srv.Addr())
			var got *textproto.Error
			if !errors.As(err, &got) || got.Code != c.code || !strings.Contains(got.Msg, "as told") {
				t.Errorf("got %v, want %d", err, c.code)
			}
			if n := srv.Count(); n != c.stored {
				t.Errorf("%d mails caught, want %d", n, c.stored)
			}
			srv.Script(nil)
			if err := dialogue(srv.Addr()); err != nil {
				t.Errorf("without a script: %v", err)
			}
		})
	}
}

func TestScript_BreaksTheConnection(t *testing.T) {
	for phase, stored := range map[catcher.Phase]int{
		catcher.Connect: 0, catcher.MailFrom: 0, catcher.RcptTo: 0, catcher.Data: 0, catcher.Stored: 1,
	} {
		t.Run(phase.String(), func(t *testing.T) {
			c := start(t)
			c.Script(func(s catcher.Step) error {
				if s.Phase == phase && s.Session == 1 {
					s.Conn.Close()
					return errors.New("gone")
				}
				return nil
			})
			err := dialogue(c.Addr())
			var reply *textproto.Error
			if err == nil || errors.As(err, &reply) {
				t.Errorf("got %v, want a broken connection", err)
			}
			if n := c.Count(); n != stored {
				t.Errorf("%d mails caught, want %d", n, stored)
			}
			if err := dialogue(c.Addr()); err != nil {
				t.Errorf("the next session: %v", err)
			}
		})
	}
}

func TestByRecipient_AnswersByAddress(t *testing.T) {
	c := start(t)
	c.Script(catcher.ByRecipient())
	client := dial(t, c)
	for _, try := range []struct {
		to   string
		code int // 0 for taken
	}{
		{"owner@example.com", 0},
		{"no-such-user@example.com", 550},
		{"No-Such-User@example.com", 550},
		{"no-such-user-2@example.com", 0},
		{"greylisted@example.com", 450},
		{"greylisted.too@example.com", 450},
		{"Greylisted@example.com", 0},
		{"greylisted.too@example.com", 0},
		{"greylisted@example.com", 0},
		{"no-such-user@example.com", 550},
	} {
		err := deliver(client, "loa@example.com", letter, try.to)
		var got *textproto.Error
		switch {
		case try.code == 0 && err != nil:
			t.Errorf("%s: got %v, want it taken", try.to, err)
		case try.code != 0 && (!errors.As(err, &got) || got.Code != try.code):
			t.Errorf("%s: got %v, want %d", try.to, err, try.code)
		}
		if err := client.Reset(); err != nil {
			t.Fatal(err)
		}
	}
	again := start(t)
	again.Script(catcher.ByRecipient())
	if err := deliver(dial(t, again), "", letter, "greylisted@example.com"); err == nil {
		t.Error("another script knows what this one has tried")
	}
}

func TestRun_ManyClientsAtOnce(t *testing.T) {
	c := start(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if err := dialogue(c.Addr()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	ids := make(map[int]bool)
	for _, m := range c.Mails() {
		ids[m.ID] = true
	}
	if c.Count() != 40 || len(ids) != 40 {
		t.Errorf("%d caught, %d ids; want 40", c.Count(), len(ids))
	}
}

func TestRun_EndsWithItsContext(t *testing.T) {
	for name, connect := range map[string]bool{"idle": false, "with a client": true} {
		t.Run(name, func(t *testing.T) {
			c, err := catcher.Listen("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- c.Run(ctx) }()
			var client *smtp.Client
			if connect {
				client = dial(t, c)
			}
			stop()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
			if connect {
				if err := client.Noop(); err == nil {
					t.Error("the dialogue goes on")
				}
			}
			if conn, err := net.Dial("tcp", c.Addr()); err == nil {
				conn.Close()
				t.Error("the address is still taken")
			}
		})
	}
}

func TestRun_AfterItsContextEnded(t *testing.T) {
	c, err := catcher.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := c.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestListen_TakenAddress(t *testing.T) {
	c := start(t)
	if _, err := catcher.Listen(c.Addr()); err == nil || !strings.Contains(err.Error(), "listen for SMTP") {
		t.Errorf("got %v", err)
	}
}

// start runs a catcher for as long as the test.
func start(t testing.TB, hidden ...catcher.Extension) *catcher.Catcher {
	t.Helper()
	c, err := catcher.Listen("127.0.0.1:0", hidden...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return c
}

func dial(t *testing.T, c *catcher.Catcher) *smtp.Client {
	t.Helper()
	client, err := smtp.Dial(c.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if err := client.Hello("test"); err != nil {
		t.Fatal(err)
	}
	return client
}

func send(t *testing.T, c *catcher.Catcher, from, body string, to ...string) {
	t.Helper()
	if err := deliver(dial(t, c), from, body, to...); err != nil {
		t.Fatal(err)
	}
}

// dialogue is a whole session, with every phase in it.
func dialogue(addr string) error {
	client, err := smtp.Dial(addr)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Hello("test"); err != nil {
		return err
	}
	if err := client.Auth(smtp.PlainAuth("", "user", "password", "127.0.0.1")); err != nil {
		return err
	}
	return deliver(client, "loa@example.com", letter, "owner@example.com")
}

func deliver(client *smtp.Client, from, body string, to ...string) error {
	if err := client.Mail(from); err != nil {
		return err
	}
	for _, address := range to {
		if err := client.Rcpt(address); err != nil {
			return err
		}
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte(body)); err != nil {
		return err
	}
	return w.Close()
}
