package mail

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"time"

	"countersign/internal/delivery"
	"countersign/workflow"
)

// manner is how an email is put to the server.
type manner int

const (
	stepwise manner = iota // each command waits for the reply to the last one (RFC 5321)
	grouped                // MAIL, RCPT and DATA in one write (RFC 2920)
	whole                  // MAIL, RCPT, the message by BDAT, and RSET in one write (RFC 3030)
)

// fit says how the server's replies fit commands that were written in one write.
type fit int

const (
	fits    fit = iota
	missing     // a reply did not come
	wrong       // there was one too many, or one that cannot be the command's
)

var errWrong = errors.New("the replies do not fit the commands")

// answer is the reply to a command. err says why there is none.
type answer struct {
	at    delivery.Stage
	code  int
	words string
	err   error
}

// good reports whether the dialogue goes on after an answer: the first digit
// decides (RFC 5321 section 4.2.1).
func (a answer) good() bool {
	if a.at == delivery.AtDATA {
		return a.err == nil && a.code == 354
	}
	return a.err == nil && a.code/100 == 2
}

// bad returns the index of the first answer after which the dialogue does not
// go on, or -1.
func bad(answers []answer) int {
	return slices.IndexFunc(answers, func(a answer) bool { return !a.good() })
}

// stepwise takes an email through MAIL, RCPT and DATA to the final dot (RFC 5321
// section 3.3). It returns the answer that decides.
func (s *session) stepwise(out outgoing) answer {
	for _, c := range s.commands(out) {
		if _, err := s.wire.Write([]byte(c.line)); err != nil {
			return answer{at: c.at, err: err}
		}
		if a := s.read(c.at); !a.good() {
			return a
		}
	}
	return s.dotted(out.content)
}

// grouped writes MAIL, RCPT and DATA at once, and the message only after 354: a
// connection that breaks before that leaves nothing in doubt. It returns the
// answer that decides.
func (s *session) grouped(out outgoing) answer {
	var group []byte
	for _, c := range s.commands(out) {
		group = append(group, c.line...)
	}
	if _, err := s.wire.Write(group); err != nil {
		return answer{at: delivery.AtMAIL, err: err}
	}
	answers := s.answers(delivery.AtMAIL, delivery.AtRCPT, delivery.AtDATA)
	last := answers[len(answers)-1]
	if answers[0].err != nil && s.taken > 0 {
		s.fit = fits // the connection was gone before
	}
	i := bad(answers)
	switch {
	case i < 0 && s.unread():
		return s.astray(answer{at: delivery.AtDATA, err: errWrong})
	case i < 0:
		return s.dotted(out.content)
	case answers[i].err == nil && answers[i].code/100 < 4:
		return s.astray(answer{at: answers[i].at, err: errWrong})
	case answers[i].at != delivery.AtDATA && last.at == delivery.AtDATA && last.err == nil && last.code/100 < 4:
		// The server waits for a message without a recipient (RFC 2920 section 3.1).
		return s.astray(answers[i])
	}
	return answers[i]
}

// atRSET is the stage of the RSET behind a message. Its reply shows that the one
// before it was the message's.
const atRSET delivery.Stage = "RSET"

// whole writes the envelope and the message at once. From then on the email is in
// doubt until a reply refuses it, or all of them have come. It returns the answer
// that decides.
func (s *session) whole(out outgoing) answer {
	lines := s.commands(out)
	s.out = fmt.Appendf(s.out[:0], "%s%sBDAT %d LAST\r\n", lines[0].line, lines[1].line, len(out.content))
	s.out = append(s.out, out.content...)
	end := len(s.out)
	s.out = append(s.out, "RSET\r\n"...)
	if n, err := s.wire.Write(s.out); n < end {
		return answer{at: delivery.AtMessage, err: err} // the server cannot have all of it
	}
	return s.verdict(s.answers(delivery.AtMAIL, delivery.AtRCPT, delivery.AtDot, atRSET))
}

