package mail

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"countersign/internal/delivery"
	"countersign/internal/redact"
	"countersign/workflow"
)

// Pool sends mails over a number of connections to one server, which it opens
// as they are needed and keeps open while they are. All its methods may be
// called at once.
type Pool struct {
	dialer   *dialer
	composer *composer
	jury     jury
	idle     time.Duration

	busy chan struct{} // one for each email that is being sent; its capacity is the pool's size

	mu     sync.Mutex
	kept   []*session // the open connections that no mail uses, last used last
	closed bool

	limit   int // how many mails the server takes on one connection; 0: not known
	learned time.Time
	ended   int // how many it took on the last connection that it ended

	hold  bool
	plain time.Time // until when commands are not grouped
}

// Message is an email to send. Mail.About must be set.
type Message struct {
	Mail   workflow.Mail
	Letter []byte // the signed letter, a PDF to attach; nil for none

	Download string    // URL of the signed letter; empty for none
	Until    time.Time // until when Download is valid
}

// patience bounds the dialogue of a mail whose context has no deadline. RFC
// 5321 section 4.5.3.2 asks for so long a wait for the reply to one command.
const patience = 5 * time.Minute

// New makes a pool. It opens no connection: a server that is down shows with
// the first mail.
func New(c Config) (*Pool, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	composer, err := newComposer(c)
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	dialer, err := newDialer(c)
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	p := &Pool{dialer: dialer, composer: composer, idle: c.Idle, hold: c.Hold, busy: make(chan struct{}, c.Pool)}
	if p.idle == 0 {
		p.idle = defaultIdle
	}
	return p, nil
}

// Size returns how many mails can be under way at once.
func (p *Pool) Size() int { return cap(p.busy) }

// Send writes a mail, waits for a free connection and sends the mail over it.
//
// The deadline of ctx bounds all of it. A context that ends before the dialogue
// with the server begins leaves the mail deferred and the network untouched;
// one that is canceled later does not disturb the dialogue, because a mail cut
// off at the wrong moment is a mail in doubt.
func (p *Pool) Send(ctx context.Context, m Message) delivery.Result {
	to, err := recipient(m.Mail.Recipient)
	if err != nil {
		return delivery.Result{Outcome: workflow.Rejected, Reply: err.Error()}
	}
	out, err := p.composer.write(m, to)
	if err != nil {
		return delivery.Result{Outcome: workflow.Deferred, Reply: redact.Reply(err.Error())}
	}
	defer out.release()
	out.doubted = m.Mail.Doubts > 0
	select {
	case p.busy <- struct{}{}:
		defer func() { <-p.busy }()
	case <-ctx.Done():
	}
	until, limited := ctx.Deadline()
	if !limited {
		until = time.Now().Add(patience)
	}
	if err := ctx.Err(); err != nil || !time.Now().Before(until) {
		return delivery.Result{Outcome: workflow.Deferred, Reply: "the email was not begun: its deadline passed before a connection was free"}
	}
	r := p.jury.judge(p.deliver(out, until), m.Mail.ID, m.Mail.Recipient)
	r.Reply = redact.Reply(r.Reply, append(out.secrets, p.dialer.server.Password)...)
	return r
}

// deliver sends an email over a kept connection or a new one. A kept one that
// turns out to be gone, or that the server is tired of, costs the email nothing: it
// is tried once more on a new one. So is an email that the server did not take
// because it does not cope with grouped commands: one by one then.
func (p *Pool) deliver(out outgoing, until time.Time) delivery.Result {
	s, err := p.take()
	if err != nil {
		return delivery.Result{Outcome: workflow.Deferred, Reply: err.Error()}
	}
	limit := 0
	if s != nil {
		taken := s.taken
		r, f := p.try(s, out, until)
		if !tired(r) || !time.Now().Before(until) {
			return r
		}
		if r.Code != 0 && f == fits {
			limit = taken
		}
	}
	for {
		if s, err = p.dialer.dial(until); err != nil {
			return setup(err)
		}
		r, f := p.try(s, out, until)
		if r.Outcome == workflow.Accepted && limit > 0 {
			p.learn(limit)
		}
		if f == fits || !tired(r) || !time.Now().Before(until) {
			return r
		}
	}
}

