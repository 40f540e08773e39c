package relay

import (
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"countersign/internal/delivery"
	"countersign/internal/trouble"
	"countersign/workflow"
)

// server is the state of the mail server at the last attempt.
type server struct {
	mu       sync.Mutex
	failures int             // in a row
	until    time.Time       // no claim before
	last     delivery.Result // the last failure
	trouble  trouble.Log
}

// rules say how often the log mentions that the mail server cannot be used. A
// limit of emails a second makes a trouble that comes and goes.
var rules = trouble.Rules{Again: time.Hour, Flapping: time.Minute}

// failed is how often the server has failed in a row.
func (s *server) failed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures
}

// pause reports whether the server fails, and how long to wait before it is tried
// again.
func (s *server) pause(now time.Time) (wait time.Duration, failing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.until.Sub(now), s.failures > 0
}

// Trouble is what keeps all emails waiting. It holds no address and no secret.
type Trouble struct {
	Since time.Time // when the mail server first failed
	Host  string    // of the mail server
	Port  int
	Stage string // how far the dialogue got
	Code  int    // of the reply; 0 if there was none
	Reply string // the server's words, or what went wrong
}

// String returns the trouble on one line.
func (t Trouble) String() string {
	where := net.JoinHostPort(t.Host, strconv.Itoa(t.Port))
	since := t.Since.UTC().Format(time.RFC3339)
	if t.Code == 0 {
		return fmt.Sprintf("%s cannot be used at %s since %s: %s", where, t.Stage, since, t.Reply)
	}
	return fmt.Sprintf("refused by %s at %s since %s: %d %s", where, t.Stage, since, t.Code, t.Reply)
}

// Trouble returns what keeps all emails waiting, as found at the last attempt,
// and false if nothing does.
func (r *Mails) Trouble() (Trouble, bool) {
	s := &r.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures == 0 {
		return Trouble{}, false
	}
	return Trouble{s.trouble.Began(), r.Host, r.Port, s.last.Stage, s.last.Code, s.last.Reply}, true
}

// learn records a result, and makes the pauses longer while the mail server is
// away or refuses us.
func (r *Mails) learn(result delivery.Result, now time.Time) {
	s := &r.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if result.Outcome == workflow.Deferred && !result.Server && result.Stage == "" {
		return // the server was not asked
	}
	if !result.Server {
		s.failures, s.until = 0, time.Time{}
		if began, mention := s.trouble.Right(now); mention {
			r.Logger.Info("the mail server is back", "host", r.Host, "port", r.Port, "for", now.Sub(began).Round(time.Second).String())
		}
		return
	}
	if now.Before(s.until) {
		return // another connection has reported this failure
	}
	s.last = result
	s.failures++
	s.until = now.Add(min(time.Second<<min(s.failures-1, 5), 30*time.Second))
	if s.trouble.Wrong(result.Alike, rules, now) {
		r.Logger.Warn("the mail server cannot be used; emails wait", "host", r.Host, "port", r.Port, "user", r.User,
			"stage", s.last.Stage, "code", s.last.Code, "reply", s.last.Reply, "since", s.trouble.Began().UTC().Format(time.RFC3339))
	}
}
