// Package catcher is an SMTP server that accepts every email and delivers none.
// It shows them in a web inbox and as JSON, and tests can wait for them. A
// script can decide each of its answers, to imitate how real mail servers
// behave and misbehave.
package catcher

import (
	"context"
	"fmt"
	"net"
	"net/mail"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// How many emails and bytes are kept. The oldest emails are dropped first.
const (
	keepMails = 10_000
	keepBytes = 256 << 20
)

// The limits of one email.
const (
	maxMailBytes  = 32 << 20
	maxRecipients = 100 // the least that RFC 5321 section 4.5.3.1.8 allows
)

// Mail is a mail that was caught.
type Mail struct {
	ID                 int       // 1 for the first mail caught, and so on
	At                 time.Time // when its last byte came
	From               string    // of the envelope (MAIL FROM); empty for bounces
	To                 []string  // of the envelope (RCPT TO)
	Subject, MessageID string    // decoded; the Message-ID as written, in angle brackets
	Header             mail.Header
	Text, HTML         string // the first text/plain and text/html part, in UTF-8, lines ending in \n
	Raw                []byte // unchanged; do not modify it
}

// Catcher is the server with what it caught. All methods may be called by
// several goroutines, before, during and after Run.
type Catcher struct {
	listener net.Listener
	server   *smtp.Server

	mu       sync.Mutex
	script   func(Step) error
	sessions int
	count    int // of all mails caught
	mails    []Mail
	bytes    int
	caught   chan struct{} // closed and replaced with every mail
}

// Listen takes the TCP address, such as "127.0.0.1:0". Clients can connect from
// then on, but are not answered before Run. They are not offered what is hidden.
func Listen(addr string, hidden ...Extension) (*Catcher, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for SMTP: %w", err)
	}
	c := &Catcher{
		listener: hiding{l, hidden},
		script:   func(Step) error { return nil },
		caught:   make(chan struct{}),
	}
	c.server = smtp.NewServer(smtp.BackendFunc(c.newSession))
	c.server.Domain = "catcher.localhost"
	c.server.MaxMessageBytes = maxMailBytes
	c.server.MaxRecipients = maxRecipients
	c.server.AllowInsecureAuth = true
	c.server.ReadTimeout = 10 * time.Minute // clients keep connections open
	c.server.WriteTimeout = time.Minute
	c.server.ErrorLog = silent{}
	return c, nil
}

// Addr is the address that was taken, with its port.
func (c *Catcher) Addr() string { return c.listener.Addr().String() }

// Run answers clients until ctx ends; then it breaks off every dialogue and
// returns nil. A catcher runs once.
func (c *Catcher) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		_ = c.server.Close()
		_ = c.listener.Close() // if the server had not yet begun to listen
	})
	defer stop()
	if err := c.server.Serve(c.listener); err != nil && ctx.Err() == nil {
		return fmt.Errorf("answer SMTP clients: %w", err)
	}
	return nil
}

// Mails returns what is kept, the oldest mail first: the newest 10,000 mails,
// fewer if they have more than 256 MiB.
func (c *Catcher) Mails() []Mail {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.mails)
}

// Count returns how many mails were ever caught, kept or not.
func (c *Catcher) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// Wait returns nil as soon as at least n mails were ever caught, and the
// context's error if that ends first.
func (c *Catcher) Wait(ctx context.Context, n int) error {
	for {
		c.mu.Lock()
		count, caught := c.count, c.caught
		c.mu.Unlock()
		if count >= n {
			return nil
		}
		select {
		case <-caught:
		case <-ctx.Done():
			return fmt.Errorf("wait for mail %d, with %d caught: %w", n, count, ctx.Err())
		}
	}
}

// Script makes the catcher call f at every step of every dialogue, by several
// goroutines at once. If f returns an *smtp.SMTPError, that is the answer; any other
// error is answered with 451; on nil the dialogue goes on. f may block, and may close
// the connection. A nil f accepts every email again.
func (c *Catcher) Script(f func(Step) error) {
	if f == nil {
		f = func(Step) error { return nil }
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.script = f
}

// store keeps the email, and drops the oldest ones if there are too many.
func (c *Catcher) store(m Mail) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	m.ID = c.count
	c.mails = append(c.mails, m)
	c.bytes += m.size()
	for len(c.mails) > 1 && (len(c.mails) > keepMails || c.bytes > keepBytes) {
		c.bytes -= c.mails[0].size()
		c.mails[0] = Mail{} // the array behind the slice lives on for a while
		c.mails = c.mails[1:]
	}
	close(c.caught)
	c.caught = make(chan struct{})
}

func (c *Catcher) mail(id int) (Mail, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := slices.BinarySearchFunc(c.mails, id, func(m Mail, id int) int { return m.ID - id })
	if !ok {
		return Mail{}, false
	}
	return c.mails[i], true
}

// size is about what a mail takes in memory: its header is there twice.
func (m Mail) size() int { return len(m.Raw) + len(m.Text) + len(m.HTML) + 4096 }

// silent keeps what clients do wrong out of the program's own log.
type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}