// try sends an email over a connection and gives that back. It says how the
// replies fit, and trusts the server less if they do not.
func (p *Pool) try(s *session, out outgoing, until time.Time) (delivery.Result, fit) {
	r := s.send(out, p.manner(s, out), until)
	f := s.fit // before another email has the connection
	if f != fits {
		p.distrust(f)
	}
	p.give(s, r)
	return r, f
}

// manner is how an email goes over a connection. In one write only if it was never
// in doubt, and on a connection whose replies have fitted before: 354 shows that.
func (p *Pool) manner(s *session, out outgoing) manner {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !s.pipelining || time.Now().Before(p.plain):
		return stepwise
	case s.chunking && s.taken > 0 && !out.doubted && !p.hold:
		return whole
	}
	return grouped
}

// How long commands are not grouped for a server whose replies did not fit, and
// for one that did not reply: that may have been the network.
const (
	plainIfWrong   = time.Hour
	plainIfMissing = 10 * time.Minute
)

// distrust has the next emails go command by command.
func (p *Pool) distrust(f fit) {
	wait := plainIfMissing
	if f == wrong {
		wait = plainIfWrong
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if !now.Before(p.plain) {
		p.dialer.logger.Warn("the mail server's replies do not fit grouped commands: emails go command by command for a while",
			"host", p.dialer.server.Host, "port", p.dialer.server.Port, "for", wait.String())
	}
	if until := now.Add(wait); until.After(p.plain) {
		p.plain = until
	}
}

// tired reports whether a mail that a used connection did not take can be taken
// on a new one: the connection was gone before the server saw anything of the
// message, or the server has had enough of it. Servers say that in many ways,
// and nearly always in answer to MAIL or DATA.
func tired(r delivery.Result) bool {
	switch r.Stage {
	case delivery.AtMAIL, delivery.AtDATA:
		return r.Code/100 != 2
	case delivery.AtRCPT:
		return gone(r) || r.Code == 452
	case delivery.AtDot:
		return r.Code == 421 || r.Code == 452
	}
	return false
}

// limitKept is how long a server is believed to take no more than a number of
// mails on a connection.
const limitKept = time.Hour

// learn notes that the server took so many mails on a connection, refused the
// next one, and took that on a new connection. It counts when it happens a second
// time with the same number: a connection that was idle too long has any.
func (p *Pool) learn(taken int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if taken == p.ended {
		p.limit, p.learned = taken, time.Now()
	}
	p.ended = taken
}

// take returns the kept connection that was used last and that the server has not
// closed since, or nil: the others get a chance to be closed.
func (p *Pool) take() (*session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errors.New("the email was not begun: the pool is closed")
	}
	for len(p.kept) > 0 {
		s := p.kept[len(p.kept)-1]
		p.kept = p.kept[:len(p.kept)-1]
		s.alarm.Stop()
		if s.quiet() {
			return s, nil
		}
		s.hangUp()
	}
	return nil, nil
}

// give keeps a connection for the next mail, unless the last one r left it in
// no state to be used, or the pool was closed meanwhile.
func (p *Pool) give(s *session, r delivery.Result) {
	if !s.reset(r) {
		s.hangUp()
		return
	}
	p.mu.Lock()
	full := p.limit > 0 && s.taken >= p.limit && time.Since(p.learned) < limitKept
	if p.closed || full {
		p.mu.Unlock()
		s.quit()
		return
	}
	defer p.mu.Unlock()
	s.since = time.Now()
	p.kept = append(p.kept, s)
	if s.alarm == nil {
		s.alarm = time.AfterFunc(p.idle, func() { p.retire(s) })
		return
	}
	s.alarm.Reset(p.idle)
}

// retire closes a connection that no mail has used for long. Its alarm may
// have gone off just when it was taken, or was given back.
func (p *Pool) retire(s *session) {
	p.mu.Lock()
	i := slices.Index(p.kept, s)
	if i < 0 || time.Since(s.since) < p.idle {
		p.mu.Unlock()
		return
	}
	p.kept = slices.Delete(p.kept, i, i+1)
	p.mu.Unlock()
	s.quit()
}

// Close takes leave of the server on every connection that no mail uses; the
// others follow with their mail. A mail sent later is deferred. The error is
// always nil.
func (p *Pool) Close() error {
	p.mu.Lock()
	kept := p.kept
	p.kept, p.closed = nil, true
	p.mu.Unlock()
	var wg sync.WaitGroup
	for _, s := range kept {
		s.alarm.Stop()
		wg.Go(s.quit)
	}
	wg.Wait()
	return nil
}
