package mail_test

import (
	"testing"

	"countersign/internal/mail"
	"countersign/workflow"
)

// path is a way of an email to a server: the commands one by one, in a group, or
// with the message in one write.
type path struct {
	name string
	ehlo string // what the server must offer for it
	once bool   // the message is in the same write
	warm bool   // an email precedes the one that meets the script; in one write, one must

	misfit bool // the scripts are for grouped commands alone
}

var paths = []path{
	{"one by one", "250-raw.test\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES", false, false, false},
	{"grouped", "250-raw.test\r\n250-8BITMIME\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES", false, false, false},
	{"in one write", "250-raw.test\r\n250-8BITMIME\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 ENHANCEDSTATUSCODES", true, true, false},
}

// kept is the same path on a kept connection.
func (w path) kept() path {
	w.warm = true
	return w
}

// eachPath runs a test for emails that take each of the paths.
func eachPath(t *testing.T, f func(t *testing.T, w path)) {
	t.Helper()
	for _, w := range paths {
		t.Run(w.name, func(t *testing.T) { f(t, w) })
	}
}

// speak starts a server whose next email takes the path, and meets the script.
func (w path) speak(t testing.TB, scripts ...script) (*raw, *mail.Pool) {
	t.Helper()
	return w.speakTo(t, func(*mail.Config) {}, scripts...)
}

func (w path) speakTo(t testing.TB, adjust func(*mail.Config), scripts ...script) (*raw, *mail.Pool) {
	t.Helper()
	for i, s := range scripts {
		scripts[i] = script{"EHLO": w.ehlo}
		for verb, reply := range s {
			scripts[i][verb] = reply
		}
	}
	server := speak(t, scripts...)
	server.behave(w.warm, w.misfit)
	c := settings(t, server.addr)
	adjust(&c)
	p := pool(t, c)
	w.warmUp(t, p)
	return server, p
}

// warmUp sends the email that precedes those which take the path.
func (w path) warmUp(t testing.TB, p *mail.Pool) {
	t.Helper()
	if !w.warm {
		return
	}
	if got := sendTo(t, p, 999, "warm@warm.example"); got.Outcome != workflow.Accepted {
		t.Fatalf("the first email: got %+v", got)
	}
}

// lost is the outcome of an email of which the server says nothing before the
// message is due: in one write, the message was there already.
func (w path) lost() workflow.Outcome {
	if w.once {
		return workflow.Unknown
	}
	return workflow.Deferred
}

// meets reports whether an email on the path meets a reply to a command.
func (w path) meets(verb string) bool {
	return !w.once || verb != "" && verb != "EHLO" && verb != "DATA"
}