// verdict returns the answer of whole that decides.
func (s *session) verdict(answers []answer) answer {
	complete := len(answers) == 4
	s.clean = complete && answers[3].good()
	i := bad(answers)
	switch {
	case i < 0 && s.unread():
		return s.astray(answer{at: delivery.AtDot, err: errWrong})
	case i < 0:
		return answers[2]
	}
	a := answers[i]
	switch {
	case a.err != nil && a.at == atRSET && closed(a.err): // after it had accepted the message
		return answers[2]
	case a.err != nil:
		return answer{at: delivery.AtDot, err: fmt.Errorf("%w (instead of the reply to %s)", a.err, a.at)}
	case a.at == atRSET, a.code/100 < 4:
		return s.astray(answer{at: delivery.AtDot, err: errWrong})
	case a.at == delivery.AtDot && a.code >= 500 && a.code <= 504: // it does not know BDAT
		return s.astray(answer{at: delivery.AtDATA, code: a.code, words: a.words})
	case complete && answers[2].good(): // it took a message without a recipient
		return s.astray(a)
	}
	return a
}

// answers reads the reply to each command of a group, whatever the replies say
// (RFC 2920 section 3.1). It ends early if there are no more: one does not come, is
// a 421, or is another command's. After a refusal the others must come soon: they decide nothing.
func (s *session) answers(stages ...delivery.Stage) (list []answer) {
	refused := false
	for _, at := range stages {
		a := s.read(at)
		if a.err != nil {
			s.broken = true
		}
		if a.err != nil && (!refused || timedOut(a.err)) {
			s.fit = missing
		}
		if a.err != nil && refused {
			return list
		}
		list = append(list, a)
		if a.err != nil || a.code == 421 || !a.good() && a.code/100 < 4 {
			return list
		}
		if !refused && !a.good() {
			refused = true
			_ = s.conn.SetReadDeadline(earlier(s.until, time.Now().Add(farewell)))
		}
	}
	_ = s.conn.SetReadDeadline(s.until)
	return list
}

// read reads the reply to a command.
func (s *session) read(at delivery.Stage) answer {
	code, words, err := s.smtp.Text.ReadResponse(0)
	return answer{at, code, words, err}
}

// dotted sends the message after a 354. A message that breaks off never ends with
// a dot.
func (s *session) dotted(content []byte) answer {
	s.out = append(stuff(s.out[:0], content), ".\r\n"...)
	if _, err := s.wire.Write(s.out); err != nil {
		return answer{at: delivery.AtMessage, err: err}
	}
	return s.read(delivery.AtDot)
}

// stuff appends content with a second dot on each line that begins with one (RFC
// 5321 section 4.5.2).
func stuff(out, content []byte) []byte {
	for {
		if bytes.HasPrefix(content, []byte(".")) {
			out = append(out, '.')
		}
		i := bytes.Index(content, []byte("\n."))
		if i < 0 {
			return append(out, content...)
		}
		out, content = append(out, content[:i+1]...), content[i+1:]
	}
}

// astray notes that the replies do not fit. The connection is of no more use: a
// reply that is still to come would be taken for the next email's.
func (s *session) astray(a answer) answer {
	s.fit, s.broken = wrong, true
	return a
}

func timedOut(err error) bool {
	var failed net.Error
	return errors.As(err, &failed) && failed.Timeout()
}

// closed reports whether the connection ended where a reply was due.
func closed(err error) bool {
	var garbage textproto.ProtocolError
	return !timedOut(err) && !errors.As(err, &garbage)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// result says what became of an email by the answer that ended its dialogue. Whose
// fault a refusal is does not count yet; see jury.
func result(a answer) delivery.Result {
	r := delivery.Result{Outcome: workflow.Deferred, Code: a.code, Reply: a.words, Stage: a.at}
	if a.err != nil {
		r.Code, r.Reply = 0, fmt.Sprintf("no reply to %s: %s", a.at, a.err)
	}
	switch blame(a.at, r.Code, enhancedOf(r.Reply), false) {
	case faultNone:
		r.Outcome = workflow.Accepted
	case faultRecipient:
		r.Outcome = workflow.Rejected
	case faultUs:
		r.Server = true
	case faultUnknown:
		r.Outcome = workflow.Unknown
	}
	return r
}

// gone reports whether the connection is of no more use: it broke, or the
// server said that it closes it (RFC 5321 section 3.8).
func gone(r delivery.Result) bool { return r.Code == 0 || r.Code == 421 }

// setup is the result of a mail for which no connection could be made.
func setup(err error) delivery.Result {
	r := delivery.Result{Outcome: workflow.Deferred, Reply: err.Error(), Stage: delivery.AtConnect, Server: true}
	var failed stageError
	if errors.As(err, &failed) {
		r.Stage, r.Reply = failed.at, failed.err.Error()
	}
	var reply *textproto.Error
	if errors.As(err, &reply) {
		r.Code, r.Reply = reply.Code, reply.Msg
	}
	return r
}
