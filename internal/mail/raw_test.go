package mail_test

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Words of a script that are not replies.
const (
	hang = "(hang)" // do not answer, and wait for the client to go
	drop = "(drop)" // close the connection
	mute = "(mute)" // do not answer, and go on
)

// script is what a raw server answers to the commands of one connection, by
// verb; "" is the greeting and "." the end of the message. What is missing is
// answered well. "&" at the end closes the connection after the reply, "%" answers
// nothing after it.
type script map[string]string

// raw is an SMTP server that says word for word what its scripts say, one for
// each connection; the last one repeats.
type raw struct {
	addr string

	mu    sync.Mutex
	lines []string // every command that came, and "(gone)" at each end
	conns int
	warm  bool // the first email on the first connection is answered well

	misfit   bool // the scripts are for grouped commands alone
	groups   int  // how often MAIL came with the next command
	messages []string

	most    int // mails on one connection; 0: no limit
	verb    string
	enough  string // the reply to verb after so many
	refused int
}

// behave says how the server answers connections to come: see raw.
func (r *raw) behave(warm, misfit bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.warm, r.misfit = warm, misfit
}

func (r *raw) behaves() (warm, misfit bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.warm, r.misfit
}

// limit has the server take a number of mails on each connection, and answer a
// command of the next one with a reply.
func (r *raw) limit(most int, verb, reply string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.most, r.verb, r.enough = most, verb, reply
}

// refusals counts the mails that the limit kept out.
func (r *raw) refusals() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused
}

// over returns a script in which a command is refused if the connection has taken
// enough mails.
func (r *raw) over(s script, verb string, taken int) script {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.most == 0 || taken < r.most || verb != r.verb {
		return s
	}
	r.refused++
	return script{verb: r.enough}
}

func speak(t testing.TB, scripts ...script) *raw {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &raw{addr: l.Addr().String()}
	var wg sync.WaitGroup
	open := make(map[net.Conn]bool)
	wg.Go(func() {
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.conns++
			open[conn] = true
			r.mu.Unlock()
			wg.Go(func() {
				defer conn.Close()
				warm, misfit := r.behaves()
				r.talk(conn, scripts[min(n, len(scripts)-1)], n == 0 && warm, misfit)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.mu.Lock()
		for conn := range open {
			_ = conn.Close()
		}
		r.mu.Unlock()
		wg.Wait()
	})
	return r
}

func (r *raw) talk(conn net.Conn, s script, warm, misfit bool) {
	defer r.note("(gone)")
	in := bufio.NewReader(conn)
	if !answer(conn, in, s, "", "220 raw.test") {
		return
	}
	taken, ready := 0, "" // the last of MAIL and RCPT that was accepted
	grouped := false
	var message strings.Builder
	for data := false; ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if data && line != ".\r\n" {
			message.WriteString(strings.TrimPrefix(line, "."))
			continue
		}
		line = strings.TrimRight(line, "\r\n")
		r.note(line)
		verb, rest, _ := strings.Cut(line, " ")
		if verb == "MAIL" {
			grouped = in.Buffered() > 0
			r.group(grouped)
		}
		if _, unknown := s[verb]; verb == "BDAT" && !unknown { // RFC 3030; a script answers it as the final dot
			size, _, _ := strings.Cut(rest, " ")
			n, _ := strconv.Atoi(size)
			if _, err := io.CopyN(&message, in, int64(n)); err != nil {
				return
			}
			verb = "."
		}
		if verb == "." {
			r.got(message.String())
			message.Reset()
		}
		s := r.over(s, verb, taken)
		if (warm && taken == 0 || misfit && !grouped) && verb != "EHLO" {
			s = script{}
		}
		if !answer(conn, in, s, verb, well(verb, ready)) {
			return
		}
		reply, scripted := s[verb]
		accepted := reply == mute && verb != "." || strings.HasPrefix(cmp.Or(reply, well(verb, ready)), "2")
		switch {
		case verb == "." && accepted:
			taken, ready = taken+1, ""
		case verb == "MAIL", verb == "RCPT" && accepted && ready == "MAIL", verb == "RSET":
			ready = either(accepted && verb != "RSET", verb, "")
		}
		data = verb == "DATA" && strings.HasPrefix(either(scripted && reply != mute, reply, well(verb, ready)), "354")
	}
}

// well is the reply of a good server to a verb, which is 503 if the one that must
// precede it was not accepted.
func well(verb, ready string) string {
	switch {
	case verb == "RCPT" && ready == "", (verb == "DATA" || verb == ".") && ready != "RCPT":
		return "503 5.5.1 bad sequence"
	}
	reply := map[string]string{
		"EHLO": "250-raw.test\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES", "DATA": "354 go on",
		".": "250 2.0.0 queued as 42", "QUIT": "221 bye&",
	}[verb]
	return cmp.Or(reply, "250 ok")
}

func either(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

// answer says what the script has for a verb, and whether to go on.
func answer(conn net.Conn, in *bufio.Reader, s script, verb, good string) bool {
	reply, ok := s[verb]
	if !ok {
		reply = good
	}
	switch reply {
	case hang:
		_, _ = io.Copy(io.Discard, in)
		return false
	case drop:
		return false
	case mute:
		return true
	}
	words, last := strings.CutSuffix(reply, "&")
	words, silent := strings.CutSuffix(words, "%")
	_, err := fmt.Fprintf(conn, "%s\r\n", words)
	if silent {
		_, _ = io.Copy(io.Discard, in)
	}
	return err == nil && !last && !silent
}

// group counts a MAIL that came with the next command.
func (r *raw) group(grouped bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if grouped {
		r.groups++
	}
}

// grouped returns how many of them came.
func (r *raw) grouped() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.groups
}

// got keeps a message, as it was before the dots.
func (r *raw) got(message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, message)
}

// received returns the messages that came to their end.
func (r *raw) received() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.messages...)
}

func (r *raw) note(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

func (r *raw) connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conns
}

// heardAll returns every command that came.
func (r *raw) heardAll() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines...)
}

// heard counts the commands that begin with a word.
func (r *raw) heard(word string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, line := range r.lines {
		if strings.HasPrefix(line, word) {
			n++
		}
	}
	return n
}

// discard reads the chunk of a BDAT.
func discard(in *bufio.Reader, arguments string) error {
	size, _, _ := strings.Cut(arguments, " ")
	n, err := strconv.Atoi(size)
	if err == nil {
		_, err = in.Discard(n)
	}
	return err
}
