package relay

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"countersign/internal/delivery"
	"countersign/workflow"
)

// server is how the mail server fares.
type server struct {
	failures int             // in a row
	until    time.Time       // no claim before
	since    time.Time       // of the first of them
	last     delivery.Result // the last of them
	told     bool            // a warning told of them

	alike string    // of the last warning
	said  time.Time // when that was; zero for never
	ended time.Time // when the trouble before this one did
}

const (
	sayAgain = time.Hour   // how often a trouble that lasts is told
	flapping = time.Minute // a trouble that comes back sooner, and ends sooner, is the same one
)

// Trouble is what keeps all mails waiting. It holds no address and no secret.
type Trouble struct {
	Since time.Time // when the mail server was first met so
	Host  string    // of the mail server
	Port  int
	Stage string // how far the dialogue came
	Code  int    // of the reply; 0 if there was none
	Reply string // the server's words, or what went wrong
}

// String says it on one line.
func (t Trouble) String() string {
	where := net.JoinHostPort(t.Host, strconv.Itoa(t.Port))
	since := t.Since.UTC().Format(time.RFC3339)
	if t.Code == 0 {
		return fmt.Sprintf("%s cannot be used at %s since %s: %s", where, t.Stage, since, t.Reply)
	}
	return fmt.Sprintf("refused by %s at %s since %s: %d %s", where, t.Stage, since, t.Code, t.Reply)
}

// Trouble returns what keeps all mails waiting, as it was met at the last try,
// and false if nothing does.
func (r *Mails) Trouble() (Trouble, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.server
	if s.failures == 0 {
		return Trouble{}, false
	}
	return Trouble{s.since, r.Host, r.Port, s.last.Stage, s.last.Code, s.last.Reply}, true
}

// learn slows down while the mail server is away or refuses us.
func (r *Mails) learn(result delivery.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, now := &r.server, time.Now()
	if result.Outcome == workflow.Deferred && !result.Server && result.Stage == "" {
		return // the server was not asked
	}
	if !result.Server {
		if s.told {
			r.Logger.Info("the mail server is back", "host", r.Host, "port", r.Port, "for", now.Sub(s.since).Round(time.Second).String())
		}
		if s.failures > 0 {
			s.ended = now
		}
		s.failures, s.until, s.told = 0, time.Time{}, false
		return
	}
	if now.Before(s.until) {
		return // the same trouble, met by another connection
	}
	if s.failures == 0 {
		s.since = now
	}
	s.last = result
	s.failures++
	s.until = now.Add(min(time.Second<<min(s.failures-1, 5), 30*time.Second))
	r.tell(now)
}

// tell warns of a trouble when it begins, when its words change, and every
// hour. One that comes and goes within a minute is told once an hour.
func (r *Mails) tell(now time.Time) {
	s := &r.server
	same := s.alike == s.last.Alike && now.Sub(s.said) < sayAgain
	comesAndGoes := now.Sub(s.ended) < flapping && now.Sub(s.since) < flapping
	if same && (s.told || comesAndGoes) {
		return
	}
	s.told, s.alike, s.said = true, s.last.Alike, now
	r.Logger.Warn("the mail server cannot be used; mails wait", "host", r.Host, "port", r.Port, "user", r.User,
		"stage", s.last.Stage, "code", s.last.Code, "reply", s.last.Reply, "since", s.since.UTC().Format(time.RFC3339))
}
